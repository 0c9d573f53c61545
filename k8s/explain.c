#include "k8s/explain.h"

#include <string.h>

#include "apis/kube/log.h"
#include "apis/kube/object.h"
#include "base/json_at.h"
#include "k8s/ready.h"
#include "k8s/selector.h"

enum { EVENTS_MAX = 5, PODS_MAX = 3, LOG_LINES = 10, LOG_BYTES_MAX = 8192 };

/* --- conditions --- */

/* Those that say what is wrong. */
static void add_conditions(const json_t *object, struct buf *out)
{
    const json_t *condition;
    size_t i;

    json_array_foreach (json_at(object, "status.conditions"), i, condition) {
        const char *type = json_at_string(condition, "type");
        const bool is_true = strcmp(json_at_string(condition, "status"), "True") == 0;
        const bool is_bad = strstr(type, "Fail") || strstr(type, "Pressure");
        const char *message = json_at_string(condition, "message");

        if (is_true == is_bad && *message)
            buf_addf(out, "\n  %s is %s: %s", type, json_at_string(condition, "status"), message);
    }
}

/* --- events --- */

static void add_events(const struct ctx *ctx, struct kube_client *client, const json_t *object,
                       const char *indent, struct buf *out)
{
    const char *ns = json_at_string(object, "metadata.namespace");
    json_t *list = NULL;
    const json_t *items;
    size_t told = 0;

    if (kube_events(ctx, client, *ns ? ns : "default", json_at_string(object, "kind"),
                    json_at_string(object, "metadata.name"), json_at_string(object, "metadata.uid"),
                    &list, NULL) < 0)
        return;
    items = json_object_get(list, "items");
    for (size_t i = json_array_size(items); i-- > 0 && told < EVENTS_MAX;) {
        const json_t *event = json_array_get(items, i);

        if (strcmp(json_at_string(event, "type"), "Normal") == 0)
            continue;
        buf_addf(out, "\n%sevent: %s: %s", indent, json_at_string(event, "reason"),
                 json_at_string(event, "message"));
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
    const struct kube_log_options options = {.container = json_at_string(status, "name"),
                                             .previous = !!json_at(status, "state.waiting"),
                                             .has_tail = true,
                                             .tail_lines = LOG_LINES};
    CLEANUP_BUF struct buf log = BUF_INIT;

    if (kube_log(ctx, client, json_at_string(pod, "metadata.namespace"),
                 json_at_string(pod, "metadata.name"), &options, keep_bytes, &log, NULL) < 0)
        return;
    if (log.len)
        buf_addf(out, "\n    last lines of container %s:", options.container);
    add_lines(&log, out);
}

static void add_container(const struct ctx *ctx, struct kube_client *client, const json_t *pod,
                          const json_t *status, struct buf *out)
{
    const char *name = json_at_string(status, "name");
    const json_t *waiting = json_at(status, "state.waiting");
    const json_t *end = json_at(status, "state.terminated");

    if (!end)
        end = json_at(status, "lastState.terminated");
    if (waiting && *json_at_string(waiting, "message"))
        buf_addf(out, "\n    container %s: %s: %s", name, json_at_string(waiting, "reason"),
                 json_at_string(waiting, "message"));
    if (end)
        buf_addf(out, "\n    container %s has ended: %s, exit code %lld, %lld restarts", name,
                 json_at_string(end, "reason"), (long long)json_at_int(end, "exitCode"),
                 (long long)json_at_int(status, "restartCount"));
    if (*json_at_string(end, "message"))
        buf_addf(out, ": %s", json_at_string(end, "message"));
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
        json_array_foreach (json_at(pod, lists[list]), i, status)
            add_container(ctx, client, pod, status, out);
    }
    add_events(ctx, client, pod, "    ", out);
}

static void add_pods(const struct ctx *ctx, struct kube_client *client, const json_t *object,
                     struct buf *out)
{
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = "pods",
                                 .ns = json_at_string(object, "metadata.namespace")};
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
        buf_addf(out, "\n  pod %s: %s", json_at_string(pod, "metadata.name"), why.data);
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
    if (strcmp(json_at_string(object, "kind"), "Pod") == 0)
        add_pod(ctx, client, object, out);
    else if (json_is_object(json_at(object, "spec.selector")))
        add_pods(ctx, client, object, out);
}

void explain_not_gone(const json_t *object, struct buf *out)
{
    const json_t *value;
    size_t i;

    json_array_foreach (json_at(object, "metadata.finalizers"), i, value)
        buf_addf(out, "\n  waits for the finalizer %s", json_string_value(value));
    json_array_foreach (json_at(object, "status.conditions"), i, value) {
        if (strcmp(json_at_string(value, "status"), "True") == 0)
            buf_addf(out, "\n  %s: %s", json_at_string(value, "type"),
                     json_at_string(value, "message"));
    }
    if (json_array_size(json_at(object, "metadata.finalizers")))
        buf_addstr(out, "\n  what these finalizers belong to must be running; remove them by hand "
                        "only when it is gone for good");
}
