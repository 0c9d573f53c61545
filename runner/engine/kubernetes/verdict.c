#include "engine/kubernetes/verdict.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "helper/request.h"

static const char *string_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static bool is_any(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

/* In the array `key` of `object`, the one whose member `by` is `name`. */
static const json_t *find(const json_t *object, const char *key, const char *by, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach (json_object_get(object, key), i, item) {
        if (strcmp(string_of(item, by), name) == 0)
            return item;
    }
    return NULL;
}

static void say(struct verdict *ret, enum verdict_kind kind, enum reason reason, const char *head,
                const char *detail)
{
    ret->kind = kind;
    ret->reason = reason;
    snprintf(ret->text, sizeof(ret->text), "%.120s%s%.360s", head, *detail ? ": " : "", detail);
}

/* --- the pod --- */

/* Why a pod was ended by the cluster. */
static enum reason reason_of_failure(const char *reason)
{
    static const char *const evicted[] = {"Evicted", "Preempting", "Preempted", NULL};
    static const char *const unschedulable[] = {"NodeAffinity", "UnexpectedAdmissionError",
                                                "TopologyAffinityError", NULL};

    if (is_any(reason, evicted))
        return REASON_EVICTED;
    if (strncmp(reason, "OutOf", 5) == 0 || is_any(reason, unschedulable))
        return REASON_UNSCHEDULABLE;
    return strcmp(reason, "DeadlineExceeded") == 0 ? REASON_TIMEOUT : REASON_LOST;
}

static bool fill_failure(const json_t *status, struct verdict *ret)
{
    const json_t *target = find(status, "conditions", "type", "DisruptionTarget");
    CLEANUP_FREE char *head = NULL;
    const char *reason = string_of(status, "reason");

    if (target && strcmp(string_of(target, "status"), "True") == 0) {
        head = xasprintf("its pod was evicted (%s)", string_of(target, "reason"));
        say(ret, VERDICT_ENDED, REASON_EVICTED, head, string_of(target, "message"));
        return true;
    }
    if (!*reason)
        return false;
    head = xasprintf("its pod was ended by the cluster (%s)", reason);
    say(ret, VERDICT_ENDED, reason_of_failure(reason), head, string_of(status, "message"));
    return true;
}

bool verdict_of_pod(const json_t *pod, bool gone, struct verdict *ret)
{
    const json_t *status = json_object_get(pod, "status");
    const json_t *metadata = json_object_get(pod, "metadata");

    *ret = (struct verdict){.kind = VERDICT_COMING};
    if (fill_failure(status, ret))
        return true;
    if (gone) {
        say(ret, VERDICT_ENDED, REASON_LOST, "its pod was deleted by somebody else", "");
        return true;
    }
    if (json_object_get(metadata, "deletionTimestamp")) {
        say(ret, VERDICT_ENDED, REASON_LOST, "its pod is being deleted by somebody else", "");
        return true;
    }
    return false;
}

/* What says most comes first: a pod that has lost its node is marked for deletion, too. */
bool verdict_of_events(const json_t *events, struct verdict *ret)
{
    static const struct {
        const char *reported;
        const char *message; /* how it begins; others have the same reason */
        enum reason reason;
        const char *text;
    } rows[] = {
        {"Preempted", "", REASON_EVICTED, "its pod was preempted"},
        {"Evicted", "", REASON_EVICTED, "its pod was evicted"},
        {"NodeNotReady", "", REASON_LOST, "its node was lost"},
        {"TaintManagerEviction", "Marking", REASON_EVICTED, "its pod was evicted from its node"},
    };
    const json_t *event;
    size_t i;

    for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
        json_array_foreach (events, i, event) {
            const char *message = string_of(event, "message");

            if (strcmp(string_of(event, "reason"), rows[k].reported) != 0 ||
                strncmp(message, rows[k].message, strlen(rows[k].message)) != 0)
                continue;
            ret->has_code = false;
            say(ret, VERDICT_ENDED, rows[k].reason, rows[k].text, message);
            return true;
        }
    }
    return false;
}

/* --- the container --- */

static const json_t *status_of(const json_t *pod, const char *container)
{
    const json_t *status = json_object_get(pod, "status");
    const json_t *found = find(status, "containerStatuses", "name", container);

    return found ? found : find(status, "initContainerStatuses", "name", container);
}

static void fill_terminated(const json_t *terminated, struct verdict *ret)
{
    const json_t *code = json_object_get(terminated, "exitCode");
    const char *reason = string_of(terminated, "reason");
    CLEANUP_FREE char *head = NULL;

    ret->has_code = json_is_integer(code);
    ret->code = (int)json_integer_value(code);
    if (strcmp(reason, "OOMKilled") == 0) {
        say(ret, VERDICT_ENDED, REASON_OOM, "killed: out of memory", "");
    } else if (ret->code == HELPER_EXIT_ABANDONED) {
        say(ret, VERDICT_ENDED, REASON_LOST,
            "its container has ended by itself, as nothing was heard of the runner for too long",
            "");
    } else {
        head = xasprintf("its container has ended with code %d%s%s", ret->code, *reason ? ", " : "",
                         reason);
        say(ret, VERDICT_ENDED, REASON_LOST, head, string_of(terminated, "message"));
    }
}

