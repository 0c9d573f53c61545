#include "engine/kubernetes/space.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/logger.h"
#include "engine/kubernetes/instance.h"
#include "engine/kubernetes/verdict.h"
#include "helper/helper.h"
#include "k8s/pod.h"

enum { REMOVE_MS = 30000, LEAVE_MS = 60000, LATE_MS = 4000, OVERDUE_MS = 12000, LOOK_MS = 1000 };

struct space *space_new(struct kubernetes_instance *instance, const char *ns, struct err *err)
{
    struct space *space = xcalloc(1, sizeof(*space));

    if (gate_init(&space->making, 1, err) < 0) {
        free(space);
        return NULL;
    }
    space->instance = instance;
    pthread_mutex_init(&space->mu, NULL);
    space->ns = xstrdup(ns);
    return space;
}

static json_t *ref_to(const char *api_version, const char *kind, const char *name, const char *uid)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "apiVersion", api_version, "kind", kind, "name", name,
                     "uid", uid);
}

json_t *space_owner(struct space *space)
{
    json_t *owner;

    pthread_mutex_lock(&space->mu);
    owner = json_deep_copy(space->owner);
    pthread_mutex_unlock(&space->mu);
    return owner;
}

static void set_owner(struct space *space, json_t *owner)
{
    pthread_mutex_lock(&space->mu);
    json_decref(space->owner);
    space->owner = owner;
    pthread_mutex_unlock(&space->mu);
}

json_t *space_metadata(struct space *space, const char *name, const char *role, const char *id)
{
    json_t *owner = space_owner(space);
    const struct strmap *own = own_run_labels(space->instance->services->run);
    json_t *labels = json_pack("{s:s, s:s, s:s}", OWN_LABEL_RUN, strmap_get(own, OWN_LABEL_RUN),
                               OWN_LABEL_ROLE, role, OWN_LABEL_ID, id);
    json_t *annotations = json_pack("{s:s}", OWN_LABEL_OWNER, strmap_get(own, OWN_LABEL_OWNER));
    json_t *metadata = json_pack("{s:s, s:s, s:o, s:o}", "name", name, "namespace", space->ns,
                                 "labels", labels, "annotations", annotations);

    if (owner)
        json_object_set_new(metadata, "ownerReferences", json_pack("[o]", owner));
    return metadata;
}

/* The pod that this process runs in, when it is one of this namespace; NULL: it is not known. */
static json_t *find_own_pod(const struct ctx *ctx, struct space *space)
{
    const char *name = getenv("RUNNER_POD_NAME");
    const char *uid = getenv("RUNNER_POD_UID");
    const char *ns = getenv("RUNNER_POD_NAMESPACE");
    struct kube_ref ref = {.api_version = "v1", .resource = "pods", .ns = space->ns};
    char host[256] = "";
    json_t *pod = NULL;
    json_t *owner = NULL;
    struct kube_client *client;

    if (!getenv("KUBERNETES_SERVICE_HOST") || (ns && strcmp(ns, space->ns) != 0))
        return NULL;
    if (name && uid && ns)
        return ref_to("v1", "Pod", name, uid);
    if (*kube_cluster_context(space->instance->cluster) ||
        strcmp(kube_cluster_namespace(space->instance->cluster), space->ns) != 0 ||
        gethostname(host, sizeof(host) - 1) < 0)
        return NULL;
    ref.name = name ? name : host;
    client = kubernetes_client_take(space->instance);
    if (kube_get(ctx, client, &ref, &pod, NULL) == 0) {
        uid = json_string_value(json_object_get(json_object_get(pod, "metadata"), "uid"));
        owner = uid ? ref_to("v1", "Pod", ref.name, uid) : NULL;
    }
    json_decref(pod);
    kubernetes_client_give(space->instance, client);
    return owner;
}

static json_t *lease_until(void)
{
    char until[CLOCK_RFC3339_SIZE];

    clock_rfc3339(clock_wall_ms() + SPACE_LEASE_MS, until);
    return json_string(until);
}

static json_t *helpers(void)
{
    static const char *const architectures[] = {"amd64", "arm64"};
    json_t *data = json_object();

    for (size_t i = 0; i < sizeof(architectures) / sizeof(*architectures); i++) {
        CLEANUP_BUF struct buf text = BUF_INIT;
        CLEANUP_FREE char *key = xasprintf(POD_HELPER_KEY "-%s", architectures[i]);
        struct helper_program program;

        if (helper_program_find(architectures[i], &program) < 0)
            continue;
        base64_encode(&text, program.data, program.size);
        json_object_set_new(data, key, json_stringn(text.data, text.len));
    }
    return data;
}

