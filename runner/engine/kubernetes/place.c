#include "engine/kubernetes/place.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "engine/kubernetes/files.h"
#include "engine/kubernetes/lanes.h"
#include "engine/kubernetes/pending.h"
#include "engine/kubernetes/service.h"
#include "engine/kubernetes/session.h"
#include "helper/helper.h"

/* Of a pipeline that says nothing. */
#define TIMEOUT_DEFAULT_MS INT64_C(86400000)

enum {
    REMOVE_MS = 30000,
    QUIT_MS = 2000,          /* for the helpers to be told that it is over */
    DEADLINE_MARGIN_S = 900, /* of the pod behind that of the job: it has to be scheduled */
    SCHEDULE_MS = 300000,
    QUOTA_PAUSE_MS = 3000,
    POD_GRACE_S = 10,
};

/* --- opening --- */

static void release(struct kubernetes_place *place)
{
    for (size_t i = 0; i < place->container_count; i++) {
        struct place_container *container = &place->containers[i];

        lane_pool_release(&container->lanes);
        json_decref((json_t *)container->pod.kubernetes);
        strmap_release(&container->environment);
        free(container->key);
    }
    gate_release(&place->making);
    gate_release(&place->filling);
    ctx_release(&place->background);
    strmap_release(&place->secrets);
    json_decref(place->pulls.auths);
    json_decref(place->kubernetes);
    arena_release(&place->arena);
    free(place->containers);
    free(place->id);
    free(place->name);
    free(place->workspace);
    free(place->pod);
    free(place->uid);
    free(place->pull_secret_uid);
    free(place->secret_uid);
    free(place->claim_uid);
    free(place->pull_secret);
    free(place->secret);
    free(place->claim);
    free(place);
}

/* A DNS label; the number keeps those apart that are called the same. */
static const char *container_name(struct kubernetes_place *place, const struct runnable *runnable,
                                  size_t number)
{
    CLEANUP_BUF struct buf name = BUF_INIT;

    buf_addf(&name, "%s-%zu", runnable->service ? "service" : "step", number + 1);
    return arena_strndup(&place->arena, name.data, name.len);
}

static void keep_environment(struct kubernetes_place *place, struct place_container *container)
{
    if (!container->pod.environment)
        return;
    strmap_foreach (entry, container->pod.environment) {
        CLEANUP_FREE char *key = xasprintf("%s.%s", container->pod.name, entry->key);

        strmap_set(&container->environment, entry->key, entry->value);
        strmap_set(&place->secrets, key, entry->value);
    }
    container->pod.environment = &container->environment;
}

static int add_expected(struct kubernetes_place *place, const struct runnable *runnable,
                        struct err *err)
{
    struct place_container *container = &place->containers[place->container_count];
    CLEANUP_BUF struct buf key = BUF_INIT;

    if (shape_container(runnable, &place->arena, &container->pod, &key, err) < 0)
        return err_wrap(err, "%s \"%s\"", runnable->service ? "service" : "step", runnable->name);
    shape_add_credentials(&runnable->container->source, &place->pulls);
    for (size_t i = 0; i < place->container_count; i++) {
        if (strcmp(place->containers[i].key, key.data) == 0) {
            *container = (struct place_container){0};
            return 0;
        }
    }
    container->key = buf_steal(&key);
    container->pod.kubernetes = json_incref((json_t *)container->pod.kubernetes);
    container->pod.name = container_name(place, runnable, place->container_count);
    container->pull_timeout_ms = runnable->container->source.pull_timeout_ms;
    keep_environment(place, container);
    if (runnable->service)
        container->service_name =
            arena_strndup(&place->arena, runnable->service->name, strlen(runnable->service->name));
    lane_pool_init(&container->lanes, &container->reach.remote);
    place->container_count++;
    return 0;
}

static int add_all_expected(struct kubernetes_place *place, const struct place_options *options,
                            struct err *err)
{
    struct helper_program helper;

    if (shape_architecture(options->expected, options->expected_count, &place->architecture, err) <
        0)
        return -1;
    if (!place->architecture)
        place->architecture = helper_architecture();
    if (helper_program_find(place->architecture, &helper) < 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "this runner was built without a helper for nodes of %s; take the platform "
                       "out, or a runner that was built with one",
                       place->architecture);
    place->containers = xcalloc(options->expected_count + 1, sizeof(*place->containers));
    for (size_t i = 0; i < options->expected_count; i++) {
        if (add_expected(place, options->expected[i], err) < 0)
            return -1;
    }
    return 0;
}

