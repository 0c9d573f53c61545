#include "engine/kubernetes/loss.h"

#include "base/logger.h"

enum { ASK_MS = 5000, PAUSE_MS = 500, ASKED_MAX = 2 };

static bool ask(const struct ctx *ctx, struct kubernetes_place *place, struct verdict *verdict)
{
    struct kube_client *client = kubernetes_client_take(place->instance);
    struct err err = ERR_INIT;
    json_t *events = NULL;
    bool explained = false;

    if (kube_events(ctx, client, place->space->ns, "Pod", place->pod, place->uid, &events, &err) ==
        0)
        explained = verdict_of_events(json_object_get(events, "items"), verdict);
    else
        log_debug("kubernetes", "what is reported about %s cannot be had: %s", place->pod,
                  err.message);
    json_decref(events);
    kubernetes_client_give(place->instance, client);
    return explained;
}

static bool is_told_to_go(struct kubernetes_place *place)
{
    struct verdict verdict;
    bool gone;
    json_t *pod = pod_object(place->tracked, &gone);
    bool told = verdict_of_pod(pod, gone, &verdict) && verdict.reason == REASON_LOST;

    json_decref(pod);
    return told;
}

void loss_explain(struct kubernetes_place *place, struct verdict *verdict)
{
    CLEANUP_CTX struct ctx ctx;

    if (verdict->reason != REASON_LOST || !place->uid || !is_told_to_go(place))
        return;
    ctx_init_cleanup(&ctx, ASK_MS);
    /* Who deletes a pod reports that behind it. */
    for (int i = 0; i < ASKED_MAX && !ask(&ctx, place, verdict); i++) {
        if (ctx_sleep(&ctx, PAUSE_MS, NULL) < 0)
            return;
    }
}
