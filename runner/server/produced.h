/* A stream that a worker makes: large answers that are never whole in memory. */
#pragma once

#include "base/workers.h"
#include "server/web.h"

struct produced_ops {
    /* Appends the next part, of some 64 KiB; in a worker. 1: there is more; 0: that was all; -1:
     * what has been sent is not all that should have been, and the connection says so by ending.
     */
    int (*produce)(void *arg, struct buf *out);
    /* Once, in any thread; nothing else is called any more. */
    void (*release)(void *arg);
};

struct web_stream *produced_new(struct workers *workers, const struct produced_ops *ops, void *arg);
