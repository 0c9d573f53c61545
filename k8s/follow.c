/* A lane is a thread with a watch on one kind in one namespace; the items of a lane are touched by
 * nobody else while it runs. A Service is judged by its Endpoints, which bear its name. */
#include "k8s/follow.h"

#include <pthread.h>
#include <string.h>

#include "apis/http/retry.h"
#include "apis/kube/watch.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "k8s/explain.h"
#include "k8s/order.h"
#include "k8s/ready.h"

enum { STACK_BYTES = 256 * 1024, TICK_MS = 1000, QUIET_MS = 10000, EXPLAIN_MS = 15000 };
enum { PAUSE_MS = 1000 };

enum item_state { ITEM_WAITING, ITEM_DONE, ITEM_FAILED };

struct item {
    struct manifest *m;
    bool by_endpoints;
    enum item_state state;
    struct buf why; /* what is missing, or has failed */
    struct buf told;
    int64_t told_ms;
};

struct lane {
    struct follow *follow;
    struct kube_ref ref; /* of the collection; strings belong to the first item */
    VEC(struct item *)
    items;
    pthread_t thread;
    bool started;
    struct err err; /* why it could not go on; none: it has come to its end */
};

struct follow {
    struct kube_cluster *cluster;
    enum follow_goal goal;
    struct manifest_report *report;
    struct ctx ctx;
    VEC(struct item)
    items;
    VEC(struct lane)
    lanes;
};

/* --- one item --- */

static void end_item(struct follow *f, struct item *it, enum item_state state)
{
    it->state = state;
    if (state == ITEM_DONE)
        manifest_report_done(f->report, it->m, f->goal == FOLLOW_READY ? "ready" : "deleted");
    else if (state == ITEM_FAILED)
        ctx_cancel(&f->ctx, CTX_CAUSE_FAIL_FAST);
}

static void set_live(struct item *it, const json_t *object)
{
    if (it->by_endpoints)
        return;
    json_decref(it->m->live);
    it->m->live = json_deep_copy(object);
}

static enum item_state judge(struct item *it, const json_t *object)
{
    static const enum item_state states[] = {
        [READY_NOT_YET] = ITEM_WAITING, [READY_YES] = ITEM_DONE, [READY_FAILED] = ITEM_FAILED};

    buf_reset(&it->why);
    return states[it->by_endpoints ? ready_endpoints(object, &it->why)
                                   : ready_of(object, &it->why)];
}

static bool is_it(const struct item *it, const json_t *object)
{
    return strcmp(json_at_string(object, "metadata.name"), it->m->name) == 0;
}

static bool has_uid(const struct item *it, const json_t *object)
{
    return strcmp(json_at_string(object, "metadata.uid"),
                  json_at_string(it->m->live, "metadata.uid")) == 0;
}

static void take_event(struct follow *f, struct item *it, const struct kube_watch_event *event)
{
    const bool gone = event->type == KUBE_WATCH_DELETED;

    if (f->goal == FOLLOW_GONE) {
        /* Another one of that name is not the one that was to go. */
        if (gone == has_uid(it, event->object))
            end_item(f, it, ITEM_DONE);
        else if (!gone)
            set_live(it, event->object);
        return;
    }
    if (gone) {
        buf_reset(&it->why);
        buf_addstr(&it->why, it->by_endpoints ? "has no endpoints" : "has been deleted");
        return;
    }
    set_live(it, event->object);
    end_item(f, it, judge(it, event->object));
}

/* --- a lane --- */

static bool lane_is_done(const struct lane *lane)
{
    vec_foreach (struct item *const *, it, &lane->items) {
        if ((*it)->state == ITEM_WAITING)
            return false;
    }
    return true;
}

static void tell_waiting(struct follow *f, struct item *it, int64_t now)
{
    if (it->state != ITEM_WAITING || now - it->told_ms < QUIET_MS ||
        strcmp(it->told.data, it->why.data) == 0)
        return;
    it->told_ms = now;
    buf_reset(&it->told);
    buf_addstr(&it->told, it->why.data);
    manifest_report_note(f->report, it->m, it->why.data);
}

/* All that there is has been listed: what was not among it is gone. */
static void take_listed(struct lane *lane, bool *seen)
{
    for (size_t i = 0; i < lane->items.len; i++) {
        struct item *it = lane->items.items[i];

        if (it->state == ITEM_WAITING && lane->follow->goal == FOLLOW_GONE && !seen[i])
            end_item(lane->follow, it, ITEM_DONE);
        seen[i] = false;
    }
}

