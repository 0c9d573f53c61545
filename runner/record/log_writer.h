/* Puts records into blocks: internal to record/. What cannot be written is counted, and told in the
 * log by a record of its own as soon as that can be.
 *
 * Threads: one at a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "record/format.h"

struct log_writer {
    int log_fd;
    int index_fd;
    int64_t limit; /* of the file */
    bool full;     /* the limit has been reached: nothing is written but what is missing */
    uint64_t offset;
    uint64_t index_offset;
    uint64_t next_seq;
    struct buf block;          /* records that are no block yet */
    struct format_entry entry; /* says what is in them */
    char last_node[256];       /* whose bits have just been set */
    size_t last_node_size;
    char *stored; /* LZ4 writes into it */
    /* Totals of what is in the file, and of what has not got there. */
    uint64_t lines;
    uint64_t bytes;
    uint64_t missing_bytes;
    uint64_t untold_bytes; /* of those: not told in the log yet */
    int64_t untold_ms;
    int64_t last_ms;
    uint32_t last_event; /* came before what was added last */
};

void log_writer_init(struct log_writer *w, int log_fd, int index_fd, int64_t limit);
void log_writer_release(struct log_writer *w);
/* Whole records, one behind the other, which came behind the event `last_event`; that is set in
 * them. -1: some of them are missing now. */
int log_writer_add(struct log_writer *w, char *records, size_t size, uint64_t last_event,
                   struct err *err) __attribute__((warn_unused_result));
/* Ends the block, so that all that came is in the files. */
int log_writer_flush(struct log_writer *w, struct err *err) __attribute__((warn_unused_result));
/* So much came behind the limit. */
void log_writer_skip(struct log_writer *w, uint64_t bytes);
/* Ends the log; says what is missing even if the limit has been reached. */
int log_writer_finish(struct log_writer *w, struct err *err) __attribute__((warn_unused_result));
