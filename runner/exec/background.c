#include "exec/background.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { THREAD_STACK = 512 * 1024, FIRST_PAUSE_MS = 20, LOOK_MS = 10000, WAIT_MAX_MS = 60000 };

int backgrounds_init(struct background_group *group, struct run *run, struct err *err)
{
    *group = (struct background_group){.run = run, .changed_fd = eventfd(0, EFD_CLOEXEC)};
    return group->changed_fd < 0 ? err_errno(err, "cannot make an eventfd") : 0;
}

char *background_end_text(const struct background *b)
{
    struct outcome outcome;
    char *text;

    if (b->result < 0)
        return xstrdup(b->err.message);
    outcome_of_record(&b->record, &outcome);
    text = xstrdup(outcome.error ? outcome.error : "exit code 0");
    outcome_release(&outcome);
    return text;
}

/* Far above is what a service printed at last; of a step that is told with its failure. */
static void tell_tail(const struct background *b)
{
    for (const char *at = b->tail; at && *at;) {
        int len = (int)strcspn(at, "\n");

        event_bus_note(b->run->bus, b->what.node, "| %.*s", len, at);
        at += len + (at[len] == '\n');
    }
}

/* Who comes second, of the thread that ran it and the one that found it ready, says so. */
static void tell_early_end(struct background *b)
{
    bool service = b->what.runnable->service != NULL;
    bool succeeded = b->result == 0 && b->record.kind == EXIT_CODE && b->record.code == 0;
    CLEANUP_FREE char *text = NULL;

    if ((succeeded && !service) || atomic_load(&b->stopping) || ctx_done(&b->ctx) ||
        atomic_exchange(&b->told, true))
        return;
    text = background_end_text(b);
    event_bus_note(b->run->bus, b->what.node, "has ended by itself, before its %s: %s",
                   service ? node_level_name((enum node_level)b->what.node->parent->level) : "job",
                   text);
    if (service)
        tell_tail(b);
}

static void *background_main(void *arg)
{
    struct background *b = arg;
    int changed_fd = b->out.changed_fd;

    b->result = b->what.open.engine->run(&b->ctx, b->what.open.place, b->what.runnable,
                                         &b->out.output, &b->record, &b->err);
    if (b->result == 0)
        atomic_fetch_add(&b->run->steps_run, 1);
    else if (b->err.code == ERR_UNAVAILABLE)
        atomic_store(&b->run->unavailable, true);
    b->tail = step_output_finish(&b->out);
    atomic_store(&b->ended, true);
    if (atomic_load(&b->up))
        tell_early_end(b);
    eventfd_write(changed_fd, 1);
    return NULL;
}

static int start_thread(struct background *b, struct err *err)
{
    pthread_attr_t attr;
    int error;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    error = pthread_create(&b->thread, &attr, background_main, b);
    pthread_attr_destroy(&attr);
    return error ? err_set(err, ERR_SYSTEM, "cannot start a thread: %s", strerror(error)) : 0;
}

int backgrounds_start(struct background_group *group, const struct ctx *ctx,
                      const struct background_what *what, struct background **ret, struct err *err)
{
    struct background *b = xcalloc(1, sizeof(*b));

    b->what = *what;
    b->run = group->run;
    b->pause_ms = FIRST_PAUSE_MS;
    if (ctx_init_cancel(&b->ctx, ctx, err) < 0) {
        free(b);
        return -1;
    }
    ctx_set_timeout(&b->ctx, what->timeout_ms, what->label);
    step_output_init(&b->out, group->run, what->node);
    b->out.changed_fd = group->changed_fd;
    b->out.pattern = what->ready ? what->ready->log : NULL;
    if (start_thread(b, err) < 0) {
        free(step_output_finish(&b->out));
        ctx_release(&b->ctx);
        free(b);
        return -1;
    }
    vec_push(&group->items, b);
    *ret = b;
    return 0;
}

/* --- waiting --- */

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void set_up(struct background *b)
{
    atomic_store(&b->up, true);
    if (atomic_load(&b->ended))
        tell_early_end(b);
}

static int ended_too_early(const struct background *b, struct err *err)
{
    CLEANUP_FREE char *text = background_end_text(b);

    if (b->result < 0)
        return err_set(err, b->err.code, "%s", text);
    return err_set(err, ERR_CONFLICT, "it ended before it was ready: %s", text);
}

/* Goes on with the first that did not hold the last time: 0 when all have held. */
static int look(struct background *b, const struct ctx *ctx, int64_t now_ms, struct err *err)
{
    const struct readiness *ready = b->what.ready;
    const struct engine *engine = b->what.open.engine;
    int64_t left_ms = b->deadline_ms - now_ms;

    while (b->held < ready->probe_count) {
        struct ctx limited;
        int result;

        if (!engine->check)
            return err_set(err, ERR_UNSUPPORTED,
                           "the engine %s cannot tell; use `log`, which works everywhere",
                           engine->name);
        ctx_init(&limited, ctx);
        ctx_set_timeout(&limited, min_ms(left_ms, LOOK_MS), "look");
        result = engine->check(&limited, b->what.open.place, b->what.runnable,
                               &ready->probes[b->held], err);
        ctx_release(&limited);
        if (result < 0)
            return -1;
        b->held++;
    }
    if (ready->log && !atomic_load(&b->out.matched))
        return err_set(err, ERR_UNAVAILABLE, "no line of its output matches \"%s\"",
                       ready->log_text);
    return 0;
}

