#include "base/ctx.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/clock.h"

enum { POLL_MAX = 16 };

static void init(struct ctx *ctx)
{
    *ctx = (struct ctx){.deadline_ms = INT64_MAX, .cancel = {.event_fd = -1}};
}

int ctx_signal_init(struct ctx_signal *signal, struct err *err)
{
    atomic_init(&signal->cause, CTX_CAUSE_NONE);
    signal->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (signal->event_fd < 0)
        return err_errno(err, "cannot create an eventfd");
    return 0;
}

void ctx_signal_raise(struct ctx_signal *signal, enum ctx_cause cause)
{
    int none = CTX_CAUSE_NONE;

    if (atomic_compare_exchange_strong(&signal->cause, &none, (int)cause))
        eventfd_write(signal->event_fd, 1); /* -1: nobody polls it */
}

void ctx_signal_release(struct ctx_signal *signal)
{
    if (signal->event_fd >= 0)
        close(steal_fd(&signal->event_fd));
}

static bool raised(const struct ctx_signal *signal)
{
    return signal->event_fd >= 0 && atomic_load(&signal->cause) != CTX_CAUSE_NONE;
}

int ctx_init_root(struct ctx *ctx, struct ctx_signal *hurry, struct err *err)
{
    init(ctx);
    ctx->hurry = hurry;
    return ctx_signal_init(&ctx->cancel, err);
}

void ctx_init(struct ctx *ctx, const struct ctx *parent)
{
    init(ctx);
    ctx->parent = parent;
    ctx->deadline_ms = parent->deadline_ms;
    ctx->deadline_from = parent->deadline_from;
    ctx->hurry = parent->hurry;
}

int ctx_init_cancel(struct ctx *ctx, const struct ctx *parent, struct err *err)
{
    ctx_init(ctx, parent);
    return ctx_signal_init(&ctx->cancel, err);
}

void ctx_init_grace(struct ctx *ctx, const struct ctx *of, int64_t timeout_ms)
{
    init(ctx);
    ctx->hurry = of->hurry;
    ctx->also = of->hurry;
    ctx_set_timeout(ctx, timeout_ms > 0 ? timeout_ms : 1, "grace period");
}

void ctx_init_cleanup(struct ctx *ctx, int64_t timeout_ms)
{
    init(ctx);
    ctx_set_timeout(ctx, timeout_ms, "cleanup");
}

void ctx_release(struct ctx *ctx)
{
    ctx_signal_release(&ctx->cancel);
}

void ctx_set_timeout(struct ctx *ctx, int64_t timeout_ms, const char *label)
{
    int64_t now = clock_monotonic_ms();
    int64_t deadline;

    if (timeout_ms <= 0)
        return;
    deadline = timeout_ms < INT64_MAX - now ? now + timeout_ms : INT64_MAX;
    ctx->label = label;
    ctx->limit_ms = timeout_ms;
    if (deadline < ctx->deadline_ms) {
        ctx->deadline_ms = deadline;
        ctx->deadline_from = ctx;
    }
}

void ctx_cancel(struct ctx *ctx, enum ctx_cause cause)
{
    ctx_signal_raise(&ctx->cancel, cause);
}

enum ctx_cause ctx_cancel_cause(const struct ctx *ctx)
{
    for (; ctx; ctx = ctx->parent) {
        if (raised(&ctx->cancel))
            return (enum ctx_cause)atomic_load(&ctx->cancel.cause);
        if (ctx->also && atomic_load(&ctx->also->cause) != CTX_CAUSE_NONE)
            return (enum ctx_cause)atomic_load(&ctx->also->cause);
    }
    return CTX_CAUSE_NONE;
}

bool ctx_expired(const struct ctx *ctx)
{
    return clock_monotonic_ms() >= ctx->deadline_ms;
}

bool ctx_done(const struct ctx *ctx)
{
    return ctx_cancel_cause(ctx) != CTX_CAUSE_NONE || ctx_expired(ctx);
}

int ctx_timeout_error(const struct ctx *ctx, struct err *err)
{
    const struct ctx *from = ctx->deadline_from;
    char limit[CLOCK_DURATION_SIZE];

    clock_format_limit(from->limit_ms, limit, sizeof(limit));
    return err_set(err, ERR_TIMEOUT, "%s timeout after %s", from->label, limit);
}

int ctx_check(const struct ctx *ctx, struct err *err)
{
    if (ctx_cancel_cause(ctx) != CTX_CAUSE_NONE)
        return err_set(err, ERR_CANCELLED, "cancelled");
    return ctx_expired(ctx) ? ctx_timeout_error(ctx, err) : 0;
}

int ctx_remaining_ms(const struct ctx *ctx, int max_ms)
{
    int64_t left;

    if (ctx->deadline_ms == INT64_MAX)
        return max_ms < 0 ? -1 : max_ms;
    left = ctx->deadline_ms - clock_monotonic_ms();
    if (left < 0)
        left = 0;
    if (left > INT_MAX)
        left = INT_MAX;
    return max_ms >= 0 && max_ms < left ? max_ms : (int)left;
}

size_t ctx_fds(const struct ctx *ctx, int fds[CTX_FDS_MAX])
{
    size_t count = 0;

    for (; ctx; ctx = ctx->parent) {
        if (ctx->cancel.event_fd >= 0 && count < CTX_FDS_MAX)
            fds[count++] = ctx->cancel.event_fd;
        if (ctx->also && ctx->also->event_fd >= 0 && count < CTX_FDS_MAX)
            fds[count++] = ctx->also->event_fd;
    }
    return count;
}

int ctx_poll(const struct ctx *ctx, struct pollfd *fds, size_t count, int timeout_ms,
             struct err *err)
{
    struct pollfd all[POLL_MAX + CTX_FDS_MAX];
    int signals[CTX_FDS_MAX];
    size_t signal_count = ctx_fds(ctx, signals);
    int64_t end = timeout_ms < 0 ? INT64_MAX : clock_monotonic_ms() + timeout_ms;

    if (count > POLL_MAX)
        return err_set(err, ERR_LIMIT, "ctx_poll: %zu descriptors are too many", count);
    for (size_t i = 0; i < signal_count; i++)
        all[count + i] = (struct pollfd){.fd = signals[i], .events = POLLIN};
    for (;;) {
        int64_t left = end == INT64_MAX ? -1 : end - clock_monotonic_ms();
        int ready;

        if (ctx_check(ctx, err) < 0)
            return -1;
        if (count)
            memcpy(all, fds, count * sizeof(*fds));
        if (end != INT64_MAX && left < 0)
            left = 0;
        ready = poll(all, count + signal_count, ctx_remaining_ms(ctx, (int)left));
        if (ready < 0 && errno != EINTR)
            return err_errno(err, "poll failed");
        if (ready > 0 || left == 0) {
            int own = 0;

            if (ctx_check(ctx, err) < 0)
                return -1;
            for (size_t i = 0; i < count; i++) {
                fds[i].revents = ready > 0 ? all[i].revents : 0;
                own += fds[i].revents != 0;
            }
            if (own > 0 || left == 0)
                return own;
        }
    }
}

int ctx_sleep(const struct ctx *ctx, int64_t ms, struct err *err)
{
    int64_t end = clock_monotonic_ms() + ms;

    for (;;) {
        int64_t left = end - clock_monotonic_ms();

        if (left <= 0)
            return ctx_check(ctx, err);
        if (ctx_poll(ctx, NULL, 0, left > INT_MAX ? INT_MAX : (int)left, err) < 0)
            return -1;
    }
}
