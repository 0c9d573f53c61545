#include "engine/kubernetes/sweep.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/kubernetes/instance.h"

/* Objects of a run that has no lease: it is about to be made, or has been removed. */
#define YOUNG_MS 120000

struct object_kind {
    const char *name;
    const char *resource;
};

/* In the order in which they can go; ConfigMaps have the leases and go last. */
static const struct object_kind kinds[] = {{"pod", "pods"},
                                           {"secret", "secrets"},
                                           {"persistentvolumeclaim", "persistentvolumeclaims"},
                                           {"configmap", "configmaps"}};

enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

/* Everything of runners in the namespace. */
struct listing {
    json_t *items[KINDS];
};

static void listing_release(struct listing *listing)
{
    for (size_t i = 0; i < KINDS; i++)
        json_decref(listing->items[i]);
}

#define CLEANUP_LISTING CLEANUP(listing_release)

static int list_all(const struct ctx *ctx, struct kubernetes_instance *instance, const char *ns,
                    const char *run_id, struct listing *ret, struct err *err)
{
    CLEANUP_FREE char *labels =
        run_id ? xasprintf(OWN_LABEL_RUN "=%s", run_id) : xstrdup(OWN_LABEL_RUN);
    const struct kube_selector selector = {.labels = labels};
    struct kube_client *client = kubernetes_client_take(instance);
    int result = 0;

    for (size_t i = 0; i < KINDS && result == 0; i++) {
        const struct kube_ref ref = {.api_version = "v1", .resource = kinds[i].resource, .ns = ns};
        struct err why = ERR_INIT;
        json_t *list = NULL;

        result = kube_list(ctx, client, &ref, &selector, 0, &list, &why);
        /* Who may not see claims has not made any. */
        if (result < 0 && why.code == ERR_DENIED && i != 0 && i != KINDS - 1)
            result = 0;
        else if (result < 0 && err)
            *err = why;
        ret->items[i] = json_incref(json_object_get(list, "items"));
        json_decref(list);
    }
    kubernetes_client_give(instance, client);
    return result;
}

static const json_t *metadata_of(const json_t *object)
{
    return json_object_get(object, "metadata");
}

static const char *text_of(const json_t *object, const char *where, const char *key)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(metadata_of(object), where), key));

    return text ? text : "";
}

/* 0: it is none. */
static int64_t time_ms(const char *text)
{
    int64_t ms;

    return text && clock_parse_rfc3339(text, &ms) == 0 ? ms : 0;
}

static bool has_run(const json_t *object, const char *run)
{
    return strcmp(text_of(object, "labels", OWN_LABEL_RUN), run) == 0;
}

static bool has_lease(const struct listing *listing, const char *run)
{
    const json_t *map;
    size_t i;

    json_array_foreach (listing->items[KINDS - 1], i, map) {
        if (has_run(map, run) &&
            time_ms(text_of(map, "annotations", SPACE_ANNOTATION_LEASE)) > clock_wall_ms())
            return true;
    }
    return false;
}

static bool is_young(const json_t *object)
{
    int64_t created =
        time_ms(json_string_value(json_object_get(metadata_of(object), "creationTimestamp")));

    return clock_wall_ms() - created < YOUNG_MS;
}

static bool is_left(const struct listing *listing, const json_t *object,
                    const struct sweep_request *request)
{
    const char *run = text_of(object, "labels", OWN_LABEL_RUN);
    struct own_owner owner;

    if (request->run_id)
        return strcmp(run, request->run_id) == 0;
    if (own_owner_parse(text_of(object, "annotations", OWN_LABEL_OWNER), &owner, NULL) == 0) {
        switch (own_owner_liveness(&owner)) {
        case OWN_DEAD:
            return true;
        case OWN_ALIVE:
            return false;
        case OWN_FOREIGN:
            break;
        }
    }
    return !has_lease(listing, run) && !is_young(object);
}

static int remove_object(const struct ctx *ctx, struct kubernetes_instance *instance,
                         const struct object_kind *kind, const json_t *object, struct err *err)
{
    const json_t *metadata = metadata_of(object);
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = kind->resource,
                                 .ns = json_string_value(json_object_get(metadata, "namespace")),
                                 .name = json_string_value(json_object_get(metadata, "name"))};
    /* Nobody waits for what a pod would still say: its own grace would only keep it there. */
    const struct kube_delete_options options = {.uid = json_string_value(
                                                    json_object_get(metadata, "uid")),
                                                .has_grace = strcmp(kind->resource, "pods") == 0,
                                                .grace_s = 1};

    return kubernetes_delete(ctx, instance, &ref, &options, err);
}

static int sweep_kind(const struct ctx *ctx, struct kubernetes_instance *instance,
                      const struct listing *listing, size_t kind,
                      const struct sweep_request *request, size_t *count, struct err *err)
{
    const json_t *object;
    size_t i;

    json_array_foreach (listing->items[kind], i, object) {
        if (!is_left(listing, object, request) ||
            json_object_get(metadata_of(object), "deletionTimestamp"))
            continue;
        (*count)++;
        if (request->found)
            request->found(request->found_arg, kinds[kind].name,
                           json_string_value(json_object_get(metadata_of(object), "name")),
                           text_of(object, "labels", OWN_LABEL_RUN));
        if (!request->dry_run && remove_object(ctx, instance, &kinds[kind], object, err) < 0)
            return -1;
    }
    return 0;
}

static int sweep(const struct ctx *ctx, struct kubernetes_instance *instance, const char *ns,
                 const struct sweep_request *request, size_t *ret_count, struct err *err)
{
    CLEANUP_LISTING struct listing listing = {0};

    *ret_count = 0;
    if (list_all(ctx, instance, ns, request->run_id, &listing, err) < 0)
        return -1;
    for (size_t i = 0; i < KINDS; i++) {
        if (sweep_kind(ctx, instance, &listing, i, request, ret_count, err) < 0)
            return -1;
    }
    return 0;
}

int kubernetes_sweep(const struct ctx *ctx, struct engine_instance *opaque,
                     const struct sweep_request *request, size_t *ret_count, struct err *err)
{
    struct kubernetes_instance *instance = (struct kubernetes_instance *)opaque;

    return sweep(ctx, instance, kube_cluster_namespace(instance->cluster), request, ret_count, err);
}

int kubernetes_sweep_run(const struct ctx *ctx, struct kubernetes_instance *instance,
                         const char *ns, struct err *err)
{
    const struct sweep_request request = {.run_id = own_run_id(instance->services->run)};
    size_t count;

    return sweep(ctx, instance, ns, &request, &count, err);
}
