/* What a server does without being asked: keeps the store up to date and small, ends what nobody
 * waits for, and tells followers of what will never begin. */
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "record/record.h"
#include "server/inside.h"

enum {
    REFRESH_MS = 1000,
    PRUNE_MS = 60 * 1000,
    /* How far the clock is set before it is not believed, and for how long. */
    CLOCK_SET_MS = 60 * 1000,
    CLOCK_DOUBT_MS = 60 * 60 * 1000,
};

/* --- the history --- */

void server_refresh(const struct ctx *ctx, struct server *server)
{
    int64_t now_ms = clock_monotonic_ms();
    struct err err = ERR_INIT;

    if (now_ms - atomic_load(&server->refreshed_ms) < REFRESH_MS ||
        pthread_mutex_trylock(&server->refresh_mu) != 0)
        return;
    if (history_update(ctx, server->history, &err) < 0)
        log_debug("server", "history: %s", err.message);
    atomic_store(&server->refreshed_ms, clock_monotonic_ms());
    pthread_mutex_unlock(&server->refresh_mu);
}

static void prune(void *arg)
{
    struct server *server = arg;
    const struct server_options *o = &server->options;
    int64_t records = settings_read(&server->settings).max_records;
    const struct store_retention keep = {
        .ended_before_ms = o->keep_age_ms ? clock_wall_ms() - o->keep_age_ms : 0,
        .max_runs = records ? records : -1,
        .max_log_bytes = o->keep_log_bytes,
    };
    struct err err = ERR_INIT;

    if (history_prune(&server->ctx, server->history, &keep, NULL, &err) < 0)
        log_debug("server", "old runs: %s", err.message);
    atomic_store(&server->pruning, false);
}

/* --- runs that nobody waits for, and those that nobody need wait for --- */

struct about_run {
    struct server *server;
    char *id;
};

static void submit_about(struct server *server, const char *id, void (*fn)(void *arg))
{
    struct about_run *about = xcalloc(1, sizeof(*about));

    *about = (struct about_run){server, xstrdup(id)};
    workers_submit(&server->workers, fn, about);
}

static void free_about(struct about_run *about)
{
    free(about->id);
    free(about);
}

static bool may_pass(const struct err *err)
{
    return err_is_away(err) || err->code == ERR_TIMEOUT || err->code == ERR_CANCELLED ||
           err->code == ERR_SYSTEM;
}

static void cancel_abandoned(void *arg)
{
    struct about_run *about = arg;
    const struct queue_cancel cancel = {.reason = "its client has gone", .by = "server"};
    struct err err = ERR_INIT;
    struct ctx ctx;

    /* Its client has come back at another server, or somebody else is there. */
    if (history_is_followed(about->server->history, about->id, about->server->name)) {
        server_run_left(about->server, about->id);
        free_about(about);
        return;
    }
    ctx_init(&ctx, &about->server->ctx);
    ctx_set_timeout(&ctx, SERVER_REQUEST_MS, "cancelling a run");
    if (queue_cancel(&ctx, about->server->queue, about->id, &cancel, &err) == 0 ||
        err.code == ERR_CONFLICT || err.code == ERR_NOT_FOUND)
        err_clear(&err);
    else if (may_pass(&err))
        clients_put_back(&about->server->clients, about->id, clock_monotonic_ms());
    else
        log_warn("server", "run %s, whose client has gone, cannot be cancelled: %s", about->id,
                 err.message);
    ctx_release(&ctx);
    free_about(about);
}

/* At the next tick. */
static void look_again(struct server *server, const char *id)
{
    pthread_mutex_lock(&server->again_mu);
    if (!strvec_has(&server->again, id))
        strvec_push(&server->again, id);
    pthread_mutex_unlock(&server->again_mu);
}

