#include "engine/kubernetes/instance.h"

#include <string.h>

#include "apis/http/http.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "engine/kubernetes/access.h"
#include "engine/kubernetes/address.h"
#include "engine/kubernetes/kubernetes.h"
#include "engine/kubernetes/sweep.h"

/* About twenty seconds, in which an API server may be restarted. */
enum { ATTEMPTS = 10, PAUSE_MS = 200, PAUSE_MAX_MS = 4000, SWEEP_MS = 30000 };

static const struct retry_policy patient = {.attempts = ATTEMPTS,
                                            .base_ms = PAUSE_MS,
                                            .max_delay_ms = PAUSE_MAX_MS};

/* As kube_version_number() says it. */
#define SIDECARS_SINCE 1029

struct kube_client *kubernetes_client_take(struct kubernetes_instance *instance)
{
    struct kube_client *client = NULL;

    pthread_mutex_lock(&instance->mu);
    if (instance->idle_clients.len > 0)
        client = instance->idle_clients.items[--instance->idle_clients.len];
    pthread_mutex_unlock(&instance->mu);
    return client ? client : kube_client_new(instance->cluster);
}

void kubernetes_client_give(struct kubernetes_instance *instance, struct kube_client *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&instance->mu);
    vec_push(&instance->idle_clients, client);
    pthread_mutex_unlock(&instance->mu);
}

/* --- objects --- */

static bool is_refusal(const struct err *err)
{
    switch (err->code) {
    case ERR_INVALID:
    case ERR_DENIED:
    case ERR_NOT_FOUND:
    case ERR_UNSUPPORTED:
        return true;
    default:
        return false;
    }
}

void kubernetes_retry_init(struct retry *retry)
{
    retry_init(retry, &patient);
}

bool kubernetes_again(const struct ctx *ctx, struct retry *retry, const struct err *err)
{
    if (!retry_is_transient(err) || !retry_left(retry))
        return false;
    log_debug("kubernetes", "it is tried again: %s", err->message);
    return retry_wait(ctx, retry, -1, NULL) == 0;
}

/* Names are used once: what has this one is what a lost answer spoke of. */
static int find_made(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
                     const json_t *object, json_t **ret, const struct err *why)
{
    struct kube_ref one = *ref;
    bool exists = strcmp(kube_client_status(client)->reason, "AlreadyExists") == 0;

    if (!exists && why->code != ERR_LOST)
        return -1;
    if (exists && !ret)
        return 0;
    one.name = json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
    return kube_get(ctx, client, &one, ret, NULL);
}

/* Of several who create at a time a quota refuses some, who shall try again. */
static bool is_passing_conflict(struct kube_client *client, const struct err *err)
{
    return err->code == ERR_CONFLICT &&
           strcmp(kube_client_status(client)->reason, "AlreadyExists") != 0;
}

int kubernetes_create(const struct ctx *ctx, struct kubernetes_instance *instance,
                      const struct kube_ref *ref, json_t *object, json_t **ret, struct err *err)
{
    struct kube_client *client = kubernetes_client_take(instance);
    struct err why = ERR_INIT;
    struct retry retry;
    int result;

    kubernetes_retry_init(&retry);
    do {
        result = kube_create(ctx, client, ref, object, ret, &why);
        if (result < 0 && find_made(ctx, client, ref, object, ret, &why) == 0)
            result = 0;
    } while (result < 0 && (retry_is_transient(&why) || is_passing_conflict(client, &why)) &&
             retry_wait(ctx, &retry, -1, NULL) == 0);
    if (result < 0 && !is_refusal(&why))
        atomic_store(&instance->uncertain, true);
    if (result < 0 && err)
        *err = why;
    kubernetes_client_give(instance, client);
    return result;
}

int kubernetes_delete(const struct ctx *ctx, struct kubernetes_instance *instance,
                      const struct kube_ref *ref, const struct kube_delete_options *options,
                      struct err *err)
{
    struct kube_client *client = kubernetes_client_take(instance);
    struct err why = ERR_INIT;
    struct retry retry;
    int result;

    kubernetes_retry_init(&retry);
    do {
        result = kube_delete(ctx, client, ref, options, NULL, &why);
    } while (result < 0 && kubernetes_again(ctx, &retry, &why));
    /* One with another UID is somebody else's. */
    if (result < 0 && (why.code == ERR_NOT_FOUND || (why.code == ERR_CONFLICT && options->uid)))
        result = 0;
    if (result < 0) {
        log_debug("kubernetes", "%s %s cannot be removed now: %s", ref->resource, ref->name,
                  why.message);
        atomic_store(&instance->uncertain, true);
        if (err)
            *err = why;
    }
    kubernetes_client_give(instance, client);
    return result;
}

/* --- namespaces --- */

static char *endpoint_of(const struct kubernetes_instance *instance, const char *ns)
{
    const char *query = strchr(instance->endpoint, '?');
    size_t len = query ? (size_t)(query - instance->endpoint) : strlen(instance->endpoint);

    return xasprintf("%.*s/%s%s", (int)len, instance->endpoint, ns, query ? query : "");
}

