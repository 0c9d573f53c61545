/* Events: the only way in which anything leaves the executor.
 *
 * The bus calls its sinks one at a time, in the order of the events, while it holds its lock, so a
 * sink needs none of its own for them and must be quick: what can block (a terminal, a disk) goes
 * through a queue inside the sink. Only those who emit output wait when such a queue is full, in
 * event_bus_wait_for_room(), and never beyond the end of their context. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "event/node.h"
#include "mask/mask.h"

enum event_type {
    EVENT_STATE,    /* the node has a new state */
    EVENT_LOG,      /* output of the step */
    EVENT_NOTE,     /* a remark for people about the node */
    EVENT_RETRY,    /* an attempt failed, another follows */
    EVENT_PROGRESS, /* how far something is that the node waits for */
};

enum event_stream { EVENT_STDOUT, EVENT_STDERR };

struct event {
    enum event_type type;
    const struct node *node;
    int64_t time_ms; /* wall time */

    /* EVENT_LOG: whole lines, or pieces of one. */
    enum event_stream stream;
    const char *data; /* exact bytes, newlines included */
    size_t size;
    bool continued; /* the first line goes on where an earlier event of this stream stopped */

    const char *text; /* EVENT_NOTE, EVENT_PROGRESS: one line */

    /* EVENT_PROGRESS: text NULL means that it has ended. Displays that cannot overwrite show those
     * that are due, which is the case now and then. */
    int64_t done, total; /* bytes; total 0: not known */
    bool due;

    const struct node_attempt *attempt; /* EVENT_RETRY: how it ended */
    int64_t delay_ms;                   /* EVENT_RETRY: pause before the next one */
};

struct event_sink {
    void (*handle)(struct event_sink *sink, const struct event *event);
    /* -1 while there is room for output, else a descriptor that becomes readable when there is
     * again. NULL function: there always is. */
    int (*room_fd)(struct event_sink *sink);
};

enum { EVENT_SINKS_MAX = 8 };

struct event_bus {
    pthread_mutex_t mu;
    struct event_sink *sinks[EVENT_SINKS_MAX]; /* not changed once events flow */
    size_t sink_count;
    /* Borrowed: what notes, names and errors must not show. The output of steps has gone through
     * it before (log/pump.h). NULL: there are no secrets. */
    struct mask *mask;
};

#define EVENT_BUS_INIT                                                                             \
    {                                                                                              \
        .mu = PTHREAD_MUTEX_INITIALIZER                                                            \
    }

/* Before the first event; the sink stays the caller's. */
void event_bus_add(struct event_bus *bus, struct event_sink *sink);
/* Delivers to every sink; stamps the time if it is 0. */
void event_bus_emit(struct event_bus *bus, struct event *event);
/* The same for a caller that holds bus->mu, because it changes what sinks look at. */
void event_bus_deliver(struct event_bus *bus, const struct event *event);
void event_bus_note(struct event_bus *bus, const struct node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* An EVENT_PROGRESS: what `progress` says of it, with its text masked. */
void event_bus_progress(struct event_bus *bus, const struct event *progress);
/* -1 while every sink has room, else the descriptor of one that has none. */
int event_bus_room_fd(const struct event_bus *bus);
/* Returns when every sink has room, or when ctx ends (NULL: does not wait at all). */
void event_bus_wait_for_room(struct event_bus *bus, const struct ctx *ctx);

/* "StepStarted", "JobFailed", "StepLog" …: the name of an event in JSON. */
void event_name(const struct event *event, struct buf *out);
