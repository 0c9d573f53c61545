#include "exec/retry.h"

#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/parse.h"

static bool is_cause(const char *text, const struct outcome *outcome)
{
    const struct node_result *result = &outcome->result;
    const struct node *step = outcome->failed; /* of a job */
    int64_t code;

    if (parse_int64(text, &code, NULL) == 0)
        return step ? step->has_exit_code && step->exit_code == code
                    : result->has_exit_code && result->exit_code == code;
    if (strcmp(text, "engine") == 0)
        return result->by_engine && result->reason == REASON_ERROR;
    return strcmp(text, reason_name(result->reason)) == 0;
}

static bool is_among(const struct spec_strs *causes, const struct outcome *outcome)
{
    for (size_t i = 0; i < causes->len; i++) {
        if (is_cause(causes->items[i].text, outcome))
            return true;
    }
    return false;
}

static uint32_t attempts_of(const struct spec_retry *retry)
{
    if (retry->attempts != SPEC_UNSET)
        return retry->attempts < UINT32_MAX ? (uint32_t)retry->attempts : UINT32_MAX;
    if (retry->again != SPEC_UNSET)
        return retry->again < UINT32_MAX ? (uint32_t)retry->again + 1 : UINT32_MAX;
    return 2;
}

bool exec_retry_follows(const struct spec_retry *retry, uint32_t attempt,
                        const struct outcome *outcome)
{
    if (!retry || outcome->state != STATE_FAILED || attempt >= attempts_of(retry))
        return false;
    return (!retry->on.len || is_among(&retry->on, outcome)) && !is_among(&retry->not_on, outcome);
}

static int64_t grown(const struct spec_retry *retry, uint32_t attempt, int64_t max_ms)
{
    int64_t delay_ms = retry->delay_ms;

    switch (retry->backoff) {
    case SPEC_BACKOFF_LINEAR:
        if (__builtin_mul_overflow(delay_ms, (int64_t)attempt, &delay_ms))
            return max_ms;
        break;
    case SPEC_BACKOFF_EXPONENTIAL:
        for (uint32_t i = 1; i < attempt && delay_ms < max_ms; i++)
            delay_ms *= 2;
        break;
    default:
        break;
    }
    return delay_ms < max_ms ? delay_ms : max_ms;
}

int64_t exec_retry_delay_ms(const struct spec_retry *retry, uint32_t attempt)
{
    int64_t max_ms =
        retry->max_delay_ms == SPEC_UNSET ? RETRY_MAX_DELAY_DEFAULT_MS : retry->max_delay_ms;
    int64_t delay_ms;
    uint32_t random;

    if (retry->delay_ms == SPEC_UNSET)
        return 0;
    /* A pause that is longer from the start is what the file says. */
    if (retry->max_delay_ms == SPEC_UNSET && max_ms < retry->delay_ms)
        max_ms = retry->delay_ms;
    delay_ms = grown(retry, attempt, max_ms);
    if (retry->jitter == SPEC_TRUE && getrandom(&random, sizeof(random), 0) == sizeof(random))
        delay_ms -= (int64_t)((double)delay_ms / 2 * (random / (double)UINT32_MAX));
    return delay_ms;
}

/* The context ended during the pause: that is what ends the node then. */
static void end_by_context(const struct ctx *ctx, struct outcome *outcome)
{
    struct err err = ERR_INIT;

    ctx_check(ctx, &err);
    outcome_release(outcome);
    outcome_of_error(ctx, &err, outcome);
}

bool exec_retry_wait(struct run *run, const struct ctx *ctx, struct node *node,
                     const struct spec_retry *retry, struct outcome *outcome)
{
    int64_t delay_ms = exec_retry_delay_ms(retry, node->attempt);

    if (ctx_done(ctx))
        return false;
    if (ctx->deadline_ms != INT64_MAX && ctx->deadline_ms - clock_monotonic_ms() <= delay_ms) {
        event_bus_note(run->bus, node,
                       "not tried again: the pause would outlast the time that is left");
        return false;
    }
    node_retry(run->bus, node, &outcome->result, delay_ms);
    if (ctx_sleep(ctx, delay_ms, NULL) == 0)
        return true;
    end_by_context(ctx, outcome);
    return false;
}
