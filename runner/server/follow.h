/* One follower of a run: what the feed has for it, as pieces for a connection. Belongs to one
 * thread at a time. */
#pragma once

#include <stdatomic.h>

#include "feed/feed.h"
#include "server/web.h"

struct follower {
    struct feed_subscriber *subscriber;
    struct feed_chunk *chunk; /* of which some has been given */
    size_t next;              /* message of it */
    bool whole;               /* messages that lie behind each other are one piece */
    bool ended;
    atomic_int *count;
};

/* Each piece is a message; `whole`: or several. Wakes the connection. *count is one more until it
 * is closed. */
int follower_open(struct follower *follower, struct feed *feed,
                  const struct feed_subscription *subscription, struct web_waker *waker, bool whole,
                  atomic_int *count, struct err *err) __attribute__((warn_unused_result));
void follower_close(struct follower *follower);
/* As web_stream_ops.next. */
int follower_next(struct follower *follower, struct web_piece *ret);