static void copy_options(struct kubernetes_place *place, const struct place_options *options)
{
    place->id = xstrdup(options->id);
    place->name = xstrdup(options->name);
    place->workspace = xstrdup(options->workspace);
    place->empty = options->empty;
    place->services = options->services;
    place->overlapping = options->overlapping;
    place->kubernetes = json_incref((json_t *)options->kubernetes);
    place->timeout_ms = options->timeout_ms;
    place->schedule_timeout_ms =
        options->schedule_timeout_ms > 0 ? options->schedule_timeout_ms : SCHEDULE_MS;
    for (size_t i = 0; i < options->services_of_count; i++)
        place->services_of[place->services_of_count++] =
            (struct kubernetes_place *)options->services_of[i];
}

int kubernetes_place_open(const struct ctx *ctx, struct engine_instance *opaque,
                          const struct place_options *options, struct place **ret, struct err *err)
{
    struct kubernetes_instance *instance = (struct kubernetes_instance *)opaque;
    struct kubernetes_place *place = xcalloc(1, sizeof(*place));
    const char *ns = json_string_value(json_object_get(options->kubernetes, "namespace"));

    (void)ctx;
    place->engine = instance->engine;
    place->instance = instance;
    place->making.event_fd = place->filling.event_fd = -1;
    place->background.cancel.event_fd = -1;
    copy_options(place, options);
    if (gate_init(&place->making, 1, err) < 0 || gate_init(&place->filling, 1, err) < 0 ||
        ctx_init_root(&place->background, NULL, err) < 0 ||
        add_all_expected(place, options, err) < 0 ||
        kubernetes_space(instance, ns, &place->space, err) < 0) {
        release(place);
        return -1;
    }
    *ret = (struct place *)place;
    return 0;
}

int kubernetes_place_find(struct kubernetes_place *place, const struct runnable *runnable,
                          struct place_container **ret, struct err *err)
{
    CLEANUP_ARENA struct arena arena = {0};
    CLEANUP_BUF struct buf key = BUF_INIT;
    struct pod_container shape;

    if (shape_container(runnable, &arena, &shape, &key, err) < 0)
        return -1;
    for (size_t i = 0; i < place->container_count; i++) {
        *ret = &place->containers[i];
        if (strcmp((*ret)->key, key.data) == 0)
            return 0;
    }
    return err_set(
        err, ERR_UNSUPPORTED,
        "its container (image %s) is another than was known when the pod of the job was "
        "made; in Kubernetes an image, user or limit cannot depend on what earlier steps "
        "of the same job tell: move the step to a job of its own",
        shape.image);
}

/* --- making the pod --- */

/* Takes the reference to `object`. */
static int create_object(const struct ctx *ctx, struct kubernetes_place *place,
                         const char *resource, json_t *object, char **ret_uid, struct err *err)
{
    const struct kube_ref ref = {.api_version = "v1", .resource = resource, .ns = place->space->ns};
    json_t *made = NULL;
    int result = kubernetes_create(ctx, place->instance, &ref, object, &made, err);

    free(*ret_uid);
    *ret_uid =
        xstrdup_null(json_string_value(json_object_get(json_object_get(made, "metadata"), "uid")));
    json_decref(made);
    json_decref(object);
    return result;
}

static int make_pull_secret(const struct ctx *ctx, struct kubernetes_place *place, struct err *err)
{
    if (!place->pulls.auths)
        return 0;
    if (!place->pull_secret)
        place->pull_secret = xasprintf("%s-pull", place->pod);
    return create_object(ctx, place, "secrets",
                         shape_pull_secret(&place->pulls,
                                           space_metadata(place->space, place->pull_secret, "pull",
                                                          place->id)),
                         &place->pull_secret_uid, err);
}

static int make_environment_secret(const struct ctx *ctx, struct kubernetes_place *place,
                                   struct err *err)
{
    json_t *data = json_object();
    json_t *secret;

    if (!place->secrets.len) {
        json_decref(data);
        return 0;
    }
    if (!place->secret)
        place->secret = xasprintf("%s-environment", place->pod);
    strmap_foreach (entry, &place->secrets)
        json_object_set_new(data, entry->key, json_string(entry->value));
    secret = json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind", "Secret", "metadata",
                       space_metadata(place->space, place->secret, "environment", place->id),
                       "stringData", data);
    return secret ? create_object(ctx, place, "secrets", secret, &place->secret_uid, err)
                  : err_set(err, ERR_INVALID, "the environment of a service is not UTF-8");
}