static void dispatch(struct lane *lane, const struct kube_watch_event *event, bool *seen)
{
    if (event->type == KUBE_WATCH_SYNCED) {
        take_listed(lane, seen);
        return;
    }
    for (size_t i = 0; i < lane->items.len; i++) {
        struct item *it = lane->items.items[i];

        if (!is_it(it, event->object))
            continue;
        seen[i] = event->type != KUBE_WATCH_DELETED;
        if (it->state == ITEM_WAITING)
            take_event(lane->follow, it, event);
    }
}

static bool may_go_on(const struct ctx *ctx, const struct err *err)
{
    return retry_is_transient(err) && ctx_sleep(ctx, PAUSE_MS, NULL) == 0;
}

static void *lane_main(void *arg)
{
    struct lane *lane = arg;
    struct follow *f = lane->follow;
    CLEANUP_FREE char *field = xasprintf("metadata.name=%s", lane->items.items[0]->m->name);
    const struct kube_selector selector = {.fields = lane->items.len == 1 ? field : NULL};
    CLEANUP_KUBE_WATCH struct kube_watch *watch = kube_watch_new(f->cluster, &lane->ref, &selector);
    CLEANUP_FREE bool *seen = xcalloc(lane->items.len, sizeof(*seen));

    while (!lane_is_done(lane)) {
        struct kube_watch_event event;
        struct err err = ERR_INIT;
        int got = kube_watch_next(&f->ctx, watch, TICK_MS, &event, &err);

        if (got > 0)
            dispatch(lane, &event, seen);
        if (got < 0 && !may_go_on(&f->ctx, &err)) {
            lane->err = err;
            break;
        }
        for (size_t i = 0; i < lane->items.len; i++)
            tell_waiting(f, lane->items.items[i], clock_monotonic_ms());
    }
    if (lane->err.code && !ctx_done(&f->ctx))
        ctx_cancel(&f->ctx, CTX_CAUSE_FAIL_FAST);
    return NULL;
}

/* --- all of them --- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static struct kube_ref place_of(const struct item *it)
{
    if (it->by_endpoints)
        return (struct kube_ref){.api_version = "v1", .resource = "endpoints", .ns = it->m->ns};
    return (struct kube_ref){.api_version = it->m->api_version,
                             .resource = it->m->resource,
                             .ns = it->m->ns};
}

static void add_to_lane(struct follow *f, struct item *it)
{
    const struct kube_ref ref = place_of(it);

    vec_foreach (struct lane *, lane, &f->lanes) {
        if (same_text(lane->ref.api_version, ref.api_version) &&
            same_text(lane->ref.resource, ref.resource) && same_text(lane->ref.ns, ref.ns)) {
            vec_push(&lane->items, it);
            return;
        }
    }
    vec_push(&f->lanes, ((struct lane){.follow = f, .ref = ref}));
    vec_push(&f->lanes.items[f->lanes.len - 1].items, it);
}

/* Claims of classes that bind when a pod comes have nothing to wait for. */
static bool waits_for_consumer(const struct ctx *ctx, struct kube_client *client,
                               const struct manifest *m)
{
    const char *name = json_at_string(m->live, "spec.storageClassName");
    const struct kube_ref ref = {.api_version = "storage.k8s.io/v1",
                                 .resource = "storageclasses",
                                 .name = name};
    json_t *class = NULL;
    bool waits;

    if (!*name || kube_get(ctx, client, &ref, &class, NULL) < 0)
        return false;
    waits = strcmp(json_at_string(class, "volumeBindingMode"), "WaitForFirstConsumer") == 0;
    json_decref(class);
    return waits;
}

/* Whether it must be waited for. */
static bool must_wait(struct follow *f, struct kube_client *client, struct item *it)
{
    if (!it->m->live || !it->m->resource)
        return false;
    if (f->goal == FOLLOW_GONE)
        return true;
    it->state = judge(it, it->m->live);
    if (it->state == ITEM_FAILED)
        ctx_cancel(&f->ctx, CTX_CAUSE_FAIL_FAST);
    if (it->state == ITEM_WAITING && manifest_is(it->m, "", "PersistentVolumeClaim") &&
        waits_for_consumer(&f->ctx, client, it->m))
        it->state = ITEM_DONE;
    it->by_endpoints = manifest_is(it->m, "", "Service");
    return it->state == ITEM_WAITING;
}

