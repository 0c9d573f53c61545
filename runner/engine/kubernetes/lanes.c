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

static int make_lane_once(const struct ctx *ctx, struct place_container *container,
                          struct lane **ret, struct err *err)
{
    unsigned number = lane_pool_number(&container->lanes);
    CLEANUP_FREE char *directory = directory_of(container, number);

    if (number && start_relay(ctx, container, directory, err) < 0)
        return -1;
    return lane_pool_add(&container->lanes, directory, ret, err);
}

/* A relay that was started although its answer was lost ends by itself, as nobody comes. */
static int make_lane(const struct ctx *ctx, struct place_container *container, struct lane **ret,
                     struct err *err)
{
    struct err why = ERR_INIT;
    struct retry retry;
    int result;

    kubernetes_retry_init(&retry);
    do {
        result = make_lane_once(ctx, container, ret, &why);
    } while (result < 0 && kubernetes_again(ctx, &retry, &why));
    if (result < 0 && err)
        *err = why;
    return result;
}

/* --- using --- */

int lanes_take(const struct ctx *ctx, struct place_container *container, struct lane **ret,
               struct err *err)
{
    *ret = lane_pool_find(&container->lanes);
    if (!*ret && make_lane(ctx, container, ret, err) < 0)
        return -1;
    return lane_pool_enter(ctx, &container->lanes, *ret, err);
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

struct keeping {
    struct kubernetes_place *place;
    struct place_container *container;
    int64_t due; /* when to look again */
};

/* Returns when to look again. */
static int64_t keep_lane(const struct ctx *ctx, const struct keeping *keeping, struct lane *lane)
{
    struct kubernetes_place *place = keeping->place;
    bool met = lane->met;
    int64_t due = met ? 0 : due_first(place, keeping->container, lane);
    struct err err = ERR_INIT;
    enum lane_move move;

    if (due > clock_monotonic_ms())
        return due;
    move = lane_keep(ctx, lane, &err);
    if (!met && lane->met)
        pod_nudge(place->tracked);
    if (move == LANE_AWAY)
        return lane->attempt_ms;
    /* It has been asked, and answers soon. */
    if (!lane->met && move == LANE_IDLE)
        return clock_monotonic_ms() + ANSWER_LOOK_MS;
    if (move == LANE_FAILED && !ctx_done(&place->background) && err.code != ERR_TIMEOUT) {
        log_debug("kubernetes", "%s: %s", lane->remote->name, err.message);
        lane_pool_break(&keeping->container->lanes, lane);
        return INT64_MAX;
    }
    return lane->renewed_ms + LANE_RENEW_MS;
}

static void keep(const struct ctx *ctx, void *arg, struct lane *lane)
{
    struct keeping *keeping = arg;
    int64_t again = keep_lane(ctx, keeping, lane);

    keeping->due = again < keeping->due ? again : keeping->due;
}

static int64_t keep_all(struct kubernetes_place *place)
{
    struct keeping keeping = {.place = place, .due = clock_monotonic_ms() + LOOK_MS};

    for (size_t i = 0; i < place->container_count; i++) {
        keeping.container = &place->containers[i];
        lane_pool_keep(&place->background, &keeping.container->lanes, keep, &keeping);
    }
    return keeping.due;
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

        if (container->service_name || container->lanes.numbers)
            continue;
        (void)lane_pool_number(&container->lanes);
        if (lane_pool_add(&container->lanes, directory, &lane, NULL) == 0)
            lane_pool_put(&container->lanes, lane);
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
        for (struct lane *lane = place->containers[i].lanes.lanes; lane; lane = lane->next)
            lane_quit(ctx, lane);
    }
}
