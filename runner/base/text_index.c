#include "base/text_index.h"

#include "base/alloc.h"

/* A larger index is given back when it is cleared: clearing must not cost more than filling did. */
#define KEPT_CAPACITY 256

struct text_index_slot {
    const char *text; /* NULL: free */
    uint32_t len;
    uint32_t hash;
    uint32_t number;
};

static uint32_t hash_of(const char *text, size_t len)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash ^ hash >> 15;
}

/* The slot that holds the text, or the free one where it belongs. */
static struct text_index_slot *slot_of(const struct text_index *index, const char *text, size_t len,
                                       uint32_t hash)
{
    for (uint32_t at = hash;; at++) {
        struct text_index_slot *slot = &index->slots[at & (index->capacity - 1)];

        if (!slot->text ||
            (slot->hash == hash && slot->len == len && memcmp(slot->text, text, len) == 0))
            return slot;
    }
}

bool text_index_find(const struct text_index *index, const char *text, size_t len, uint32_t *ret)
{
    const struct text_index_slot *slot;

    if (!index->len)
        return false;
    slot = slot_of(index, text, len, hash_of(text, len));
    if (!slot->text)
        return false;
    *ret = slot->number;
    return true;
}

static void grow(struct text_index *index)
{
    struct text_index larger = {.capacity = index->capacity ? index->capacity * 2 : 32};

    larger.slots = xcalloc(larger.capacity, sizeof(*larger.slots));
    for (uint32_t i = 0; i < index->capacity; i++) {
        const struct text_index_slot *slot = &index->slots[i];

        if (slot->text)
            *slot_of(&larger, slot->text, slot->len, slot->hash) = *slot;
    }
    larger.len = index->len;
    free(index->slots);
    *index = larger;
}

void text_index_set(struct text_index *index, const char *text, size_t len, uint32_t number)
{
    uint32_t hash = hash_of(text, len);
    struct text_index_slot *slot;

    if (index->len >= index->capacity / 2)
        grow(index);
    slot = slot_of(index, text, len, hash);
    index->len += !slot->text;
    *slot = (struct text_index_slot){text, (uint32_t)len, hash, number};
}

void text_index_clear(struct text_index *index)
{
    if (!index->len)
        return;
    if (index->capacity > KEPT_CAPACITY) {
        text_index_release(index);
        return;
    }
    memset(index->slots, 0, index->capacity * sizeof(*index->slots));
    index->len = 0;
}

void text_index_release(struct text_index *index)
{
    free(index->slots);
    *index = (struct text_index){0};
}
