/* A run that goes on elsewhere, or is over, shown here: what was read of it, from its record or
 * from a server, becomes events on a bus of this process, about a tree of its own, for the same
 * sinks.
 *
 *     playback_init(&playback, &bus)
 *     playback_event(&playback, object, err)     its events, in their order, from the first on
 *     playback_output(&playback, &output)        and its output in between, as it came
 *     ... playback.root, playback.ended ...
 *     playback_release(&playback)
 *
 * Notes are events and in the log: they are taken from the log (record/follow.h).
 * Threads: one at a time; sinks may have their own, which the lock of the bus keeps out. */
#pragma once

#include <jansson.h>

#include "event/event.h"

struct playback {
    struct event_bus *bus;
    struct node root; /* its states are those of the last event */
    char *run_id;     /* NULL: it has not begun */
    bool planned;     /* root is there */
    json_t *ended;    /* what RunEnded says; NULL: it has not ended */
};

/* Borrows the bus. */
void playback_init(struct playback *playback, struct event_bus *bus);
void playback_release(struct playback *playback);
/* Events of record/events.h and of `--progress json`. ERR_PROTOCOL: it makes no sense, and nothing
 * was changed. */
int playback_event(struct playback *playback, const json_t *event, struct err *err)
    __attribute__((warn_unused_result));

struct playback_output {
    const char *node; /* by its id without that of the run: "0.1.2", "0.1.db", "" the run itself */
    int64_t time_ms;
    bool is_note; /* `data` is its text, NUL-terminated */
    enum event_stream stream;
    const char *data;
    size_t size;
    bool continued;
};

/* What comes before there is a tree, or is of no node, is left out. */
void playback_output(struct playback *playback, const struct playback_output *output);