static int make_tools(const struct ctx *ctx, struct space *space, struct err *err)
{
    const char *run = own_run_id(space->instance->services->run);
    const struct kube_ref ref = {.api_version = "v1", .resource = "configmaps", .ns = space->ns};
    json_t *owner = find_own_pod(ctx, space);
    json_t *metadata, *made = NULL, *map;
    const char *uid;
    int result;

    if (!space->tools)
        space->tools = xstrdup(space->instance->prefix);
    metadata = space_metadata(space, space->tools, "tools", run);
    json_object_set_new(json_object_get(metadata, "annotations"), SPACE_ANNOTATION_LEASE,
                        lease_until());
    if (owner)
        json_object_set_new(metadata, "ownerReferences", json_pack("[o]", owner));
    map = json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind", "ConfigMap", "metadata",
                    metadata, "binaryData", helpers());
    result = kubernetes_create(ctx, space->instance, &ref, map, &made, err);
    json_decref(map);
    if (result == 0) {
        uid = json_string_value(json_object_get(json_object_get(made, "metadata"), "uid"));
        set_owner(space, ref_to("v1", "ConfigMap", space->tools, uid ? uid : ""));
        free(space->tools_uid);
        space->tools_uid = xstrdup_null(uid);
        space->renewed_ms = clock_monotonic_ms();
    }
    json_decref(made);
    return result;
}

static int make(const struct ctx *ctx, struct space *space, struct err *err)
{
    CLEANUP_FREE char *labels =
        xasprintf(OWN_LABEL_RUN "=%s", own_run_id(space->instance->services->run));

    if (!space->owner && make_tools(ctx, space, err) < 0)
        return -1;
    if (space->pods)
        return 0;
    return pods_start(space->instance->cluster, space->ns, labels, &space->pods, err);
}

/* The gate is the caller's. -1 with ERR_NOT_FOUND: somebody has taken it away. */
static int renew(const struct ctx *ctx, struct space *space, struct err *err)
{
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = "configmaps",
                                 .ns = space->ns,
                                 .name = space->tools};
    struct kube_client *client = kubernetes_client_take(space->instance);
    json_t *patch = json_pack("{s:{s:{s:o}}}", "metadata", "annotations", SPACE_ANNOTATION_LEASE,
                              lease_until());
    int result;

    space->renewed_ms = clock_monotonic_ms();
    result = kube_patch(ctx, client, &ref, KUBE_PATCH_MERGE, patch, NULL, NULL, err);
    json_decref(patch);
    kubernetes_client_give(space->instance, client);
    return result;
}

static bool is_due(const struct space *space)
{
    return clock_monotonic_ms() - space->renewed_ms >= SPACE_RENEW_MS;
}

/* Between jobs nobody renews the lease, and so somebody may have taken the run for dead. */
static int revive(const struct ctx *ctx, struct space *space, struct err *err)
{
    struct err why = ERR_INIT;

    if (!is_due(space) || renew(ctx, space, &why) == 0)
        return 0;
    if (why.code != ERR_NOT_FOUND) {
        log_debug("kubernetes", "the lease of the run is not renewed: %s", why.message);
        return 0;
    }
    set_owner(space, NULL);
    return make(ctx, space, err);
}

int space_ensure(const struct ctx *ctx, struct space *space, struct err *err)
{
    int result;

    if (gate_enter(ctx, &space->making, err) < 0)
        return -1;
    result = space->ready ? revive(ctx, space, err) : make(ctx, space, err);
    space->ready = result == 0;
    gate_leave(&space->making);
    return result;
}

void space_renew(const struct ctx *ctx, struct space *space)
{
    struct err err = ERR_INIT;

    if (gate_enter_within(ctx, &space->making, 0, NULL) <= 0)
        return;
    if (is_due(space) && renew(ctx, space, &err) < 0)
        log_debug("kubernetes", "the lease of the run is not renewed: %s", err.message);
    gate_leave(&space->making);
}

/* --- leaving --- */

static bool is_gone(struct tracked_pod *pod)
{
    bool gone;

    json_decref(pod_object(pod, &gone));
    return gone;
}

void space_leave(struct space *space, struct tracked_pod *pod, bool leaving)
{
    size_t kept = 0;

    pthread_mutex_lock(&space->mu);
    vec_push(&space->leaving, pod);
    for (size_t i = 0; i < space->leaving.len; i++) {
        struct tracked_pod *other = space->leaving.items[i];

        if (is_gone(other) || (other == pod && !leaving))
            pods_untrack(space->pods, other);
        else
            space->leaving.items[kept++] = other;
    }
    space->leaving.len = kept;
    pthread_mutex_unlock(&space->mu);
}

static const char *uid_of(const json_t *object)
{
    const char *uid =
        json_string_value(json_object_get(json_object_get(object, "metadata"), "uid"));

    return uid ? uid : "";
}