/* The workspace as a claim of the job's own, when `kubernetes.workspace` asks for one. */
static int make_claim(const struct ctx *ctx, struct kubernetes_place *place, struct err *err)
{
    json_t *claim;
    json_t *spec = NULL;

    if (place->services)
        return 0;
    if (pod_claim_spec(place->kubernetes, &spec, err) < 0)
        return -1;
    if (!spec)
        return 0;
    if (!place->claim)
        place->claim = xasprintf("%s-workspace", place->pod);
    claim =
        json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind", "PersistentVolumeClaim",
                  "metadata", space_metadata(place->space, place->claim, "workspace", place->id),
                  "spec", spec);
    if (create_object(ctx, place, "persistentvolumeclaims", claim, &place->claim_uid, err) < 0)
        return err_wrap(err, "the workspace of the job");
    return 0;
}

/* Where the services of a place are: in this pod, or in another one, by its address. */
static int add_aliases(const struct kubernetes_place *from, const char *ip, struct arena *arena,
                       struct pod_host_alias *aliases, size_t *count)
{
    const char **names = arena_alloc(arena, (from->container_count + 1) * sizeof(*names));
    size_t name_count = 0;

    for (size_t i = 0; i < from->container_count; i++) {
        if (from->containers[i].service_name)
            names[name_count++] = from->containers[i].service_name;
    }
    if (name_count)
        aliases[(*count)++] = (struct pod_host_alias){.ip = ip, .names = names};
    return 0;
}

static const char *address_of(const struct kubernetes_place *place, struct arena *arena)
{
    const char *ip = NULL;
    bool gone;
    json_t *pod;

    if (!place->tracked)
        return NULL;
    pod = pod_object(place->tracked, &gone);
    ip = json_string_value(json_object_get(json_object_get(pod, "status"), "podIP"));
    ip = ip ? arena_strndup(arena, ip, strlen(ip)) : NULL;
    json_decref(pod);
    return ip;
}

static size_t list_aliases(struct kubernetes_place *place, struct arena *arena,
                           struct pod_host_alias *aliases)
{
    size_t count = 0;

    add_aliases(place, "127.0.0.1", arena, aliases, &count);
    for (size_t i = 0; i < place->services_of_count; i++) {
        const char *ip = address_of(place->services_of[i], arena);

        if (ip)
            add_aliases(place->services_of[i], ip, arena, aliases, &count);
    }
    return count;
}

static void add_labels(const struct kubernetes_place *place, struct strmap *labels,
                       struct strmap *annotations)
{
    const struct strmap *own = own_run_labels(place->instance->services->run);

    strmap_set(labels, OWN_LABEL_RUN, strmap_get(own, OWN_LABEL_RUN));
    strmap_set(labels, OWN_LABEL_ROLE, place->services ? "services" : "job");
    strmap_set(labels, OWN_LABEL_ID, place->id);
    strmap_set(annotations, OWN_LABEL_OWNER, strmap_get(own, OWN_LABEL_OWNER));
}

static json_t *build(struct kubernetes_place *place, struct err *err)
{
    CLEANUP_ARENA struct arena arena = {0};
    CLEANUP_STRMAP struct strmap labels = {0};
    CLEANUP_STRMAP struct strmap annotations = {0};
    const char *pull_secrets[] = {place->pull_secret, NULL};
    struct pod_host_alias aliases[PLACE_SERVICES_MAX + 1];
    json_t *owner = space_owner(place->space);
    json_t *pod;
    struct pod_container *containers =
        arena_alloc(&arena, (place->container_count + 1) * sizeof(*containers));
    struct pod_spec spec = {
        .name = place->pod,
        .ns = place->space->ns,
        .labels = &labels,
        .annotations = &annotations,
        .owner_reference = owner,
        .architecture = place->architecture,
        .tools = place->space->tools,
        .secret = place->secret,
        .pull_secrets = place->pull_secret ? pull_secrets : NULL,
        .workspace = place->services ? NULL : place->workspace,
        .workspace_claim = place->claim,
        .lease_ms = LANE_LEASE_MS,
        .active_deadline_s =
            (place->timeout_ms > 0 ? place->timeout_ms : TIMEOUT_DEFAULT_MS) / 1000 +
            DEADLINE_MARGIN_S,
        .grace_s = POD_GRACE_S,
        .overlapping = place->overlapping,
        .native_sidecars = place->instance->native_sidecars,
        .containers = containers,
        .container_count = place->container_count,
        .host_aliases = aliases,
        .kubernetes = place->kubernetes,
    };

    add_labels(place, &labels, &annotations);
    spec.host_alias_count = list_aliases(place, &arena, aliases);
    for (size_t i = 0; i < place->container_count; i++)
        containers[i] = place->containers[i].pod;
    for (size_t i = 0; i < place->container_count; i++)
        place->containers[i].leased = pod_is_leased(&spec, &containers[i]);
    pod = pod_build(&spec, err);
    json_decref(owner);
    return pod;
}

