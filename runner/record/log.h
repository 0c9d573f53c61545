/* The log of a run, read from its record: output and notes, in the order in which they came.
 *
 * An item is what came as one event: whole lines, or pieces of one; record_log_line() takes it
 * apart. Items are numbered from 1 without a gap. They lie in compressed blocks, and an index with
 * an entry for each block says what is in it: a reader looks at no block that holds nothing for it,
 * and finds a number or a time in log n steps. A block is there once its entry is, and both never
 * change.
 *
 *     record_log_open(record, &filter, &log, err)
 *     record_log_seek_seq(log, 1000)
 *     record_log_next(log, &item, err)        until RECORD_END; RECORD_NONE_YET: wait (watch.h)
 *
 * What is damaged is told once, with its place, and left out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/record.h"

enum record_stream {
    RECORD_STDOUT,
    RECORD_STDERR,
    RECORD_NOTE,    /* a remark of the runner, one line without its newline */
    RECORD_MISSING, /* `missing_bytes` of output are not here; no filter leaves that out. Several
                     * may follow each other: they add up */
};

enum {
    RECORD_STDOUT_BIT = 1 << RECORD_STDOUT,
    RECORD_STDERR_BIT = 1 << RECORD_STDERR,
    RECORD_NOTE_BIT = 1 << RECORD_NOTE,
};

struct record_log_filter {
    /* The node and what is below it, by its id without that of the run: "0.1.2". A service is below
     * its parent, with its name: "0.1.db". NULL, "": all. */
    const char *node;
    unsigned streams; /* RECORD_*_BIT; 0: all */
};

struct record_item {
    uint64_t seq;
    int64_t time_ms;
    uint64_t last_event; /* the number of the event that came before it */
    enum record_stream stream;
    bool continued;       /* its first line goes on where the item of this node and stream before
                           * stopped */
    uint32_t node_number; /* of struct node; a service has that of its parent */
    const char *node;     /* as in the filter, NUL-terminated; until the next call, as `data` */
    const char *data;     /* exact bytes, newlines included */
    size_t size;
    uint64_t missing_bytes;
};

struct record_line {
    const char *data; /* without its newline */
    size_t size;
    bool continued; /* goes on where the one before stopped */
    bool complete;  /* it ends here */
};

/* What is in it now. */
struct record_log_totals {
    uint64_t records;
    uint64_t lines;        /* newlines of output */
    uint64_t bytes;        /* of output and notes */
    uint64_t stored_bytes; /* of the file */
};

struct record_log;

#define CLEANUP_RECORD_LOG CLEANUP(cleanup_record_log)

/* From the first item on; the filter (NULL: none) is copied, the record borrowed. */
void record_log_open(const struct record *record, const struct record_log_filter *filter,
                     struct record_log **ret);
/* NULL is fine. */
void record_log_close(struct record_log *log);
/* The next one that the filter lets through. */
enum record_got record_log_next(struct record_log *log, struct record_item *ret, struct err *err)
    __attribute__((warn_unused_result));

/* Goes to the first item with that number or a higher one; of those to come, if there is none. */
int record_log_seek_seq(struct record_log *log, uint64_t seq, struct err *err)
    __attribute__((warn_unused_result));
/* Goes to the first item that is not older. Clocks jump: items behind it may be. */
int record_log_seek_time(struct record_log *log, int64_t time_ms, struct err *err)
    __attribute__((warn_unused_result));
/* Goes to the item with which the last `lines` lines that have ended begin, of those that the
 * filter lets through; the first *ret_skip lines of it come before them. */
int record_log_seek_tail(struct record_log *log, uint64_t lines, uint64_t *ret_skip,
                         struct err *err) __attribute__((warn_unused_result));
int record_log_totals(struct record_log *log, struct record_log_totals *ret, struct err *err)
    __attribute__((warn_unused_result));

/* The line of an item at *at (0 at first), which moves on; false: there is none. A note is one. */
bool record_log_line(const struct record_item *item, size_t *at, struct record_line *ret);

static inline void cleanup_record_log(struct record_log **log)
{
    record_log_close(*log);
}
