/* The output of a run on disk, for the reports that are written at its end.
 *
 * A sink of events. Each node that has output or notes gets a file of bounded size: the first
 * LOG_SPOOL_HEAD bytes, and behind them a ring that holds the last LOG_SPOOL_TAIL bytes; what lies
 * between is not kept, and the reader is told how much that was. Memory does not grow with the
 * output: the files are written by the thread of an output queue.
 *
 *     log_spool_new(dir, &spool, err)        before the first event
 *     event_bus_add(bus, log_spool_sink(spool))
 *     log_spool_finish(spool, err)           behind the last one
 *     log_spool_read(spool, node, ...)
 *     log_spool_free(spool)                  the files stay where they are
 *
 * Threads: the sink is called by the bus; the rest by one thread, readers behind finish. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "event/event.h"

enum { LOG_SPOOL_HEAD = 1 << 20, LOG_SPOOL_TAIL = 3 << 20 };

struct log_spool;

enum log_record_kind {
    LOG_RECORD_STDOUT,
    LOG_RECORD_STDERR,
    LOG_RECORD_NOTE, /* also: an attempt ended */
    LOG_RECORD_CUT,  /* `lost` bytes are missing here */
};

struct log_record {
    enum log_record_kind kind;
    bool continued;   /* goes on with the line of the record before, if that has the same kind */
    const char *data; /* one line or a piece of it, without its newline */
    size_t size;
    uint64_t lost;
};

/* `dir` is made, readable for the owner only. */
int log_spool_new(const char *dir, struct log_spool **ret, struct err *err)
    __attribute__((warn_unused_result));
struct event_sink *log_spool_sink(struct log_spool *spool);
/* Nothing may be emitted any more. -1: something could not be written, and is missing. */
int log_spool_finish(struct log_spool *spool, struct err *err) __attribute__((warn_unused_result));
/* Gives the records of a node in their order. */
int log_spool_read(const struct log_spool *spool, const struct node *node,
                   void (*record)(void *arg, const struct log_record *record), void *arg,
                   struct err *err) __attribute__((warn_unused_result));
/* NULL is fine. */
void log_spool_free(struct log_spool *spool);