/* A quota may be free again soon, when other pods have ended. */
static bool is_quota(const struct err *err)
{
    return err->code == ERR_DENIED && strstr(err->message, "exceeded quota");
}

static int create_pod(const struct ctx *ctx, struct kubernetes_place *place, json_t *pod,
                      struct output *output, json_t **ret, struct err *err)
{
    const struct kube_ref ref = {.api_version = "v1", .resource = "pods", .ns = place->space->ns};
    int64_t until_ms = clock_monotonic_ms() + place->schedule_timeout_ms;
    bool said = false;

    while (kubernetes_create(ctx, place->instance, &ref, pod, ret, err) < 0) {
        char text[ERR_MESSAGE_SIZE + 32];

        if (!is_quota(err) || clock_monotonic_ms() >= until_ms)
            return err_wrap(err, "cannot make the pod of the job");
        snprintf(text, sizeof(text), "waiting for the pod: %s", err->message);
        if (!said)
            output->note(output, text);
        said = true;
        if (ctx_sleep(ctx, QUOTA_PAUSE_MS, err) < 0)
            return -1;
    }
    return 0;
}

static void name_pod(struct kubernetes_place *place)
{
    place->pod = xasprintf("%s-%u", place->instance->prefix,
                           atomic_fetch_add(&place->instance->place_count, 1) + 1);
    for (size_t i = 0; i < place->container_count; i++) {
        struct place_container *container = &place->containers[i];
        CLEANUP_FREE char *name = xasprintf("%s/%s", place->pod, container->pod.name);

        container->reach = (struct container_remote){.cluster = place->instance->cluster,
                                                     .ns = place->space->ns,
                                                     .pod = place->pod,
                                                     .container = container->pod.name};
        container_remote_init(&container->reach, arena_strndup(&place->arena, name, strlen(name)));
    }
}

static int make(const struct ctx *ctx, struct kubernetes_place *place, struct output *output,
                struct err *err)
{
    json_t *pod = NULL;
    json_t *made = NULL;
    const char *uid;
    int result;

    if (space_ensure(ctx, place->space, err) < 0)
        return err_wrap(err, "namespace %s", place->space->ns);
    if (!place->pod)
        name_pod(place);
    /* Another attempt, after one that failed, finds what that has made. */
    if (make_pull_secret(ctx, place, err) < 0 || make_environment_secret(ctx, place, err) < 0 ||
        make_claim(ctx, place, err) < 0)
        return -1;
    pod = build(place, err);
    if (!pod)
        return -1;
    if (!place->tracked)
        place->tracked = pods_track(place->space->pods, place->pod);
    result = create_pod(ctx, place, pod, output, &made, err);
    json_decref(pod);
    if (result == 0) {
        uid = json_string_value(json_object_get(json_object_get(made, "metadata"), "uid"));
        place->uid = xstrdup_null(uid);
        pod_set_object(place->tracked, made);
        lanes_keep(place);
    }
    json_decref(made);
    return result;
}

static int ensure(const struct ctx *ctx, struct kubernetes_place *place, struct output *output,
                  struct err *err)
{
    int result = 0;

    if (gate_enter(ctx, &place->making, err) < 0)
        return -1;
    if (!place->made) {
        result = make(ctx, place, output, err);
        place->made = result == 0;
    }
    gate_leave(&place->making);
    return result;
}

/* --- running --- */

/* 1: a quota has left no room for its pod in all the time that there is for that. */
static int ensure_or_record(const struct ctx *ctx, struct kubernetes_place *place,
                            struct output *output, struct exit_record *ret, struct err *err)
{
    char limit[CLOCK_DURATION_SIZE];
    struct err why = ERR_INIT;

    if (ensure(ctx, place, output, &why) == 0)
        return 0;
    if (!is_quota(&why)) {
        if (err)
            *err = why;
        return -1;
    }
    clock_format_limit(place->schedule_timeout_ms, limit, sizeof(limit));
    *ret = (struct exit_record){.kind = EXIT_LOST, .reason = REASON_UNSCHEDULABLE};
    snprintf(ret->detail, sizeof(ret->detail), "no room after %s (`schedule_timeout`): %.180s",
             limit, why.message);
    return 1;
}

