#include "apis/http/retry.h"

#include <unistd.h>

#include "base/clock.h"

void retry_init(struct retry *retry, const struct retry_policy *policy)
{
    *retry = (struct retry){.policy = *policy};
    if (retry->policy.attempts <= 0)
        retry->policy.attempts = RETRY_ATTEMPTS_DEFAULT;
    if (retry->policy.base_ms <= 0)
        retry->policy.base_ms = 500;
    if (retry->policy.max_delay_ms <= 0)
        retry->policy.max_delay_ms = 30000;
    /* The jitter need not be hard to guess, only differ between processes and threads. */
    retry->random = (uint64_t)clock_wall_ms() ^ ((uint64_t)getpid() << 32) ^ (uintptr_t)retry;
}

bool retry_is_transient(const struct err *err)
{
    int status = err->errnum;

    if (err->code == ERR_TIMEOUT || err->code == ERR_CANCELLED || err->code == ERR_SYSTEM)
        return false;
    if (err_is_away(err))
        return true;
    if (status == 501 || status == 505)
        return false;
    return status == 408 || status == 429 || (status >= 500 && status <= 599);
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t retry_next_delay_ms(struct retry *retry, int64_t retry_after_ms)
{
    const struct retry_policy *p = &retry->policy;
    int64_t delay = p->base_ms;

    for (int i = 0; i < retry->attempt && delay < p->max_delay_ms; i++)
        delay *= 2;
    if (delay > p->max_delay_ms)
        delay = p->max_delay_ms;
    delay = delay / 2 + (int64_t)(next_random(&retry->random) % (uint64_t)(delay / 2 + 1));
    if (retry_after_ms > delay)
        delay = retry_after_ms < p->max_delay_ms ? retry_after_ms : p->max_delay_ms;
    return delay;
}

bool retry_left(const struct retry *retry)
{
    return retry->attempt + 1 < retry->policy.attempts;
}

int retry_wait(const struct ctx *ctx, struct retry *retry, int64_t retry_after_ms, struct err *err)
{
    int64_t delay = retry_next_delay_ms(retry, retry_after_ms);

    if (++retry->attempt >= retry->policy.attempts)
        return -1;
    return ctx_sleep(ctx, delay, err);
}
