#include "k8s/logs.h"

#include <string.h>

#include "apis/kube/log.h"
#include "apis/kube/object.h"
#include "base/alloc.h"
#include "base/json_at.h"
#include "k8s/order.h"
#include "k8s/selector.h"

struct reading {
    const struct ctx *ctx;
    struct kube_client *client;
    const struct manifest_logs *logs;
    struct strmap seen; /* "NAMESPACE/POD" */
};

struct log {
    const struct manifest_logs *logs;
    char *name;
};

static int on_bytes(void *arg, const char *data, size_t len, struct err *err)
{
    const struct log *log = arg;

    (void)err;
    log->logs->write(log->logs->arg, log->name, data, len);
    return 0;
}

static void read_log(struct reading *r, const json_t *pod, const char *container, bool previous)
{
    const struct kube_log_options options = {.container = container,
                                             .previous = previous,
                                             .has_tail = true,
                                             .tail_lines = r->logs->tail_lines};
    const char *name = json_at_string(pod, "metadata.name");
    CLEANUP_FREE char *log_name = xasprintf("%s.%s", name, container);
    struct log log = {r->logs, log_name};

    (void)!kube_log(r->ctx, r->client, json_at_string(pod, "metadata.namespace"), name, &options,
                    on_bytes, &log, NULL);
}

static void read_container(struct reading *r, const json_t *pod, const json_t *status)
{
    const char *name = json_at_string(status, "name");

    if (json_at(status, "lastState.terminated"))
        read_log(r, pod, name, true);
    if (json_at(status, "state.running") || json_at(status, "state.terminated"))
        read_log(r, pod, name, false);
}

static void read_pod(struct reading *r, const json_t *pod)
{
    static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
    CLEANUP_FREE char *key = xasprintf("%s/%s", json_at_string(pod, "metadata.namespace"),
                                       json_at_string(pod, "metadata.name"));
    const json_t *status;
    size_t i;

    if (strmap_has(&r->seen, key))
        return;
    strmap_set(&r->seen, key, "");
    for (size_t list = 0; list < 2; list++) {
        json_array_foreach (json_at(pod, lists[list]), i, status)
            read_container(r, pod, status);
    }
}

static void read_pods(struct reading *r, const struct manifest *m)
{
    struct kube_ref ref = {.api_version = "v1", .resource = "pods", .ns = m->ns};
    CLEANUP_BUF struct buf labels = BUF_INIT;
    json_t *found = NULL;
    const json_t *pod;
    size_t i;

    if (manifest_is(m, "", "Pod")) {
        ref.name = m->name;
        if (kube_get(r->ctx, r->client, &ref, &found, NULL) == 0)
            read_pod(r, found);
        json_decref(found);
        return;
    }
    selector_add_text(m->live, &labels);
    if (!labels.len ||
        kube_list(r->ctx, r->client, &ref, &(struct kube_selector){.labels = labels.data}, 0,
                  &found, NULL) < 0)
        return;
    json_array_foreach (json_object_get(found, "items"), i, pod)
        read_pod(r, pod);
    json_decref(found);
}

void manifest_logs_read(const struct ctx *ctx, struct kube_cluster *cluster,
                        const struct manifest_list *list, const struct manifest_logs *logs)
{
    CLEANUP_KUBE_CLIENT struct kube_client *client = kube_client_new(cluster);
    struct reading r = {.ctx = ctx, .client = client, .logs = logs};

    vec_foreach (const struct manifest *, m, &list->items) {
        if (m->live && m->ns && manifest_rank(m) == RANK_WORKLOAD)
            read_pods(&r, m);
    }
    strmap_release(&r.seen);
}
