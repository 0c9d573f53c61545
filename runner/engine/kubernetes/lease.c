#include "engine/kubernetes/lease.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "engine/kubernetes/verdict.h"
#include "engine/remote/program.h"

enum { RENEW_MS = LANE_LEASE_MS / 3, AGAIN_MS = 5000, EXEC_MS = 5000 };

static int renew_in(struct kubernetes_place *place, const struct place_container *container,
                    struct err *err)
{
    CLEANUP_FREE char *ttl = xasprintf("%d", LANE_LEASE_MS);
    const char *const argv[] = {POD_HELPER, "renew", POD_LEASE_FILE, ttl, NULL};
    const struct remote_program program = {.argv = argv};
    struct ctx ctx;
    int result;

    ctx_init(&ctx, &place->background);
    ctx_set_timeout(&ctx, EXEC_MS, "lease");
    result = remote_do(&ctx, &container->reach.remote, &program, err);
    ctx_release(&ctx);
    return result;
}

/* One container renews it for all. *ret_running: there is one. */
static bool renew(struct kubernetes_place *place, const json_t *pod, bool gone, bool try,
                  bool *ret_running)
{
    *ret_running = false;
    for (size_t i = 0; i < place->container_count; i++) {
        const struct place_container *container = &place->containers[i];
        struct err err = ERR_INIT;
        struct verdict verdict;

        if (!container->leased)
            continue;
        verdict_of(pod, gone, container->pod.name, &verdict);
        if (verdict.kind != VERDICT_RUNNING)
            continue;
        *ret_running = true;
        if (!try || renew_in(place, container, &err) == 0)
            return true;
        log_debug("kubernetes", "%s/%s: the lease is not renewed: %s", place->pod,
                  container->pod.name, err.message);
    }
    return false;
}

int64_t lease_renew(struct kubernetes_place *place)
{
    int64_t now = clock_monotonic_ms();
    bool due = place->lease_due_ms > 0;
    bool gone, renewed, running;
    json_t *pod;

    if (now < place->lease_due_ms)
        return place->lease_due_ms;
    pod = pod_object(place->tracked, &gone);
    /* The first lease begins with the container, and has just done so. */
    renewed = renew(place, pod, gone, due, &running);
    json_decref(pod);
    if (!running)
        return INT64_MAX;
    place->lease_due_ms = clock_monotonic_ms() + (renewed ? RENEW_MS : AGAIN_MS);
    return place->lease_due_ms;
}
