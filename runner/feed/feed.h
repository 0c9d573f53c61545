/* Runs, followed by many: what comes into their records, as texts that are ready to be sent.
 *
 * One thread watches all runs that somebody follows. What is new of a run is read once, and written
 * once in each format that is wanted, at most ten times a second; subscribers share it. Who is not
 * where the run is, because it begins further back or does not take what there is, is served by
 * itself from the record until it is there again. It costs neither the run nor the others anything,
 * and what is kept for it does not grow. Everybody gets everything once, in the order of
 * record/follow.h.
 *
 *     feed_new(&options, &feed, err)
 *     feed_subscribe(feed, &subscription, &subscriber, err)
 *     while ((got = feed_next(subscriber, &chunk)) != FEED_END)
 *         if (got == FEED_CHUNK) ... feed_chunk_unref(chunk)
 *         else                   wait until `wake` is called
 *     feed_unsubscribe(subscriber)
 *     feed_free(feed)                         when nobody is subscribed any more
 *
 * A run that has no record yet is waited for: it begins when the record is there, or ends by
 * feed_conclude(). The last message of a run says how it ended; that of one whose process died,
 * that it has failed and was lost.
 *
 * Threads: any number. None of these functions waits for a file or for a subscriber. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "record/follow.h"

struct feed;
struct feed_subscriber;

struct feed_options {
    const char *runs_dir; /* copied; made if need be */
    /* Before each message of a chunk so many bytes are free to be written into: for the header that
     * a transport puts there. All who write there do so in one thread. */
    size_t headroom;
};

enum feed_format {
    FEED_SSE,   /* server-sent events: id, event, data; without retry and comments */
    FEED_V2,    /* frames of the WebSocket subprotocol runner.v2 */
    FEED_PLAIN, /* frames of the protocol without it: stdout, stderr, done */
};

struct feed_subscription {
    const char *run_id;
    struct record_position position; /* what is behind it comes; {0, 0}: all */
    enum feed_format format;
    const char *node;    /* "0.1.2": of that and what is below it; NULL, "": all */
    const int64_t *tail; /* NULL; or begins with so many lines of output instead of at `position` */
    /* There is something for feed_next() now, which had said FEED_NONE_YET, or never been called.
     * Comes from any thread, maybe before feed_subscribe() has returned, with the feed locked:
     * calls nothing of this header, and waits for nobody who does. Not called any more when
     * feed_unsubscribe() has returned. */
    void (*wake)(void *arg);
    void *wake_arg;
};

/* Whole messages, in the order in which they are to be sent; shared, and but for the headroom not
 * to be changed. */
struct feed_chunk;

enum feed_got { FEED_NONE_YET, FEED_CHUNK, FEED_END /* the last message has been given */ };

/* How a run ended. */
struct feed_done {
    const char *status;   /* "succeeded", "failed", "cancelled" … */
    const char *reason;   /* "" or NULL: none */
    const char *error;    /* likewise */
    const int *exit_code; /* NULL: none */
};

int feed_new(const struct feed_options *options, struct feed **ret, struct err *err)
    __attribute__((warn_unused_result));
/* NULL is fine. */
void feed_free(struct feed *feed);

/* Everything is copied. ERR_INVALID: that cannot be the id of a run. */
int feed_subscribe(struct feed *feed, const struct feed_subscription *subscription,
                   struct feed_subscriber **ret, struct err *err)
    __attribute__((warn_unused_result));
/* NULL is fine. */
void feed_unsubscribe(struct feed_subscriber *subscriber);
/* What comes next; who got a chunk asks again when that is sent. */
enum feed_got feed_next(struct feed_subscriber *subscriber, struct feed_chunk **ret)
    __attribute__((warn_unused_result));
/* Behind the last chunk that was given. */
struct record_position feed_position(struct feed_subscriber *subscriber);

/* A run without a record will have none: those who wait for it hear that it ended so. Only those
 * who are subscribed now: who subscribes looks behind that whether the run may still begin. */
void feed_conclude(struct feed *feed, const char *run_id, const struct feed_done *done);

size_t feed_chunk_count(const struct feed_chunk *chunk);
/* A message of it, 0 to feed_chunk_count() - 1: JSON for one frame, or events of SSE. */
const char *feed_chunk_message(const struct feed_chunk *chunk, size_t number, size_t *ret_size);
void feed_chunk_ref(struct feed_chunk *chunk);
/* NULL is fine. */
void feed_chunk_unref(struct feed_chunk *chunk);
