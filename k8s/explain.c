#include "k8s/explain.h"

#include <string.h>

#include "apis/kube/json.h"
#include "apis/kube/log.h"
#include "apis/kube/object.h"
#include "k8s/ready.h"
#include "k8s/selector.h"

enum { EVENTS_MAX = 5, PODS_MAX = 3, LOG_LINES = 10, LOG_BYTES_MAX = 8192 };

/* --- conditions --- */

/* Those that say what is wrong. */
static void add_conditions(const json_t *object, struct buf *out)
{
    const json_t *condition;
    size_t i;

    json_array_foreach (kube_json_at(object, "status.conditions"), i, condition) {
        const char *type = kube_json_str(condition, "type");
        const bool is_true = strcmp(kube_json_str(condition, "status"), "True") == 0;
        const bool is_bad = strstr(type, "Fail") || strstr(type, "Pressure");
        const char *message = kube_json_str(condition, "message");

        if (is_true == is_bad && *message)
            buf_addf(out, "\n  %s is %s: %s", type, kube_json_str(condition, "status"), message);
    }
}

/* --- events --- */

static void add_events(const struct ctx *ctx, struct kube_client *client, const json_t *object,
                       const char *indent, struct buf *out)
{
    const char *ns = kube_json_str(object, "metadata.namespace");
    json_t *list = NULL;
    const json_t *items;
    size_t told = 0;

    if (kube_events(ctx, client, *ns ? ns : "default", kube_json_str(object, "kind"),
                    kube_json_str(object, "metadata.name"), kube_json_str(object, "metadata.uid"),
                    &list, NULL) < 0)
        return;
    items = json_object_get(list, "items");
    for (size_t i = json_array_size(items); i-- > 0 && told < EVENTS_MAX;) {
        const json_t *event = json_array_get(items, i);

        if (strcmp(kube_json_str(event, "type"), "Normal") == 0)
            continue;
        buf_addf(out, "\n%sevent: %s: %s", indent, kube_json_str(event, "reason"),
                 kube_json_str(event, "message"));
        told++;
    }
    json_decref(list);
}

/* --- pods --- */

static int keep_bytes(void *arg, const char *data, size_t len, struct err *err)
{
    struct buf *log = arg;

    (void)err;
    buf_add(log, data, len);
    if (log->len > LOG_BYTES_MAX)
        buf_consume(log, log->len - LOG_BYTES_MAX);
    return 0;
}

static void add_lines(const struct buf *log, struct buf *out)
{
    for (const char *line = log->data; *line;) {
        const size_t len = strcspn(line, "\n");

        buf_addf(out, "\n      | %.*s", (int)len, line);
        line += len + (line[len] == '\n');
    }
}

static void add_log(const struct ctx *ctx, struct kube_client *client, const json_t *pod,
                    const json_t *status, struct buf *out)
{
    const struct kube_log_options options = {.container = kube_json_str(status, "name"),
                                             .previous = !!kube_json_at(status, "state.waiting"),
                                             .has_tail = true,
                                             .tail_lines = LOG_LINES};
    CLEANUP_BUF struct buf log = BUF_INIT;

    if (kube_log(ctx, client, kube_json_str(pod, "metadata.namespace"),
                 kube_json_str(pod, "metadata.name"), &options, keep_bytes, &log, NULL) < 0)
        return;
    if (log.len)
        buf_addf(out, "\n    last lines of container %s:", options.container);
    add_lines(&log, out);
}

static void add_container(const struct ctx *ctx, struct kube_client *client, const json_t *pod,
                          const json_t *status, struct buf *out)
{
    const char *name = kube_json_str(status, "name");
    const json_t *waiting = kube_json_at(status, "state.waiting");
    const json_t *end = kube_json_at(status, "state.terminated");

    if (!end)
        end = kube_json_at(status, "lastState.terminated");
    if (waiting && *kube_json_str(waiting, "message"))
        buf_addf(out, "\n    container %s: %s: %s", name, kube_json_str(waiting, "reason"),
                 kube_json_str(waiting, "message"));
    if (end)
        buf_addf(out, "\n    container %s has ended: %s, exit code %lld, %lld restarts", name,
                 kube_json_str(end, "reason"), (long long)kube_json_int(end, "exitCode"),
                 (long long)kube_json_int(status, "restartCount"));
    if (*kube_json_str(end, "message"))
        buf_addf(out, ": %s", kube_json_str(end, "message"));
    if (end || (!waiting && !json_is_true(json_object_get(status, "ready"))))
        add_log(ctx, client, pod, status, out);
}

static void add_pod(const struct ctx *ctx, struct kube_client *client, const json_t *pod,
                    struct buf *out)
{
    static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
    const json_t *status;
    size_t i;

    for (size_t list = 0; list < 2; list++) {
        json_array_foreach (kube_json_at(pod, lists[list]), i, status)
            add_container(ctx, client, pod, status, out);
    }
    add_events(ctx, client, pod, "    ", out);
}

static void add_pods(const struct ctx *ctx, struct kube_client *client, const json_t *object,
                     struct buf *out)
{
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = "pods",
                                 .ns = kube_json_str(object, "metadata.namespace")};
    CLEANUP_BUF struct buf labels = BUF_INIT;
    json_t *list = NULL;
    const json_t *pod;
    size_t told = 0;
    size_t i;

    selector_add_text(object, &labels);
    if (!labels.len || kube_list(ctx, client, &ref, &(struct kube_selector){.labels = labels.data},
                                 0, &list, NULL) < 0)
        return;
    if (!json_array_size(json_object_get(list, "items")))
        buf_addf(out, "\n  no pod has the labels %s", labels.data);
    json_array_foreach (json_object_get(list, "items"), i, pod) {
        CLEANUP_BUF struct buf why = BUF_INIT;

        if (ready_of(pod, &why) == READY_YES || told++ >= PODS_MAX)
            continue;
        buf_addf(out, "\n  pod %s: %s", kube_json_str(pod, "metadata.name"), why.data);
        add_pod(ctx, client, pod, out);
    }
    if (told > PODS_MAX)
        buf_addf(out, "\n  and %zu more pods", told - PODS_MAX);
    json_decref(list);
}

/* --- */

void explain_not_ready(const struct ctx *ctx, struct kube_client *client, const json_t *object,
                       struct buf *out)
{
    if (!object)
        return;
    add_conditions(object, out);
    add_events(ctx, client, object, "  ", out);
    if (strcmp(kube_json_str(object, "kind"), "Pod") == 0)
        add_pod(ctx, client, object, out);
    else if (json_is_object(kube_json_at(object, "spec.selector")))
        add_pods(ctx, client, object, out);
}

void explain_not_gone(const json_t *object, struct buf *out)
{
    const json_t *value;
    size_t i;

    json_array_foreach (kube_json_at(object, "metadata.finalizers"), i, value)
        buf_addf(out, "\n  waits for the finalizer %s", json_string_value(value));
    json_array_foreach (kube_json_at(object, "status.conditions"), i, value) {
        if (strcmp(kube_json_str(value, "status"), "True") == 0)
            buf_addf(out, "\n  %s: %s", kube_json_str(value, "type"),
                     kube_json_str(value, "message"));
    }
    if (json_array_size(kube_json_at(object, "metadata.finalizers")))
        buf_addstr(out, "\n  what these finalizers belong to must be running; remove them by hand "
                        "only when it is gone for good");
}
