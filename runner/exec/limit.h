/* How many may be in at a time; those who wait get in in the order in which they came.
 *
 * Threads: any. */
#pragma once

#include <stdint.h>

#include "base/ctx.h"

struct limit;

/* `count` is at least 1. */
struct limit *limit_new(uint32_t count);
void limit_free(struct limit *limit);
/* Waits to get in, but not beyond the end of ctx: then -1 and the error of ctx. */
int limit_enter(struct limit *limit, const struct ctx *ctx, struct err *err)
    __attribute__((warn_unused_result));
void limit_leave(struct limit *limit);