static void run_lanes(struct follow *f)
{
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    vec_foreach (struct lane *, lane, &f->lanes) {
        int failed = pthread_create(&lane->thread, &attr, lane_main, lane);

        lane->started = failed == 0;
        if (failed) {
            err_set(&lane->err, ERR_SYSTEM, "cannot start a thread: %s", strerror(failed));
            ctx_cancel(&f->ctx, CTX_CAUSE_FAIL_FAST);
        }
    }
    pthread_attr_destroy(&attr);
    vec_foreach (struct lane *, lane, &f->lanes) {
        if (lane->started)
            pthread_join(lane->thread, NULL);
    }
}

/* --- what is said at the end --- */

static void tell_end(struct follow *f, struct kube_client *client, const struct item *it,
                     bool timed_out)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, EXPLAIN_MS);
    if (timed_out && f->goal == FOLLOW_READY)
        buf_addf(&text, "is not ready in time: %s", it->why.data);
    else if (timed_out)
        buf_addstr(&text, "is not gone in time");
    else
        buf_addstr(&text, it->why.data);
    if (f->goal == FOLLOW_READY)
        explain_not_ready(&ctx, client, it->m->live, &text);
    else
        explain_not_gone(it->m->live, &text);
    manifest_report_failed(f->report, it->m, text.data);
}

static int conclude(const struct ctx *above, struct follow *f, struct kube_client *client,
                    struct err *err)
{
    const bool timed_out = ctx_expired(&f->ctx);
    size_t waiting = 0;
    size_t failed = 0;

    vec_foreach (const struct item *, it, &f->items) {
        waiting += it->state == ITEM_WAITING;
        failed += it->state == ITEM_FAILED;
    }
    if (!waiting && !failed)
        return 0;
    if (ctx_cancel_cause(above) != CTX_CAUSE_NONE)
        return ctx_check(above, err);
    vec_foreach (const struct item *, it, &f->items) {
        if (it->state == ITEM_FAILED || (timed_out && it->state == ITEM_WAITING))
            tell_end(f, client, it, it->state == ITEM_WAITING);
    }
    if (failed)
        return err_set(err, ERR_CONFLICT, "%zu of %zu objects have failed", failed, f->items.len);
    if (timed_out)
        return err_set(err, ERR_TIMEOUT, "%zu of %zu objects are not %s in time", waiting,
                       f->items.len, f->goal == FOLLOW_READY ? "ready" : "gone");
    vec_foreach (const struct lane *, lane, &f->lanes) {
        if (lane->err.code && lane->err.code != ERR_CANCELLED && err) {
            *err = lane->err;
            return err_wrap(err, "while waiting");
        }
    }
    return ctx_check(above, err);
}

static void release(struct follow *f)
{
    vec_foreach (struct item *, it, &f->items) {
        buf_release(&it->why);
        buf_release(&it->told);
    }
    vec_foreach (struct lane *, lane, &f->lanes)
        vec_release(&lane->items);
    vec_release(&f->items);
    vec_release(&f->lanes);
    ctx_release(&f->ctx);
}

int manifest_follow(const struct ctx *ctx, struct kube_cluster *cluster,
                    struct manifest *const *items, size_t count, enum follow_goal goal,
                    int64_t timeout_ms, struct manifest_report *report, struct err *err)
{
    CLEANUP_KUBE_CLIENT struct kube_client *client = kube_client_new(cluster);
    struct follow f = {.cluster = cluster, .goal = goal, .report = report};
    int result;

    if (ctx_init_cancel(&f.ctx, ctx, err) < 0)
        return -1;
    ctx_set_timeout(&f.ctx, timeout_ms, "waiting");
    for (size_t i = 0; i < count; i++)
        vec_push(&f.items, ((struct item){.m = items[i],
                                          .why = BUF_INIT,
                                          .told = BUF_INIT,
                                          .told_ms = clock_monotonic_ms()}));
    vec_foreach (struct item *, it, &f.items) {
        if (must_wait(&f, client, it))
            add_to_lane(&f, it);
        else if (it->state == ITEM_WAITING)
            it->state = ITEM_DONE; /* nothing is known to wait for */
    }
    if (!ctx_done(&f.ctx))
        run_lanes(&f);
    result = conclude(ctx, &f, client, err);
    release(&f);
    return result;
}