/* The watch may have missed one that came and went, or another one that has its name now. */
static bool is_there(const struct ctx *ctx, struct space *space, struct tracked_pod *pod)
{
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = "pods",
                                 .ns = space->ns,
                                 .name = pod_name(pod)};
    struct kube_client *client = kubernetes_client_take(space->instance);
    struct err err = ERR_INIT;
    json_t *known = pod_object(pod, &(bool){false});
    json_t *found = NULL;
    bool there = kube_get(ctx, client, &ref, &found, &err) == 0
                     ? !known || strcmp(uid_of(known), uid_of(found)) == 0
                     : err.code != ERR_NOT_FOUND;

    json_decref(known);
    json_decref(found);
    kubernetes_client_give(space->instance, client);
    return there;
}

/* When pods that were told to go are not waited for any longer; monotonic. */
struct patience {
    int64_t late_ms;    /* those that have not begun to run */
    int64_t overdue_ms; /* those that run, beyond all grace */
};

static bool may_be_removed(const json_t *object, const struct patience *patience)
{
    int64_t now = clock_monotonic_ms();

    if (now >= patience->overdue_ms)
        return true;
    return now >= patience->late_ms ? verdict_none_runs(object) : verdict_all_ended(object);
}

/* Kubelets take up to ten seconds to tell that a pod is done with, which is only worth waiting for
 * while something of it runs; and before 1.22 up to a minute to see that one is to go which they
 * are about to start, or have just started. What they find of a pod whose object has gone they end
 * at once. */
static void remove_if_ended(const struct ctx *ctx, struct space *space, struct tracked_pod *pod,
                            const struct patience *patience)
{
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = "pods",
                                 .ns = space->ns,
                                 .name = pod_name(pod)};
    struct kube_delete_options options = {.has_grace = true};
    bool gone;
    json_t *object = pod_object(pod, &gone);

    options.uid = uid_of(object);
    if (!gone && *options.uid && may_be_removed(object, patience) &&
        kubernetes_delete(ctx, space->instance, &ref, &options, NULL) < 0)
        log_debug("kubernetes", "%s cannot be removed at once", pod_name(pod));
    json_decref(object);
}

static bool await_gone(const struct ctx *ctx, struct space *space, struct tracked_pod *pod,
                       const struct patience *patience)
{
    struct pod_listener listener;
    struct pollfd fd;
    bool gone = false;

    if (pod_listen(pod, &listener, NULL) < 0)
        return false;
    fd = (struct pollfd){.fd = listener.fd, .events = POLLIN};
    while (!(gone = is_gone(pod))) {
        int ready;

        remove_if_ended(ctx, space, pod, patience);
        ready = ctx_poll(ctx, &fd, 1, LOOK_MS, NULL);
        if (ready < 0)
            break;
        if (ready == 0 && !is_there(ctx, space, pod)) {
            gone = true;
            break;
        }
        pod_heard(&listener);
    }
    pod_unlisten(pod, &listener);
    return gone;
}

static void await_all(struct space *space)
{
    int64_t now = clock_monotonic_ms();
    const struct patience patience = {.late_ms = now + LATE_MS, .overdue_ms = now + OVERDUE_MS};
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, LEAVE_MS);
    vec_foreach (struct tracked_pod **, pod, &space->leaving) {
        if (await_gone(&ctx, space, *pod, &patience))
            continue;
        log_warn("kubernetes", "the pod %s/%s is told to go, and has not gone yet", space->ns,
                 pod_name(*pod));
        own_run_leave(space->instance->services->run);
    }
    vec_release(&space->leaving);
}

static void remove_tools(struct space *space)
{
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = "configmaps",
                                 .ns = space->ns,
                                 .name = space->tools};
    struct err err = ERR_INIT;
    struct ctx ctx;

    if (!space->tools || space->instance->services->keep)
        return;
    ctx_init_cleanup(&ctx, REMOVE_MS);
    if (kubernetes_delete(&ctx, space->instance, &ref,
                          &(struct kube_delete_options){.uid = space->tools_uid}, &err) < 0) {
        log_warn("kubernetes", "the ConfigMap %s/%s cannot be removed now: %s", space->ns,
                 space->tools, err.message);
        own_run_leave(space->instance->services->run);
    }
    ctx_release(&ctx);
}

void space_free(struct space *space)
{
    if (!space)
        return;
    await_all(space);
    pods_stop(space->pods);
    remove_tools(space);
    json_decref(space->owner);
    gate_release(&space->making);
    pthread_mutex_destroy(&space->mu);
    free(space->tools);
    free(space->tools_uid);
    free(space->ns);
    free(space);
}
