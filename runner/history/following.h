/* Having the store know what a record says, while its run goes on: the record is read once, each
 * time only what is new in it. history_follow() does all of that for one run, once.
 *
 *     following_open(history, run_id, &following, err)
 *     following_set_known(following, row)              what the store has, if it has the run
 *     following_read(following)
 *     while (following_change(following, &change, err) > 0)
 *         store_write(ctx, history->store, &change, 1, err)
 *         written:   following_written(following)
 *         conflict:  following_set_known(following, row), as it is by now
 *     if (following_has_ended(following)) following_finish(following)
 *
 * Client, priority, time of submission, and until the run says it the name, stay what they are in
 * the store: a record does not know them.
 *
 * Threads: each belongs to one at a time. */
#pragma once

#include "history/history.h"
#include "record/record.h"

struct following;

#define CLEANUP_FOLLOWING CLEANUP(following_cleanup)

/* ERR_NOT_FOUND: there is no record. */
int following_open(const struct history *history, const char *run_id, struct following **ret,
                   struct err *err) __attribute__((warn_unused_result));
/* NULL is fine. */
void following_close(struct following *following);
static inline void following_cleanup(struct following **following)
{
    following_close(*following);
}

/* Copied. Without it the store does not have the run. */
void following_set_known(struct following *following, const struct store_run *row);
/* Reads what is new. A run that did not say how it ended, and whose writer is gone, is lost. */
void following_read(struct following *following);
/* Whether what was read is the end of it, be it that it is lost. */
bool following_has_ended(const struct following *following);
/* What was read, as a row; borrowed, until the next read. */
const struct store_run *following_row(const struct following *following);
/* Whether the writer of the record lives. */
bool following_is_written(const struct following *following);
/* Of the record: "RUNS/RUNID". */
const char *following_directory(const struct following *following);

/* 1: what has the store know all that was read; it borrows from `following`, until the next call
 * for that. 0: the store knows it. -1: ERR_PROTOCOL, the store knows more than the record of a
 * run says that is not lost. */
int following_change(struct following *following, struct store_change *ret, struct err *err)
    __attribute__((warn_unused_result));
/* The store has got that change. */
void following_written(struct following *following);
/* The store knows the end: nobody has to look for it any more. */
void following_finish(const struct following *following);
