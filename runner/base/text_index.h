/* Hash index from texts to numbers. The texts are borrowed and must outlive the index. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct text_index_slot;

struct text_index {
    struct text_index_slot *slots; /* NULL while empty */
    uint32_t capacity;             /* a power of two */
    uint32_t len;
};

#define CLEANUP_TEXT_INDEX CLEANUP(text_index_release)

/* Finds the number of a text; false if it is not there. */
bool text_index_find(const struct text_index *index, const char *text, size_t len, uint32_t *ret);
/* Sets the number of a text, replacing an earlier one. */
void text_index_set(struct text_index *index, const char *text, size_t len, uint32_t number);
/* Forgets all texts; keeps the memory if it is little. */
void text_index_clear(struct text_index *index);
void text_index_release(struct text_index *index);
