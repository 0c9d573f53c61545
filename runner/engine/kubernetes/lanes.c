#include "engine/kubernetes/lanes.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "engine/kubernetes/lease.h"
#include "engine/kubernetes/verdict.h"
#include "engine/remote/program.h"

enum {
    THREAD_STACK = 512 * 1024,
    LOOK_MS = LANE_RENEW_MS / 2,
    MOVES_MAX = 16,
    KEEP_MS = 5000,      /* for one lane, which its user may be waiting for */
    EARLY_MS = 200,      /* from the node to the first attempt; no container is faster */
    EARLY_END_MS = 2500, /* to the last */
    ANSWER_LOOK_MS = 10,
};

/* --- making --- */

static char *directory_of(const struct place_container *container, unsigned number)
{
    return number ? xasprintf("%s/%s.%u", POD_RELAY_DIR, container->pod.name, number)
                  : xasprintf("%s/%s", POD_RELAY_DIR, container->pod.name);
}

static int start_relay(const struct ctx *ctx, const struct place_container *container,
                       const char *directory, struct err *err)
{
    CLEANUP_FREE char *lease = xasprintf("%d", LANE_LEASE_MS);
    const char *const argv[] = {POD_HELPER, "lane", directory, lease, NULL};
    const struct remote_program program = {.argv = argv};

    return remote_do(ctx, &container->reach.remote, &program, err);
}

/* In use by the caller. */
static int add_lane(struct kubernetes_place *place, struct place_container *container,
                    const char *directory, struct lane **ret, struct err *err)
{
    if (lane_new(&container->reach.remote, directory, ret, err) < 0)
        return -1;
    (*ret)->used = true;
    pthread_mutex_lock(&place->mu);
    (*ret)->next = container->lanes;
    container->lanes = *ret;
    pthread_mutex_unlock(&place->mu);
    return 0;
}

static int make_lane_once(const struct ctx *ctx, struct kubernetes_place *place,
                          struct place_container *container, struct lane **ret, struct err *err)
{
    CLEANUP_FREE char *directory = NULL;
    unsigned number;

    pthread_mutex_lock(&place->mu);
    number = container->lane_count++;
    pthread_mutex_unlock(&place->mu);
    directory = directory_of(container, number);
    if (number && start_relay(ctx, container, directory, err) < 0)
        return -1;
    return add_lane(place, container, directory, ret, err);
}

/* A relay that was started although its answer was lost ends by itself, as nobody comes. */
static int make_lane(const struct ctx *ctx, struct kubernetes_place *place,
                     struct place_container *container, struct lane **ret, struct err *err)
{
    struct err why = ERR_INIT;
    struct retry retry;
    int result;

    kubernetes_retry_init(&retry);
    do {
        result = make_lane_once(ctx, place, container, ret, &why);
    } while (result < 0 && kubernetes_again(ctx, &retry, &why));
    if (result < 0 && err)
        *err = why;
    return result;
}

/* --- using --- */

static struct lane *find_free(struct kubernetes_place *place, struct place_container *container)
{
    struct lane *lane;

    pthread_mutex_lock(&place->mu);
    for (lane = container->lanes; lane && (lane->used || lane->broken);)
        lane = lane->next;
    if (lane)
        lane->used = true;
    pthread_mutex_unlock(&place->mu);
    return lane;
}

static void set_free(struct kubernetes_place *place, struct lane *lane, bool reusable)
{
    pthread_mutex_lock(&place->mu);
    lane->used = false;
    lane->broken = lane->broken || !reusable;
    pthread_mutex_unlock(&place->mu);
}

bool lanes_met(struct kubernetes_place *place, const struct place_container *container)
{
    bool met = false;

    pthread_mutex_lock(&place->mu);
    for (const struct lane *lane = container->lanes; lane && !met; lane = lane->next)
        met = lane->met;
    pthread_mutex_unlock(&place->mu);
    return met;
}

int lanes_take(const struct ctx *ctx, struct kubernetes_place *place,
               struct place_container *container, struct lane **ret, struct err *err)
{
    *ret = find_free(place, container);
    if (!*ret && make_lane(ctx, place, container, ret, err) < 0)
        return -1;
    if (gate_enter(ctx, &(*ret)->busy, err) < 0) {
        set_free(place, *ret, true);
        return -1;
    }
    return 0;
}

void lanes_give(struct kubernetes_place *place, struct lane *lane, bool reusable)
{
    gate_leave(&lane->busy);
    set_free(place, lane, reusable);
}

/* --- keeping --- */

/* When to try to reach a container that has not been met: kubelets tell up to a second late that it
 * runs, so for a while after the pod has got a node that is tried out. INT64_MAX: not before
 * something is heard of it. */
static int64_t due_first(struct kubernetes_place *place, const struct place_container *container,
                         struct lane *lane)
{
    int64_t now = clock_monotonic_ms();
    struct verdict verdict;
    bool gone;
    json_t *pod = pod_object(place->tracked, &gone);
    bool has_node =
        json_string_value(json_object_get(json_object_get(pod, "spec"), "nodeName")) != NULL;