static int not_ready(const struct background *b, struct err *err)
{
    char limit[CLOCK_DURATION_SIZE];

    clock_format_limit(b->what.ready->timeout_ms, limit, sizeof(limit));
    return err_set(err, ERR_TIMEOUT, "it was not ready after %s%s%s", limit,
                   b->why.code == ERR_NONE ? "" : ": ", b->why.message);
}

/* Looks if it is time to; -1 when it will never be ready. */
static int attend_running(struct background *b, const struct ctx *ctx, struct err *err)
{
    const struct readiness *ready = b->what.ready;
    int64_t now_ms = clock_monotonic_ms();
    struct err why = ERR_INIT;

    if (!b->deadline_ms)
        b->deadline_ms = now_ms + ready->timeout_ms;
    if (now_ms >= b->deadline_ms)
        return not_ready(b, err);
    if (now_ms < b->look_ms && !(ready->log && b->held == ready->probe_count))
        return 0;
    if (look(b, ctx, now_ms, &why) == 0) {
        set_up(b);
        return 0;
    }
    if (ctx_done(ctx))
        return ctx_check(ctx, err);
    /* A look that the limit has cut short says less than the one before it. */
    if (why.code != ERR_TIMEOUT || b->why.code == ERR_NONE)
        b->why = why;
    if (b->why.code == ERR_INVALID || b->why.code == ERR_UNSUPPORTED)
        return err_set(err, b->why.code, "it cannot be told whether it is ready: %s",
                       b->why.message);
    b->look_ms = clock_monotonic_ms() + min_ms(b->pause_ms, ready->interval_ms);
    b->pause_ms = min_ms(2 * b->pause_ms, ready->interval_ms);
    return 0;
}

/* 0, or -1 when it will never be ready. *next_ms: when to come again at the latest. */
static int attend(struct background *b, const struct ctx *ctx, int64_t *next_ms, struct err *err)
{
    /* Once each: it may begin, or end, at any moment. */
    bool ended = atomic_load(&b->ended);
    bool started = atomic_load(&b->out.started);

    if (!b->what.ready && (started || (ended && b->result == 0))) {
        set_up(b);
        return 0;
    }
    if (ended)
        return ended_too_early(b, err);
    if (!started)
        return 0;
    if (attend_running(b, ctx, err) < 0)
        return -1;
    *next_ms = min_ms(*next_ms, min_ms(b->look_ms, b->deadline_ms));
    return 0;
}

static int wait_for_change(struct background_group *group, const struct ctx *ctx, int64_t next_ms,
                           struct err *err)
{
    struct pollfd changed = {.fd = group->changed_fd, .events = POLLIN};
    int64_t left_ms = next_ms - clock_monotonic_ms();
    eventfd_t count;
    int ready;

    ready = ctx_poll(ctx, &changed, 1, left_ms < 0 ? 0 : (int)min_ms(left_ms, WAIT_MAX_MS), err);
    if (ready > 0)
        eventfd_read(group->changed_fd, &count);
    return ready < 0 ? -1 : 0;
}

int backgrounds_await(struct background_group *group, const struct ctx *ctx,
                      const struct background **ret_failed, struct err *err)
{
    for (;;) {
        int64_t next_ms = INT64_MAX;
        bool all_up = true;

        *ret_failed = NULL;
        if (ctx_check(ctx, err) < 0)
            return -1;
        vec_foreach (struct background **, item, &group->items) {
            if (atomic_load(&(*item)->up))
                continue;
            if (attend(*item, ctx, &next_ms, err) < 0) {
                *ret_failed = ctx_done(ctx) ? NULL : *item;
                return -1;
            }
            all_up = all_up && atomic_load(&(*item)->up);
        }
        if (all_up)
            return 0;
        if (wait_for_change(group, ctx, next_ms, err) < 0)
            return -1;
    }
}

/* --- the end --- */

void backgrounds_cancel(struct background_group *group)
{
    vec_foreach (struct background **, item, &group->items) {
        atomic_store(&(*item)->stopping, true);
        ctx_cancel(&(*item)->ctx, CTX_CAUSE_USER);
    }
}

void backgrounds_join(struct background_group *group)
{
    vec_foreach (struct background **, item, &group->items) {
        if (!(*item)->joined)
            pthread_join((*item)->thread, NULL);
        (*item)->joined = true;
    }
}

void backgrounds_release(struct background_group *group)
{
    vec_foreach (struct background **, item, &group->items) {
        ctx_release(&(*item)->ctx);
        free((*item)->tail);
        outputs_release(&(*item)->out.outputs);
        free(*item);
    }
    vec_release(&group->items);
    if (group->changed_fd >= 0)
        close(group->changed_fd);
}
