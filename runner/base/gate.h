/* A counting semaphore that is waited for under a context. One slot makes it a lock that may be
 * held while calling out. */
#pragma once

#include "base/ctx.h"
#include "base/err.h"

struct gate {
    int event_fd; /* EFD_SEMAPHORE: its count is the number of free slots */
};

int gate_init(struct gate *gate, unsigned slots, struct err *err)
    __attribute__((warn_unused_result));
void gate_release(struct gate *gate);
/* Takes a slot; -1 when the context ended before one was free. */
int gate_enter(const struct ctx *ctx, struct gate *gate, struct err *err)
    __attribute__((warn_unused_result));
/* 1 with a slot, 0 when none was free for timeout_ms (0: does not wait), -1 as above. */
int gate_enter_within(const struct ctx *ctx, struct gate *gate, int timeout_ms, struct err *err)
    __attribute__((warn_unused_result));
void gate_leave(struct gate *gate);