static void conclude(struct server *server, const struct store_run *run)
{
    int exit_code = (int)run->exit_status;

    feed_conclude(server->feed, run->id,
                  &(struct feed_done){.status = state_name(run->state),
                                      .reason = reason_name(run->reason),
                                      .error = run->error,
                                      .exit_code = run->exit_status >= 0 ? &exit_code : NULL});
}

/* What has a record says itself how it ended, and that it cannot be read is told by the feed.
 * False: nothing can be said now. */
static bool conclude_if_over(const struct ctx *ctx, struct server *server, const char *id)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    CLEANUP_RECORD struct record *record = NULL;
    struct err why = ERR_INIT;

    if (record_open(server->history->runs, id, &record, &why) == 0)
        return true;
    if (why.code != ERR_NOT_FOUND)
        return !err_is_short(&why);
    if (store_get(ctx, server->history->store, id, &runs, &why) == 0) {
        if (state_is_final(runs.items[0].state))
            conclude(server, &runs.items[0]);
        return true;
    }
    if (why.code != ERR_NOT_FOUND)
        return false;
    feed_conclude(server->feed, id,
                  &(struct feed_done){.status = "failed", .error = "the pipeline is deleted"});
    return true;
}

static void look_behind(void *arg)
{
    struct about_run *about = arg;
    struct ctx ctx;

    ctx_init(&ctx, &about->server->ctx);
    ctx_set_timeout(&ctx, SERVER_REQUEST_MS, "looking for a run");
    if (!conclude_if_over(&ctx, about->server, about->id))
        look_again(about->server, about->id);
    ctx_release(&ctx);
    free_about(about);
}

void server_look_behind(struct server *server, const char *id)
{
    submit_about(server, id, look_behind);
}

static void look_at_again(struct server *server)
{
    CLEANUP_STRVEC struct strvec again = {0};

    pthread_mutex_lock(&server->again_mu);
    again = server->again;
    server->again = (struct strvec){0};
    pthread_mutex_unlock(&server->again_mu);
    for (size_t i = 0; i < again.len; i++)
        server_look_behind(server, again.items[i]);
}

/* What a clock that was set forward by mistake makes old would be gone for good. */
static void look_at_clock(struct server *server, int64_t now_ms)
{
    int64_t apart_ms = clock_wall_ms() - now_ms;

    if (apart_ms > server->clocks_apart_ms + CLOCK_SET_MS) {
        log_warn("server", "the clock was set forward: no old run is removed for an hour");
        server->pruned_ms = now_ms + CLOCK_DOUBT_MS;
    }
    server->clocks_apart_ms = apart_ms;
}

void server_tick(void *arg)
{
    struct server *server = arg;
    int64_t now_ms = clock_monotonic_ms();
    CLEANUP_STRVEC struct strvec due = {0};

    clients_due(&server->clients, now_ms, &due);
    for (size_t i = 0; i < due.len; i++)
        submit_about(server, due.items[i], cancel_abandoned);
    look_at_again(server);
    look_at_clock(server, now_ms);
    if (now_ms - server->pruned_ms < PRUNE_MS || atomic_exchange(&server->pruning, true))
        return;
    server->pruned_ms = now_ms;
    workers_submit(&server->workers, prune, server);
}

void server_run_changed(void *arg, const char *id, enum state state)
{
    struct server *server = arg;

    if (!state_is_final(state))
        return;
    clients_forget(&server->clients, id);
    server_look_behind(server, id);
}

/* Its client may not know yet that there is another server. */
void server_run_left(void *arg, const char *id)
{
    struct server *server = arg;

    clients_put_back(&server->clients, id, clock_monotonic_ms() + server->options.client_grace_ms);
}

void server_queue_failed(void *arg, const struct err *err)
{
    struct server *server = arg;

    atomic_store(&server->launcher_gone, true);
    pthread_mutex_lock(&server->fatal_mu);
    server->fatal = *err;
    pthread_mutex_unlock(&server->fatal_mu);
    eventfd_write(server->fatal_fd, 1);
}
