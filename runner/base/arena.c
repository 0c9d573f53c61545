#include "base/arena.h"

#include <stddef.h>

#include "base/alloc.h"

#define BLOCK_SIZE ((size_t)64 * 1024)
#define ALIGNMENT  _Alignof(max_align_t)

struct arena_block {
    struct arena_block *older;
    _Alignas(max_align_t) char data[];
};

/* A request that does not fit is served from a new block; a large one gets a block of its own, so
 * that the room of the current one is not thrown away. */
static char *take(struct arena *arena, size_t size)
{
    struct arena_block *block;
    char *at;

    if (size > arena->room) {
        size_t capacity = size > BLOCK_SIZE / 4 ? size : BLOCK_SIZE;

        block = xmalloc(sizeof(*block) + capacity);
        if (capacity == size && arena->blocks) {
            block->older = arena->blocks->older;
            arena->blocks->older = block;
            return block->data;
        }
        block->older = arena->blocks;
        arena->blocks = block;
        arena->next = block->data;
        arena->room = capacity;
    }
    at = arena->next;
    arena->next += size;
    arena->room -= size;
    return at;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t padding = arena->room ? -(size_t)arena->next & (ALIGNMENT - 1) : 0;
    char *at;

    if (padding > arena->room)
        padding = arena->room;
    if (padding) {
        arena->next += padding;
        arena->room -= padding;
    }
    at = take(arena, (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1));
    return memset(at, 0, size);
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
    char *at = take(arena, len + 1);

    if (len)
        memcpy(at, text, len);
    at[len] = '\0';
    return at;
}

void arena_release(struct arena *arena)
{
    struct arena_block *block = arena->blocks;

    while (block) {
        struct arena_block *older = block->older;

        free(block);
        block = older;
    }
    *arena = (struct arena){0};
}