    verdict_of(pod, gone, container->pod.name, &verdict);
    json_decref(pod);
    if (has_node && !place->node_ms)
        place->node_ms = now;
    if (verdict.kind == VERDICT_RUNNING)
        return now;
    lane->heard_ms = now; /* its lease begins with its container */
    if (verdict.kind != VERDICT_COMING || !has_node || now >= place->node_ms + EARLY_END_MS)
        return INT64_MAX;
    return now > place->node_ms + EARLY_MS ? now : place->node_ms + EARLY_MS;
}

/* Until it has nothing more to say. Returns when to look again. */
static int64_t keep_lane(struct kubernetes_place *place, const struct place_container *container,
                         struct lane *lane)
{
    bool met = lane->met;
    int64_t due = met ? 0 : due_first(place, container, lane);
    struct err err = ERR_INIT;
    enum lane_move move = LANE_MOVED;
    struct ctx ctx;

    if (due > clock_monotonic_ms())
        return due;
    ctx_init(&ctx, &place->background);
    ctx_set_timeout(&ctx, KEEP_MS, "lane");
    for (int i = 0; i < MOVES_MAX && move == LANE_MOVED; i++)
        move = lane_move(&ctx, lane, true, &err);
    ctx_release(&ctx);
    if (!met && lane->met)
        pod_nudge(place->tracked);
    if (move == LANE_AWAY)
        return lane->attempt_ms;
    /* It has been asked, and answers soon. */
    if (!lane->met && move == LANE_IDLE)
        return clock_monotonic_ms() + ANSWER_LOOK_MS;
    if (move == LANE_FAILED && !ctx_done(&place->background) && err.code != ERR_TIMEOUT) {
        log_debug("kubernetes", "%s: %s", lane->remote->name, err.message);
        set_free(place, lane, false);
        return INT64_MAX;
    }
    return lane->renewed_ms + LANE_RENEW_MS;
}

/* The one behind `after`; lanes are only ever put in front. */
static struct lane *next_kept(struct kubernetes_place *place, struct place_container *container,
                              const struct lane *after)
{
    struct lane *lane;

    pthread_mutex_lock(&place->mu);
    lane = after ? after->next : container->lanes;
    while (lane && (lane->used || lane->broken))
        lane = lane->next;
    pthread_mutex_unlock(&place->mu);
    return lane;
}

static int64_t keep_all(struct kubernetes_place *place)
{
    int64_t due = clock_monotonic_ms() + LOOK_MS;

    for (size_t i = 0; i < place->container_count; i++) {
        struct place_container *container = &place->containers[i];

        for (struct lane *lane = next_kept(place, container, NULL); lane;
             lane = next_kept(place, container, lane)) {
            int64_t again;

            if (gate_enter_within(&place->background, &lane->busy, 0, NULL) <= 0)
                continue;
            again = keep_lane(place, container, lane);
            gate_leave(&lane->busy);
            due = again < due ? again : due;
        }
    }
    return due;
}

static void *keeper_main(void *arg)
{
    struct kubernetes_place *place = arg;
    struct pod_listener listener;
    struct pollfd fd;
    int64_t left = 0;

    if (pod_listen(place->tracked, &listener, NULL) < 0)
        return NULL;
    fd = (struct pollfd){.fd = listener.fd, .events = POLLIN};
    while (ctx_poll(&place->background, &fd, 1, left < 0 ? 0 : (int)left, NULL) >= 0) {
        int64_t lanes_due, lease_due;

        pod_heard(&listener);
        lanes_due = keep_all(place);
        lease_due = lease_renew(place);
        left = (lease_due < lanes_due ? lease_due : lanes_due) - clock_monotonic_ms();
        space_renew(&place->background, place->space);
    }
    pod_unlisten(place->tracked, &listener);
    return NULL;
}

/* The lanes to the first processes, whose leases run from when they start. */
static void add_first_lanes(struct kubernetes_place *place)
{
    for (size_t i = 0; i < place->container_count; i++) {
        struct place_container *container = &place->containers[i];
        CLEANUP_FREE char *directory = directory_of(container, 0);
        struct lane *lane;

        if (container->service_name || container->lane_count)
            continue;
        container->lane_count = 1;
        if (add_lane(place, container, directory, &lane, NULL) == 0)
            set_free(place, lane, true);
    }
}

void lanes_keep(struct kubernetes_place *place)
{
    pthread_attr_t attr;

    add_first_lanes(place);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    place->keeping = pthread_create(&place->keeper, &attr, keeper_main, place) == 0;
    pthread_attr_destroy(&attr);
    if (!place->keeping)
        log_warn("kubernetes", "no thread can be started to keep the pod %s", place->pod);
}

void lanes_stop(struct kubernetes_place *place)
{
    ctx_cancel(&place->background, CTX_CAUSE_USER);
    if (place->keeping)
        pthread_join(place->keeper, NULL);
    place->keeping = false;
}

/* --- ending --- */

void lanes_quit(const struct ctx *ctx, struct kubernetes_place *place)
{
    for (size_t i = 0; i < place->container_count; i++) {
        for (struct lane *lane = place->containers[i].lanes; lane; lane = lane->next)
            lane_quit(ctx, lane);
    }
}
