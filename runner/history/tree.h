/* A record as a tree and as a row of the store; internal to history/. */
#pragma once

#include "base/vec.h"
#include "event/node.h"
#include "record/events.h"
#include "store/store.h"

/* What the events of a record say. */
struct told {
    struct strvec lines; /* all of them, the first has number 1 */
    json_t *began;       /* the first; NULL: not even that */
    json_t *ended;       /* the last, if it is the end */
    struct node root;
    bool grown; /* root is there */
};

#define CLEANUP_TOLD CLEANUP(told_release)

/* Zeroed before. What is damaged ends it: what came before it counts. */
int told_read(const struct record *record, struct told *ret, struct err *err)
    __attribute__((warn_unused_result));
void told_release(struct told *told);
/* Nothing more will be told: what ran has lost its outcome, and what waited never ran. Adds an
 * event that says so. */
void told_lost(struct told *told, const char *run_id);
/* A row that borrows from both. */
void told_row(const struct told *told, const struct record *record, struct store_run *ret);
