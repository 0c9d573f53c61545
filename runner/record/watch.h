/* Waiting until there is more in a record, or its writer is gone. */
#pragma once

#include "base/ctx.h"
#include "record/record.h"

struct record_watch;

#define CLEANUP_RECORD_WATCH CLEANUP(cleanup_record_watch)

/* What comes into the record from now on ends the first wait. Borrows the record. Where the kernel
 * does not tell (no more inotify instances, a file system of another machine), waits end by
 * themselves now and then. */
void record_watch_open(const struct record *record, struct record_watch **ret);
/* NULL is fine. */
void record_watch_close(struct record_watch *watch);
/* 1: look again, there may be more, or the end; 0 after timeout_ms (< 0: none); -1 when the context
 * ended, err says why. */
int record_watch_wait(struct record_watch *watch, const struct ctx *ctx, int timeout_ms,
                      struct err *err) __attribute__((warn_unused_result));

static inline void cleanup_record_watch(struct record_watch **watch)
{
    record_watch_close(*watch);
}
