/* Whether, and when, a failed attempt is repeated. Source: pipeline file reference, `retry`. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "exec/run.h"

#define RETRY_MAX_DELAY_DEFAULT_MS INT64_C(300000)

/* Whether attempt number `attempt`, counted from 1, which ended so, is followed by another. NULL
 * retry: never. What was cancelled never is. */
bool exec_retry_follows(const struct spec_retry *retry, uint32_t attempt,
                        const struct outcome *outcome);
/* The pause behind that attempt, in milliseconds, the jitter included. */
int64_t exec_retry_delay_ms(const struct spec_retry *retry, uint32_t attempt);
/* Emits that the attempt of the node ended so and waits for the next one's turn. False when the
 * deadline is before that; or when ctx ends in the meantime, which is then the outcome. */
bool exec_retry_wait(struct run *run, const struct ctx *ctx, struct node *node,
                     const struct spec_retry *retry, struct outcome *outcome);