/* Words of registries and kubelets about what another attempt may mend. */
static bool pull_may_pass(const char *message)
{
    static const char *const words[] = {"toomanyrequests",
                                        "too many requests",
                                        "rate limit",
                                        "timeout",
                                        "timed out",
                                        "connection refused",
                                        "connection reset",
                                        "no such host",
                                        "i/o",
                                        "EOF",
                                        "503",
                                        "502",
                                        "500 Internal",
                                        "temporary",
                                        "deadline exceeded",
                                        "server misbehaving",
                                        "network is unreachable",
                                        NULL};

    for (const char *const *word = words; *word; word++) {
        if (strcasestr(message, *word))
            return true;
    }
    return false;
}

/* Kubelets that have not got a pull secret yet pull without it. */
static bool lacks_credentials(const json_t *pod, const char *message)
{
    static const char *const words[] = {"no basic auth credentials", "anonymous token", NULL};
    const json_t *secrets = json_object_get(json_object_get(pod, "spec"), "imagePullSecrets");
    bool lacks = false;

    for (const char *const *word = words; *word && !lacks; word++)
        lacks = strcasestr(message, *word) != NULL;
    return lacks && json_array_size(secrets) > 0;
}

static void fill_waiting(const json_t *pod, const json_t *waiting, struct verdict *ret)
{
    static const char *const pulls[] = {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable",
                                        "ImageInspectError", NULL};
    static const char *const images[] = {"InvalidImageName", "ErrImageNeverPull", NULL};
    static const char *const configs[] = {"CreateContainerConfigError", "CreateContainerError",
                                          "RunContainerError", "StartError", NULL};
    const char *reason = string_of(waiting, "reason");
    const char *message = string_of(waiting, "message");

    ret->pulling = true;
    if (is_any(reason, pulls)) {
        say(ret, VERDICT_REFUSED, REASON_IMAGE_PULL, reason, message);
        ret->may_pass = pull_may_pass(message) || strcmp(reason, "ErrImagePull") != 0;
        ret->uncredited = lacks_credentials(pod, message);
    } else if (is_any(reason, images)) {
        say(ret, VERDICT_REFUSED, REASON_IMAGE_PULL, reason, message);
    } else if (is_any(reason, configs)) {
        say(ret, VERDICT_REFUSED, REASON_ERROR, reason, message);
        ret->may_pass = strcmp(reason, "CreateContainerConfigError") == 0;
    } else {
        say(ret, VERDICT_COMING, REASON_NONE, *reason ? reason : "waiting", message);
    }
}

static void fill_unscheduled(const json_t *pod, struct verdict *ret)
{
    const json_t *scheduled =
        find(json_object_get(pod, "status"), "conditions", "type", "PodScheduled");

    if (!scheduled || strcmp(string_of(scheduled, "status"), "False") != 0)
        return;
    ret->unschedulable = true;
    say(ret, VERDICT_COMING, REASON_UNSCHEDULABLE, string_of(scheduled, "reason"),
        string_of(scheduled, "message"));
}

void verdict_of(const json_t *pod, bool gone, const char *container, struct verdict *ret)
{
    const json_t *state = json_object_get(status_of(pod, container), "state");
    const json_t *terminated = json_object_get(state, "terminated");

    *ret = (struct verdict){.kind = VERDICT_COMING};
    /* An evicted pod's containers have ended, too, but that is not why. */
    if (fill_failure(json_object_get(pod, "status"), ret))
        return;
    /* A native sidecar is started again, but what has ended by itself is no service any more. */
    if (!terminated)
        terminated =
            json_object_get(json_object_get(status_of(pod, container), "lastState"), "terminated");
    if (terminated) {
        fill_terminated(terminated, ret);
        return;
    }
    if (verdict_of_pod(pod, gone, ret))
        return;
    if (json_object_get(state, "running"))
        ret->kind = VERDICT_RUNNING;
    else if (json_object_get(state, "waiting"))
        fill_waiting(pod, json_object_get(state, "waiting"), ret);
    else
        fill_unscheduled(pod, ret);
}

static bool all_are(const json_t *pod, const char *containers, const char *statuses,
                    const char *state, const char *or_state)
{
    const json_t *wanted = json_object_get(json_object_get(pod, "spec"), containers);
    const json_t *items = json_object_get(json_object_get(pod, "status"), statuses);
    const json_t *status;
    size_t i;

    if (json_array_size(items) != json_array_size(wanted))
        return false;
    json_array_foreach (items, i, status) {
        const json_t *is = json_object_get(status, "state");

        if (!json_object_get(is, state) && !json_object_get(is, or_state))
            return false;
    }
    return true;
}

/* Sidecars are init containers. */
static bool whole_is(const json_t *pod, const char *state, const char *or_state)
{
    return json_array_size(json_object_get(json_object_get(pod, "spec"), "containers")) > 0 &&
           all_are(pod, "containers", "containerStatuses", state, or_state) &&
           all_are(pod, "initContainers", "initContainerStatuses", state, or_state);
}

bool verdict_all_ended(const json_t *pod)
{
    return whole_is(pod, "terminated", "terminated");
}

bool verdict_none_runs(const json_t *pod)
{
    return whole_is(pod, "terminated", "waiting");
}