static int fill(const struct ctx *ctx, struct kubernetes_place *place, const struct remote *remote,
                struct output *output, struct err *err)
{
    int result = 0;

    if (place->empty || place->services)
        return 0;
    if (gate_enter(ctx, &place->filling, err) < 0)
        return -1;
    if (!place->filled) {
        result = files_fill(ctx, place, remote, output, err);
        place->filled = result == 0;
    }
    gate_leave(&place->filling);
    return result;
}

static int run_step(const struct ctx *ctx, struct kubernetes_place *place,
                    struct place_container *container, const struct runnable *runnable,
                    struct output *output, struct exit_record *ret, struct err *err)
{
    struct lane *lane;
    bool reusable;
    int result;

    if (fill(ctx, place, &container->reach.remote, output, err) < 0)
        return -1;
    if (runnable->placed_count && files_place(ctx, &container->reach.remote, runnable->placed,
                                              runnable->placed_count, err) < 0)
        return err_wrap(err, "cannot place %s", runnable->placed[0].path);
    if (lanes_take(ctx, container, &lane, err) < 0)
        return -1;
    result =
        kubernetes_session_run(ctx, place, container, lane, runnable, output, &reusable, ret, err);
    lane_pool_give(&container->lanes, lane, reusable);
    return result;
}

int kubernetes_place_run(const struct ctx *ctx, struct place *opaque,
                         const struct runnable *runnable, struct output *output,
                         struct exit_record *ret, struct err *err)
{
    struct kubernetes_place *place = (struct kubernetes_place *)opaque;
    const struct container_shape *shape = runnable->container;
    struct place_container *container;
    CLEANUP_STRMAP struct strmap nothing = {0};
    int result;

    if (kubernetes_place_find(place, runnable, &container, err) < 0 ||
        (shape->check && shape->check->run(shape->check->arg, NULL, &nothing, output, err) < 0))
        return -1;
    result = ensure_or_record(ctx, place, output, ret, err);
    if (result == 0)
        result = pending_await(ctx, place, container, output, ret, err);
    if (result != 0)
        return result < 0 ? -1 : 0;
    if (runnable->service)
        return kubernetes_service_run(ctx, place, container, runnable, output, ret, err);
    return run_step(ctx, place, container, runnable, output, ret, err);
}

bool kubernetes_place_shares_workspace(const struct ctx *ctx, struct place *opaque)
{
    (void)ctx;
    (void)opaque;
    return false;
}

/* --- closing --- */

/* Whether its removal was asked for. */
static bool remove_object(const struct ctx *ctx, struct kubernetes_place *place,
                          const char *resource, const char *name, const char *uid)
{
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = resource,
                                 .ns = place->space->ns,
                                 .name = name};
    /* What had to end has had its time; the cluster's own would come on top. */
    const struct kube_delete_options options = {.uid = uid,
                                                .has_grace = strcmp(resource, "pods") == 0,
                                                .grace_s = 1};
    struct err err = ERR_INIT;

    if (!name || kubernetes_delete(ctx, place->instance, &ref, &options, &err) == 0)
        return name;
    log_warn("kubernetes", "%s %s/%s cannot be removed now: %s", resource, place->space->ns, name,
             err.message);
    return false;
}

/* Whether the pod was there, and has been told to go. */
static bool remove_all(struct kubernetes_place *place)
{
    CLEANUP_CTX struct ctx quit;
    CLEANUP_CTX struct ctx ctx;
    bool told;

    ctx_init_cleanup(&quit, QUIT_MS);
    lanes_quit(&quit, place);
    ctx_init_cleanup(&ctx, REMOVE_MS);
    told = remove_object(&ctx, place, "pods", place->pod, place->uid);
    remove_object(&ctx, place, "secrets", place->pull_secret, place->pull_secret_uid);
    remove_object(&ctx, place, "secrets", place->secret, place->secret_uid);
    remove_object(&ctx, place, "persistentvolumeclaims", place->claim, place->claim_uid);
    return told && place->made;
}

void kubernetes_place_close(struct place *opaque)
{
    struct kubernetes_place *place = (struct kubernetes_place *)opaque;
    bool leaving;

    if (!place)
        return;
    lanes_stop(place);
    leaving = !place->instance->services->keep && remove_all(place);
    if (place->tracked)
        space_leave(place->space, steal_ptr(&place->tracked), leaving);
    release(place);
}
