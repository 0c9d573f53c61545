/* Writing the record of a run: a sink of events.
 *
 *     record_create(&options, &writer, err)         behind the fork of the keeper, see record_fd()
 *     event_bus_add(bus, record_sink(writer))
 *     ...
 *     record_finish(writer, &end, err)              behind the last event
 *
 * The first line of `events` is there from the beginning. The first event brings the second, with
 * the whole tree as it is then. State changes, retries and notes become lines; output and notes go
 * into the log, progress nowhere. All of it is written by a thread: what has come is in the files
 * 100 ms later, and output before any event that came behind it. The sink never waits; it has no
 * room (event_sink) while more than a megabyte has not been written.
 *
 * Whatever happens to the disk, the run goes on. Output that could not be written, or is beyond the
 * limit, is missing: a note among the events says so at once, an item of the log says where it was
 * and how much as soon as that can be written, and the last event how much it was in all.
 *
 * Threads: the sink is called by the bus; the rest by one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "event/event.h"

#define RECORD_LOG_LIMIT (INT64_C(4) << 30)

struct record_writer;

/* Everything is copied; NULL: not known. */
struct record_options {
    const char *runs_dir; /* made if need be; NULL: the first of record_dirs() that can be used */
    const char *run_id;
    const char *origin;    /* "exec", "server" */
    const char *owner;     /* own_owner_format() */
    const char *user;      /* who started it */
    const char *directory; /* where */
    const char *source;    /* the text of the pipeline file */
    size_t source_size;
    int64_t log_limit_bytes; /* of the file `log`; 0: RECORD_LOG_LIMIT */
    /* Puts more into the directory of the record, before anybody can find that; NULL: nothing. -1:
     * there will be no record. What it has put there goes with the record. */
    int (*furnish)(void *arg, int dir_fd, struct err *err);
    void *furnish_arg;
};

struct record_end {
    const struct node *root; /* NULL: the run ended before there was a tree */
    bool has_exit_code;
    int exit_code;    /* of the runner */
    const char *text; /* how the run ended, for people; NULL: the states say it */
};

/* Makes and locks the record, and writes its first event. ERR_CONFLICT: there is one already. Now
 * and then also removes what an earlier removal, or a creation, has left behind because its process
 * died. */
int record_create(const struct record_options *options, struct record_writer **ret, struct err *err)
    __attribute__((warn_unused_result));
struct event_sink *record_sink(struct record_writer *writer);
/* "RUNS/RUNID" */
const char *record_writer_path(const struct record_writer *writer);
/* The descriptor that holds the lock (close-on-exec). The lock lasts until the last copy of it is
 * closed: a process that is forked off and does not exec must close its own. */
int record_fd(const struct record_writer *writer);
/* Writes what is left and the last line, unlocks and frees. -1: something could not be written, err
 * says what first. */
int record_finish(struct record_writer *writer, const struct record_end *end, struct err *err)
    __attribute__((warn_unused_result));
/* Instead of record_finish(): nothing has begun, and the record is removed. NULL is fine. */
void record_discard(struct record_writer *writer);
