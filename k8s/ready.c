#include "k8s/ready.h"

#include <string.h>

#include "k8s/manifest.h"

#include "base/json_at.h"

const json_t *ready_condition(const json_t *object, const char *type)
{
    const json_t *condition;
    size_t i;

    json_array_foreach (json_at(object, "status.conditions"), i, condition) {
        if (strcmp(json_at_string(condition, "type"), type) == 0)
            return condition;
    }
    return NULL;
}

static bool is_true(const json_t *object, const char *type)
{
    return strcmp(json_at_string(ready_condition(object, type), "status"), "True") == 0;
}

static bool is_false(const json_t *object, const char *type)
{
    return strcmp(json_at_string(ready_condition(object, type), "status"), "False") == 0;
}

/* "REASON: MESSAGE" of a condition, as far as they are there. */
static void add_condition(const json_t *object, const char *type, struct buf *why)
{
    const json_t *condition = ready_condition(object, type);
    const char *reason = json_at_string(condition, "reason");
    const char *message = json_at_string(condition, "message");

    buf_addf(why, "%s%s%s", reason, *reason && *message ? ": " : "", message);
}

static enum ready wait_for(struct buf *why, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static enum ready wait_for(struct buf *why, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    buf_vaddf(why, fmt, args);
    va_end(args);
    return READY_NOT_YET;
}

static int64_t replicas_of(const json_t *object, const char *path)
{
    const json_t *value = json_at(object, path);

    return json_is_integer(value) ? json_integer_value(value) : 1;
}

/* --- kinds --- */

static enum ready deployment(const json_t *o, struct buf *why)
{
    const int64_t wanted = replicas_of(o, "spec.replicas");
    const int64_t updated = json_at_int(o, "status.updatedReplicas");
    const int64_t all = json_at_int(o, "status.replicas");
    const int64_t available = json_at_int(o, "status.availableReplicas");

    if (strcmp(json_at_string(ready_condition(o, "Progressing"), "reason"),
               "ProgressDeadlineExceeded") == 0) {
        add_condition(o, "Progressing", why);
        return READY_FAILED;
    }
    if (json_is_true(json_at(o, "spec.paused")))
        return READY_YES; /* as somebody wanted it */
    if (updated < wanted)
        return wait_for(why, "%lld of %lld new replicas have been made", (long long)updated,
                        (long long)wanted);
    if (all > updated)
        return wait_for(why, "%lld old replicas have not ended", (long long)(all - updated));
    if (available < updated)
        return wait_for(why, "%lld of %lld replicas are available", (long long)available,
                        (long long)updated);
    return READY_YES;
}

static enum ready statefulset(const json_t *o, struct buf *why)
{
    const int64_t wanted = replicas_of(o, "spec.replicas");
    const int64_t ready = json_at_int(o, "status.readyReplicas");
    const int64_t updated = json_at_int(o, "status.updatedReplicas");
    const int64_t partition = json_at_int(o, "spec.updateStrategy.rollingUpdate.partition");
    const char *current = json_at_string(o, "status.currentRevision");
    const char *update = json_at_string(o, "status.updateRevision");

    if (ready < wanted)
        return wait_for(why, "%lld of %lld replicas are ready", (long long)ready,
                        (long long)wanted);
    if (strcmp(json_at_string(o, "spec.updateStrategy.type"), "OnDelete") == 0)
        return READY_YES;
    if (partition > 0 && updated < wanted - partition)
        return wait_for(why, "%lld of %lld replicas have been updated", (long long)updated,
                        (long long)(wanted - partition));
    if (partition == 0 && strcmp(current, update) != 0)
        return wait_for(why, "%lld of %lld replicas have been updated", (long long)updated,
                        (long long)wanted);
    return READY_YES;
}

static enum ready daemonset(const json_t *o, struct buf *why)
{
    const int64_t wanted = json_at_int(o, "status.desiredNumberScheduled");
    const int64_t updated = json_at_int(o, "status.updatedNumberScheduled");
    const int64_t available = json_at_int(o, "status.numberAvailable");

    if (strcmp(json_at_string(o, "spec.updateStrategy.type"), "OnDelete") != 0 && updated < wanted)
        return wait_for(why, "%lld of %lld pods have been updated", (long long)updated,
                        (long long)wanted);
    if (available < wanted)
        return wait_for(why, "%lld of %lld pods are available", (long long)available,
                        (long long)wanted);
    return READY_YES;
}

static enum ready replicas(const json_t *o, struct buf *why)
{
    const int64_t wanted = replicas_of(o, "spec.replicas");
    const int64_t available = json_at_int(o, "status.availableReplicas");

    if (available == wanted)
        return READY_YES;
    if (is_true(o, "ReplicaFailure")) {
        add_condition(o, "ReplicaFailure", why);
        return READY_NOT_YET;
    }
    return wait_for(why, "%lld of %lld replicas are available", (long long)available,
                    (long long)wanted);
}

static enum ready job(const json_t *o, struct buf *why)
{
    const json_t *wanted = json_at(o, "spec.completions");

    if (is_true(o, "Complete") || json_is_true(json_at(o, "spec.suspend")))
        return READY_YES;
    if (is_true(o, "Failed")) {
        add_condition(o, "Failed", why);
        return READY_FAILED;
    }
    return wait_for(why, "%lld of %lld pods have succeeded, %lld failed, %lld run",
                    (long long)json_at_int(o, "status.succeeded"),
                    (long long)(wanted ? json_integer_value(wanted) : 1),
                    (long long)json_at_int(o, "status.failed"),
                    (long long)json_at_int(o, "status.active"));
}

/* What its containers wait for, or how they have ended. */
static void add_containers(const json_t *pod, struct buf *why)
{
    static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
    const json_t *status;
    size_t i;

    for (size_t list = 0; list < 2; list++) {
        json_array_foreach (json_at(pod, lists[list]), i, status) {
            const char *reason = json_at_string(status, "state.waiting.reason");
            const json_t *end = json_at(status, "state.terminated");

            if (*reason)
                buf_addf(why, ", container %s: %s", json_at_string(status, "name"), reason);
            else if (end && json_at_int(end, "exitCode"))
                buf_addf(why, ", container %s: %s, exit code %lld", json_at_string(status, "name"),
                         json_at_string(end, "reason"), (long long)json_at_int(end, "exitCode"));
        }
    }
}

static enum ready pod(const json_t *o, struct buf *why)
{
    const char *phase = json_at_string(o, "status.phase");

    if (strcmp(phase, "Succeeded") == 0 || (strcmp(phase, "Running") == 0 && is_true(o, "Ready")))
        return READY_YES;
    if (strcmp(phase, "Failed") == 0) {
        const char *reason = json_at_string(o, "status.reason");

        buf_addf(why, "%s", *reason ? reason : "has failed");
        add_containers(o, why);
        return READY_FAILED;
    }
    if (is_false(o, "PodScheduled")) {
        add_condition(o, "PodScheduled", why);
        return READY_NOT_YET;
    }
    buf_addf(why, "is %s and not ready", *phase ? phase : "new");
    add_containers(o, why);
    return READY_NOT_YET;
}

static enum ready claim(const json_t *o, struct buf *why)
{
    const char *phase = json_at_string(o, "status.phase");

    if (strcmp(phase, "Bound") == 0)
        return READY_YES;
    if (strcmp(phase, "Lost") == 0) {
        buf_addstr(why, "its volume is lost");
        return READY_FAILED;
    }
    return wait_for(why, "has no volume yet (%s)", *phase ? phase : "new");
}

static enum ready volume(const json_t *o, struct buf *why)
{
    if (strcmp(json_at_string(o, "status.phase"), "Failed") != 0)
        return READY_YES;
    buf_addf(why, "has failed: %s", json_at_string(o, "status.message"));
    return READY_FAILED;
}

bool ready_needs_endpoints(const json_t *o)
{
    return strcmp(json_at_string(o, "spec.type"), "ExternalName") != 0 &&
           strcmp(json_at_string(o, "spec.clusterIP"), "None") != 0 &&
           json_object_size(json_at(o, "spec.selector"));
}

static enum ready service(const json_t *o, struct buf *why)
{
    return ready_needs_endpoints(o) ? ready_endpoints(NULL, why) : READY_YES;
}

enum ready ready_endpoints(const json_t *endpoints, struct buf *why)
{
    const json_t *subset;
    size_t not_ready = 0;
    size_t i;

    json_array_foreach (json_object_get(endpoints, "subsets"), i, subset) {
        if (json_array_size(json_object_get(subset, "addresses")))
            return READY_YES;
        not_ready += json_array_size(json_object_get(subset, "notReadyAddresses"));
    }
    if (not_ready)
        return wait_for(why, "has no endpoints: of %zu pods that it selects none is ready",
                        not_ready);
    return wait_for(why, "has no endpoints: it selects no pod that runs");
}

static enum ready definition(const json_t *o, struct buf *why)
{
    if (is_false(o, "NamesAccepted")) {
        add_condition(o, "NamesAccepted", why);
        return READY_FAILED;
    }
    if (is_true(o, "Established"))
        return READY_YES;
    return wait_for(why, "is not established");
}

static enum ready space(const json_t *o, struct buf *why)
{
    if (strcmp(json_at_string(o, "status.phase"), "Terminating") != 0)
        return READY_YES;
    buf_addstr(why, "is being deleted; wait until it is gone");
    return READY_FAILED;
}

static enum ready by_conditions(const json_t *o, struct buf *why)
{
    static const char *const types[] = {"Ready", "Available"};

    if (is_true(o, "Stalled")) {
        add_condition(o, "Stalled", why);
        return READY_FAILED;
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (!ready_condition(o, types[i]) || is_true(o, types[i]))
            continue;
        buf_addf(why, "is not %s: ", i ? "available" : "ready");
        add_condition(o, types[i], why);
        return READY_NOT_YET;
    }
    return READY_YES;
}

static const struct {
    const char *group;
    const char *kind;
    enum ready (*judge)(const json_t *object, struct buf *why);
} rows[] = {
    {"apps", "Deployment", deployment},
    {"extensions", "Deployment", deployment},
    {"apps", "StatefulSet", statefulset},
    {"apps", "DaemonSet", daemonset},
    {"extensions", "DaemonSet", daemonset},
    {"apps", "ReplicaSet", replicas},
    {"extensions", "ReplicaSet", replicas},
    {"", "ReplicationController", replicas},
    {"batch", "Job", job},
    {"", "Pod", pod},
    {"", "PersistentVolumeClaim", claim},
    {"", "PersistentVolume", volume},
    {"", "Service", service},
    {"", "Namespace", space},
    {"apiextensions.k8s.io", "CustomResourceDefinition", definition},
};

enum ready ready_of(const json_t *o, struct buf *why)
{
    const struct manifest m = {.api_version = json_at_string(o, "apiVersion"),
                               .kind = json_at_string(o, "kind")};
    const json_t *seen = json_at(o, "status.observedGeneration");
    const json_t *generation = json_at(o, "metadata.generation");

    if (*json_at_string(o, "metadata.deletionTimestamp") && !manifest_is(&m, "", "Namespace"))
        return wait_for(why, "is being deleted");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (!manifest_is(&m, rows[i].group, rows[i].kind))
            continue;
        /* These have controllers that say what they have seen. */
        if (strcmp(rows[i].group, "apps") == 0 &&
            json_integer_value(seen) < json_integer_value(generation))
            return wait_for(why, "its controller has not seen it yet");
        return rows[i].judge(o, why);
    }
    if (seen && json_integer_value(seen) < json_integer_value(generation))
        return wait_for(why, "its controller has not seen it yet");
    return by_conditions(o, why);
}
