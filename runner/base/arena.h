/* Arena: many small allocations that are released together.
 *
 *     struct arena a = {0};
 *     struct node *n = arena_alloc(&a, sizeof(*n));
 *     arena_release(&a);
 *
 * For trees that are built once and dropped as a whole. Growth does not fail (see alloc.h); what a
 * user sizes must be capped by the caller. Not thread-safe. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first */
    char *next;
    size_t room;
};

#define CLEANUP_ARENA CLEANUP(arena_release)

/* Zeroed memory, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((returns_nonnull));
/* A NUL-terminated copy of len bytes, unaligned. */
char *arena_strndup(struct arena *arena, const char *text, size_t len)
    __attribute__((returns_nonnull));
void arena_release(struct arena *arena);
