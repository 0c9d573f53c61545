/* A record as a tree and as a row of the store; internal to history/. */
#pragma once

#include "base/vec.h"
#include "event/node.h"
#include "record/events.h"
#include "store/store.h"

/* What the events of a record say. */
struct told {
    uint64_t last;   /* the number of the last event */
    json_t *began;   /* the first; NULL: not even that */
    json_t *ended;   /* the last, if it is the end */
    int64_t time_ms; /* of the last */
    struct node root;
    bool grown; /* root is there */
    /* Events that have not been applied to it: the end may make that needless. */
    struct strvec waiting;
    size_t waiting_bytes;
    struct record_events *events; /* behind the last; borrows the record */
};

#define CLEANUP_TOLD CLEANUP(told_release)

/* Zeroed before; again with what that left: reads what came since, from the same record. What is
 * damaged is left out: a run without a row could not be found at all. */
void told_read(const struct record *record, struct told *ret);
/* Before the record is closed. */
void told_release(struct told *told);
/* Adds the events behind `after` that `events` (opened there, or read up to there) still has, up to
 * the last that was told; "{}" for those that are damaged. */
void told_lines(const struct told *told, struct record_events *events, uint64_t after,
                struct strvec *out);
/* Nothing more will be told: what ran has lost its outcome, and what waited never ran. That is one
 * more event, which the record has not got. */
void told_lost(struct told *told, const struct record *record);
/* A row that borrows from both. */
void told_row(const struct told *told, const struct record *record, struct store_run *ret);
