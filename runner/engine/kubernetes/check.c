#include "engine/kubernetes/check.h"

#include "engine/kubernetes/place.h"
#include "engine/kubernetes/verdict.h"
#include "engine/remote/check.h"

struct check {
    const struct ctx *ctx;
    struct kubernetes_place *place;
    const struct place_container *container;
};

static int ask(const struct check *check, const struct runnable *running, const struct probe *probe,
               struct err *err)
{
    return remote_check(check->ctx, &check->container->reach.remote,
                        running->service ? NULL : check->place->workspace, running, probe, err);
}

/* What an image says of its health, or which ports it exposes, is not to be seen in Kubernetes: it
 * is what the service itself names. */
static int ask_image(const struct check *check, const struct runnable *running,
                     const struct probe *probe, struct err *err)
{
    const struct service_shape *service = running->service;

    for (size_t i = 0; service && probe->listening && i < service->port_count; i++) {
        const struct probe port = {.kind = PROBE_TCP, .port = service->ports[i].port};

        if (!service->ports[i].udp && ask(check, running, &port, err) < 0)
            return -1;
    }
    return 0;
}

/* Whoever makes it may wait for a quota, and is not waited for. */
static bool is_made(const struct check *check)
{
    struct gate *making = &check->place->making;
    bool made;

    if (gate_enter_within(check->ctx, making, 0, NULL) <= 0)
        return false;
    made = check->place->made;
    gate_leave(making);
    return made;
}

static bool is_running(const struct check *check, struct err *err)
{
    struct verdict verdict;
    bool gone;
    json_t *pod;

    if (!is_made(check))
        return err_set(err, ERR_UNAVAILABLE, "its pod is not there yet") == 0;
    pod = pod_object(check->place->tracked, &gone);
    verdict_of(pod, gone, check->container->pod.name, &verdict);
    json_decref(pod);
    if (verdict.kind == VERDICT_RUNNING)
        return true;
    err_set(err, ERR_UNAVAILABLE, "its container does not run%s%s", *verdict.text ? ": " : "",
            verdict.text);
    return false;
}

int kubernetes_place_check(const struct ctx *ctx, struct place *opaque,
                           const struct runnable *running, const struct probe *probe,
                           struct err *err)
{
    struct kubernetes_place *place = (struct kubernetes_place *)opaque;
    struct place_container *container;
    struct check check = {.ctx = ctx, .place = place};

    if (kubernetes_place_find(place, running, &container, err) < 0)
        return -1;
    check.container = container;
    if (!is_running(&check, err))
        return -1;
    if (probe->kind == PROBE_IMAGE)
        return ask_image(&check, running, probe, err);
    return ask(&check, running, probe, err);
}
