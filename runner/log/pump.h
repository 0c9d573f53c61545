/* The log path of one step: bytes from the engine become EVENT_LOG events, without the secrets of
 * the bus's mask.
 *
 * Other bytes are passed on exactly and in order for each stream. What may be the beginning of a
 * secret waits until that is decided, also beyond the times and sizes below. Events hold whole
 * lines, so that displays need no memory of their own; a line longer than LOG_LINE_MAX goes on in
 * pieces, and what has waited 200 ms for its newline goes out without it. Both are marked by
 * `continued` on what follows. A piece never ends inside a UTF-8 sequence.
 *
 *     log_pump_init(&pump, flusher, bus, node);
 *     log_pump_write(&pump, ctx, EVENT_STDOUT, data, size);
 *     log_pump_finish(&pump);           last line without newline included
 *
 * Threads: one thread writes at a time; the flusher's thread joins in for late lines. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "event/event.h"
#include "mask/mask.h"

enum { LOG_LINE_MAX = 64 * 1024, LOG_PARTIAL_MS = 200, LOG_TAIL_MAX = 16 * 1024 };

struct log_flusher;
struct log_pump;

struct log_stream {
    struct buf partial; /* the bytes since the last newline that have not been emitted */
    int64_t since_ms;   /* when that began to wait */
    bool mid_line;      /* a piece of the current line has been emitted */
    struct mask_stream mask;
};

struct log_pump {
    struct event_bus *bus;
    const struct node *node;
    struct log_flusher *flusher;
    pthread_mutex_t mu; /* guards the streams and the tail, held while emitting */
    struct log_stream streams[2];
    struct buf tail;
    /* Of the flusher, guarded by its lock. */
    struct log_pump *next;
    int64_t due_ms; /* 0: not in its list */
};

/* The thread that emits lines which do not end; started when the first one appears. */
struct log_flusher *log_flusher_new(void);
/* Every pump must have been finished. NULL is fine. */
void log_flusher_free(struct log_flusher *flusher);

void log_pump_init(struct log_pump *pump, struct log_flusher *flusher, struct event_bus *bus,
                   const struct node *node);
/* Takes all bytes. Waits while sinks are full, but not beyond the end of ctx (NULL: not at all). */
void log_pump_write(struct log_pump *pump, const struct ctx *ctx, enum event_stream stream,
                    const void *data, size_t size);
/* Emits what is left and frees everything but the tail. */
void log_pump_finish(struct log_pump *pump);
/* The last lines, at most `lines` of them, of what was written, NUL bytes as "?"; the
 * caller frees. NULL: nothing. */
char *log_pump_tail(const struct log_pump *pump, unsigned lines);
void log_pump_release(struct log_pump *pump);
