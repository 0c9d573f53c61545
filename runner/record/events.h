/* The events of a run, read from its record.
 *
 * Each line is an object of event/json.h with its number before all else: "seq" 1, 2, 3 … without a
 * gap. The first is "RunBegan", with "format" 1, "id", "origin", "owner", "user", "directory" and
 * "time"; what is not known is absent. It is there as soon as the record is. Before all other
 * events comes "RunPlanned", with "name" (of the pipeline) and "tree" (node_tree_to_json()); a run
 * that ended before there was a tree has none. The last is "RunEnded", with "status",
 * "reason" and "error" (of the pipeline), "exit_code" (of the runner), "text", "tree" again unless
 * that is large, so that who wants the outcome alone need not read what lies between, and "log",
 * which counts "records", "lines", "bytes", "stored_bytes" and "missing_bytes".
 *
 * "seq", "event", "time" and "id" (RUN.0.1.2) come first; the id of RunBegan, behind its format.
 * A line that is not complete, because it is being written or its writer died, is not there yet. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/record.h"

#define RECORD_FORMAT 1

struct record_event {
    uint64_t seq;
    const char *json; /* one object, NUL-terminated, without a newline; until the next call */
    size_t size;
};

struct record_events;

#define CLEANUP_RECORD_EVENTS CLEANUP(cleanup_record_events)

/* Those with numbers above after_seq; borrows the record. */
void record_events_open(const struct record *record, uint64_t after_seq,
                        struct record_events **ret);
enum record_got record_events_next(struct record_events *events, struct record_event *ret,
                                   struct err *err) __attribute__((warn_unused_result));
/* Where the node of an event is, as in record_log_filter: "0.1.2", "" for the run itself. Points
 * into the event, and is not NUL-terminated. */
const char *record_event_node(const struct record_event *event, size_t *ret_size);
/* Its name, "StepStarted"; likewise. */
const char *record_event_name(const struct record_event *event, size_t *ret_size);
/* RunBegan, RunPlanned, RunEnded: of the run, and of no node. */
bool record_event_is_of_run(const struct record_event *event);
/* StepNote and the like. */
bool record_event_is_note(const struct record_event *event);
/* NULL is fine. */
void record_events_close(struct record_events *events);

/* Gives all that are there now, until the callback returns something else than 0, which comes back.
 * -1: something is damaged, and what is behind it was not given. */
int record_events_read(const struct record *record, uint64_t after_seq,
                       int (*event)(void *arg, const struct record_event *event), void *arg,
                       struct err *err) __attribute__((warn_unused_result));

static inline void cleanup_record_events(struct record_events **events)
{
    record_events_close(*events);
}
