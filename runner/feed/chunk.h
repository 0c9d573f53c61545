/* Messages, one behind the other, that many are given: internal to feed/. Made by one thread, and
 * then not changed any more. */
#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "base/vec.h"
#include "feed/feed.h"

struct feed_message {
    size_t offset;
    size_t size;
};

struct feed_chunk {
    atomic_uint refs;
    struct buf bytes;
    VEC(struct feed_message)
    messages;
    struct record_position end; /* of what it holds */
};

/* Has one reference. */
struct feed_chunk *feed_chunk_new(void);
/* The bytes of a message are appended to chunk->bytes in between. */
void feed_chunk_begin(struct feed_chunk *chunk, size_t headroom);
void feed_chunk_finish(struct feed_chunk *chunk);
