#include "feed/chunk.h"

#include <stdlib.h>
#include <string.h>

struct feed_chunk *feed_chunk_new(void)
{
    struct feed_chunk *chunk = xcalloc(1, sizeof(*chunk));

    atomic_init(&chunk->refs, 1);
    chunk->bytes = (struct buf)BUF_INIT;
    return chunk;
}

void feed_chunk_begin(struct feed_chunk *chunk, size_t headroom)
{
    buf_reserve(&chunk->bytes, headroom);
    memset(chunk->bytes.data + chunk->bytes.len, 0, headroom);
    chunk->bytes.len += headroom;
    vec_push(&chunk->messages, ((struct feed_message){.offset = chunk->bytes.len}));
}

void feed_chunk_finish(struct feed_chunk *chunk)
{
    struct feed_message *last = &chunk->messages.items[chunk->messages.len - 1];

    last->size = chunk->bytes.len - last->offset;
}

size_t feed_chunk_count(const struct feed_chunk *chunk)
{
    return chunk->messages.len;
}

const char *feed_chunk_message(const struct feed_chunk *chunk, size_t number, size_t *ret_size)
{
    const struct feed_message *message = &chunk->messages.items[number];

    *ret_size = message->size;
    return chunk->bytes.data + message->offset;
}

void feed_chunk_ref(struct feed_chunk *chunk)
{
    atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);
}

void feed_chunk_unref(struct feed_chunk *chunk)
{
    if (!chunk || atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel) > 1)
        return;
    buf_release(&chunk->bytes);
    vec_release(&chunk->messages);
    free(chunk);
}