static struct space *find_space(struct kubernetes_instance *instance, const char *ns)
{
    struct space *space;

    pthread_mutex_lock(&instance->mu);
    for (space = instance->spaces; space && strcmp(space->ns, ns) != 0;)
        space = space->next;
    pthread_mutex_unlock(&instance->mu);
    return space;
}

static int add_space(struct kubernetes_instance *instance, const char *ns, struct space **ret,
                     struct err *err)
{
    CLEANUP_FREE char *endpoint = endpoint_of(instance, ns);
    struct space *space;

    if (own_run_note(instance->services->run, OWN_ENDPOINT, endpoint, err) < 0)
        return -1;
    space = space_new(instance, ns, err);
    if (!space)
        return -1;
    pthread_mutex_lock(&instance->mu);
    for (*ret = instance->spaces; *ret && strcmp((*ret)->ns, ns) != 0;)
        *ret = (*ret)->next;
    if (!*ret) {
        space->next = instance->spaces;
        *ret = instance->spaces = steal_ptr(&space);
    }
    pthread_mutex_unlock(&instance->mu);
    space_free(space);
    return 0;
}

int kubernetes_space(struct kubernetes_instance *instance, const char *ns, struct space **ret,
                     struct err *err)
{
    if (!ns)
        ns = kube_cluster_namespace(instance->cluster);
    *ret = find_space(instance, ns);
    return *ret ? 0 : add_space(instance, ns, ret, err);
}

/* --- connecting --- */

/* Two instances may be of one namespace, by different URLs ("k8s" and "kubernetes"). */
static char *make_prefix(const struct engine_services *services)
{
    static atomic_uint count;
    unsigned number = atomic_fetch_add(&count, 1) + 1;
    const char *run;

    if (!services->run)
        return NULL;
    run = own_run_id(services->run);
    return number == 1 ? xasprintf("runner-%s", run) : xasprintf("runner-%s-c%u", run, number);
}

static void release(struct kubernetes_instance *instance)
{
    while (instance->spaces) {
        struct space *space = instance->spaces;

        instance->spaces = space->next;
        space_free(space);
    }
    vec_foreach (struct kube_client **, client, &instance->idle_clients)
        kube_client_free(*client);
    vec_release(&instance->idle_clients);
    kube_cluster_free(instance->cluster);
    pthread_mutex_destroy(&instance->mu);
    free(instance->endpoint);
    free(instance->prefix);
    free(instance);
}

static int ask_version(const struct ctx *ctx, struct kubernetes_instance *instance, struct err *err)
{
    struct kube_client *client = kubernetes_client_take(instance);
    json_t *version = NULL;
    int result = kube_version(ctx, client, &version, err);

    instance->native_sidecars = kube_version_number(version) >= SIDECARS_SINCE;
    json_decref(version);
    kubernetes_client_give(instance, client);
    return result;
}

int kubernetes_instance_connect(const struct ctx *ctx, const struct engine_services *services,
                                const char *url, struct engine_instance **ret, struct err *err)
{
    struct kubernetes_instance *instance = xcalloc(1, sizeof(*instance));

    instance->engine = &kubernetes_engine;
    instance->services = services;
    instance->prefix = make_prefix(services);
    pthread_mutex_init(&instance->mu, NULL);
    if (kubernetes_find_cluster(services, url, &instance->cluster, &instance->endpoint, err) < 0) {
        release(instance);
        return -1;
    }
    if (ask_version(ctx, instance, err) < 0) {
        release(instance);
        return -1;
    }
    *ret = (struct engine_instance *)instance;
    return 0;
}

/* What a create call that was broken off may have made, and what could not be removed before. */
static void sweep_uncertain(struct kubernetes_instance *instance)
{
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, SWEEP_MS);
    for (struct space *space = instance->spaces; space; space = space->next) {
        struct err err = ERR_INIT;

        if (kubernetes_sweep_run(&ctx, instance, space->ns, &err) < 0) {
            log_warn("kubernetes",
                     "something may be left in the namespace %s, for `runner reap` to remove: %s",
                     space->ns, err.message);
            own_run_leave(instance->services->run);
        }
    }
}

void kubernetes_instance_disconnect(struct engine_instance *opaque)
{
    struct kubernetes_instance *instance = (struct kubernetes_instance *)opaque;

    if (!instance)
        return;
    if (atomic_load(&instance->uncertain) && !instance->services->keep)
        sweep_uncertain(instance);
    release(instance);
}

int kubernetes_instance_probe(const struct ctx *ctx, struct engine_instance *opaque,
                              struct buf *report, struct err *err)
{
    struct kubernetes_instance *instance = (struct kubernetes_instance *)opaque;
    struct kube_client *client = kubernetes_client_take(instance);
    int result = kubernetes_access_probe(ctx, client, report, err);

    kubernetes_client_give(instance, client);
    return result;
}
