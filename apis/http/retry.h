/* Trying again: exponential backoff with full jitter, honouring Retry-After.
 *
 *     struct retry retry;
 *     retry_init(&retry, &(struct retry_policy){.attempts = 5});
 *     for (;;) {
 *         if (attempt(ctx, …, err) == 0)
 *             return 0;
 *         if (!retry_is_transient(err) || retry_wait(ctx, &retry, retry_after_ms, err) < 0)
 *             return -1;
 *     }
 *
 * Threads: one struct, one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

struct retry_policy {
    int attempts;         /* in all, the first included; 0: RETRY_ATTEMPTS_DEFAULT */
    int64_t base_ms;      /* the first delay is in [base/2, base]; 0: 500 */
    int64_t max_delay_ms; /* cap of the computed delay and of Retry-After; 0: 30,000 */
};

#define RETRY_ATTEMPTS_DEFAULT 4

struct retry {
    struct retry_policy policy;
    int attempt; /* attempts that failed so far */
    uint64_t random;
};

void retry_init(struct retry *retry, const struct retry_policy *policy);
/* Whether the failure may pass by itself: no connection, connection lost, or an HTTP status (in
 * err->errnum) of 408, 429 or 5xx but 501 and 505. */
bool retry_is_transient(const struct err *err);
/* The delay before the next attempt, at least retry_after_ms (< 0: none) within the cap. */
int64_t retry_next_delay_ms(struct retry *retry, int64_t retry_after_ms);
/* Whether retry_wait() would allow another attempt. */
bool retry_left(const struct retry *retry);
/* Sleeps before the next attempt. -1 with *err untouched when no attempt is left, -1 with the
 * ctx's error when that ended. */
int retry_wait(const struct ctx *ctx, struct retry *retry, int64_t retry_after_ms, struct err *err)
    __attribute__((warn_unused_result));
