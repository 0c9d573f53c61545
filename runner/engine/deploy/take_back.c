/* Removing what a deployment has made: rank by rank, the objects of a rank side by side. A daemon
 * or cluster that does not answer is asked again for a while, as it may just be starting anew. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "base/workers.h"
#include "engine/deploy/instance.h"

enum {
    REMOVE_MS = 120000,
    TURN_MS = 60000, /* for others of that name to be done */
    AWAY_MS = 30000,
    AWAY_PAUSE_MS = 500,
    THREADS = 8,
};

struct removal {
    struct removals *all;
    const char *object;
    int rank;
    bool gone;
    struct err err; /* why it is not */
};

struct removals {
    const struct ctx *ctx;
    struct deployed *deployed;
    struct removal *list;
    size_t len;
    pthread_mutex_t mu;
    int64_t away_ms; /* since when there has been no answer; 0: there is; guarded by mu */
};

/* On the step's standard error as long as it has one. */
static void tell(struct removals *r, const char *text)
{
    if (r->deployed->output)
        deployed_say(r->deployed, r->ctx, OUTPUT_STDERR, "%s", text);
    else
        log_warn("deploy", "%s", text);
}

static void tell_away(struct removals *r, const struct err *why)
{
    CLEANUP_FREE char *text =
        xasprintf("%s; %s is removed when it answers, for which it has %d seconds", why->message,
                  r->deployed->name, AWAY_MS / 1000);

    tell(r, text);
}

/* After a pause; false: it has been away for too long. */
static bool may_be_back(struct removals *r, const struct err *why)
{
    int64_t now_ms = clock_monotonic_ms();
    bool first;
    bool soon;

    pthread_mutex_lock(&r->mu);
    first = !r->away_ms;
    if (first)
        r->away_ms = now_ms;
    soon = now_ms - r->away_ms < AWAY_MS;
    pthread_mutex_unlock(&r->mu);
    if (first)
        tell_away(r, why);
    return soon && ctx_sleep(r->ctx, AWAY_PAUSE_MS, NULL) == 0;
}

static void note_answer(struct removals *r)
{
    pthread_mutex_lock(&r->mu);
    r->away_ms = 0;
    pthread_mutex_unlock(&r->mu);
}

static void remove_object(void *arg)
{
    struct removal *removal = arg;
    struct removals *r = removal->all;
    const struct deploy_instance *instance = r->deployed->instance;
    int result;

    do {
        removal->err = (struct err)ERR_INIT;
        result =
            instance->kind->remove(r->ctx, instance->connection, removal->object, &removal->err);
    } while (result < 0 && err_is_away(&removal->err) && may_be_back(r, &removal->err));
    if (result < 0)
        return;
    note_answer(r);
    removal->gone = true;
    deployed_drop_note(r->deployed, removal->object);
    if (r->deployed->output && !instance->kind->tells_undo)
        deployed_say(r->deployed, r->ctx, OUTPUT_STDOUT, "%s: removed", removal->object);
}

static void remove_rank(struct removals *r, int rank)
{
    struct workers workers;

    workers_init(&workers, THREADS);
    for (size_t i = r->len; i-- > 0;) {
        struct removal *removal = &r->list[i];

        if (removal->rank == rank)
            workers_submit(&workers, remove_object, removal);
        else if (removal->rank == DEPLOY_RANK_ORDERED(rank))
            remove_object(removal);
    }
    workers_release(&workers);
}

/* The next rank that there is; 0: none. */
static int rank_after(const struct removals *r, int rank)
{
    int next = 0;

    for (size_t i = 0; i < r->len; i++) {
        int its = abs(r->list[i].rank);

        if (its > rank && (!next || its < next))
            next = its;
    }
    return next;
}

static void tell_left(struct removals *r)
{
    const struct deployed *deployed = r->deployed;
    CLEANUP_BUF struct buf left = BUF_INIT;
    CLEANUP_FREE char *text = NULL;

    for (size_t i = r->len; i-- > 0;) {
        if (!r->list[i].gone)
            buf_addf(&left, "%s%s (%s)", left.len ? "; " : "", r->list[i].object,
                     r->list[i].err.message);
    }
    if (!left.len)
        return;
    own_run_leave(deployed->instance->services->run);
    text = xasprintf(
        "not all that was made for %s could be removed; \"runner reap\" tries it again: %s",
        deployed->name, left.data);
    tell(r, text);
}

static void remove_objects(const struct ctx *ctx, struct deployed *deployed)
{
    struct removals r = {.ctx = ctx, .deployed = deployed, .mu = PTHREAD_MUTEX_INITIALIZER};

    r.len = deployed->objects.len;
    r.list = xcalloc(r.len, sizeof(*r.list));
    for (size_t i = 0; i < r.len; i++) {
        const char *object = deployed->objects.items[i];

        r.list[i] = (struct removal){.all = &r,
                                     .object = object,
                                     .rank = deployed->instance->kind->rank(object)};
    }
    for (int rank = rank_after(&r, 0); rank; rank = rank_after(&r, rank))
        remove_rank(&r, rank);
    tell_left(&r);
    free(r.list);
    pthread_mutex_destroy(&r.mu);
}

/* Others of that name are waited for, but not for ever: what has to go goes. */
void deployed_take_back(struct deployed *deployed)
{
    bool entered = deployed->turn;
    struct ctx ctx;

    if (deployed->keep || !deployed->objects.len)
        return;
    if (!entered) {
        ctx_init_cleanup(&ctx, TURN_MS);
        if (deployed_enter(&ctx, deployed, NULL) < 0)
            log_debug("deploy", "%s is removed while another step is at it", deployed->name);
        ctx_release(&ctx);
    }
    ctx_init_cleanup(&ctx, REMOVE_MS);
    remove_objects(&ctx, deployed);
    ctx_release(&ctx);
    if (!entered)
        deployed_leave(deployed);
}
