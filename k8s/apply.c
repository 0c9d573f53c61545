#include "k8s/apply.h"

#include <string.h>

#include "apis/http/retry.h"
#include "base/json_at.h"
#include "k8s/applyset.h"
#include "k8s/delete.h"
#include "k8s/follow.h"
#include "k8s/refusal.h"
#include "k8s/workers.h"

enum { DEFINITION_MS = 60000 };

/* From how many objects on a list is better than a look at each, and how long it may be. */
enum { LIST_MIN = 8, LIST_MAX = 500, LIST_BYTES_MAX = 1 << 20 };

/* A quarter of a minute, and more where the client tries several times, too. */
static const struct retry_policy patient = {.attempts = 12, .base_ms = 100, .max_delay_ms = 2000};

struct apply {
    struct kube_cluster *cluster;
    struct manifest_list *list;
    const struct manifest_apply_options *o;
    const char *ns;
    struct workers *workers;
    struct applyset *set; /* NULL: none */
    struct manifest_report report;
};

/* --- what is sent --- */

/* The member is a copy afterwards, which may be changed; made if it is not there. */
static json_t *own_member(json_t *object, const char *key)
{
    json_t *old = json_object_get(object, key);
    json_t *own = json_is_object(old) ? json_copy(old) : json_object();

    json_object_set_new(object, key, own);
    return own;
}

json_t *manifest_body(const struct manifest *m, const char *label, const char *value)
{
    json_t *body = json_copy(m->object);
    json_t *metadata = own_member(body, "metadata");

    if (m->ns)
        json_object_set_new(metadata, "namespace", json_string(m->ns));
    else
        json_object_del(metadata, "namespace");
    if (label)
        json_object_set_new(own_member(metadata, "labels"), label, json_string(value));
    return body;
}

/* --- one object --- */

static void drop_noise(json_t *object)
{
    static const char *const noise[] = {"managedFields", "resourceVersion", "generation"};

    for (size_t i = 0; i < sizeof(noise) / sizeof(*noise); i++)
        json_object_del(json_object_get(object, "metadata"), noise[i]);
}

/* Versions do not tell: a dry run has none, and old servers count each apply to a namespace. */
static bool is_same(const json_t *before, const json_t *after)
{
    json_t *a = json_deep_copy(before);
    json_t *b = json_deep_copy(after);
    bool same;

    drop_noise(a);
    drop_noise(b);
    same = json_equal(a, b);
    json_decref(a);
    json_decref(b);
    return same;
}

/* Whether it will be there when this is not a dry run: its namespace or its kind is in the list. */
static bool is_in_future(const struct apply *a, const struct manifest *m)
{
    if (!m->resource)
        return true;
    vec_foreach (const struct manifest *, it, &a->list->items) {
        if (m->ns && manifest_is(it, "", "Namespace") && strcmp(it->name, m->ns) == 0)
            return true;
    }
    return false;
}

static int failed(struct apply *a, const struct manifest *m, struct kube_client *client,
                  const struct err *why)
{
    const json_t *status = kube_client_refusal(client);
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (status && why->errnum == kube_client_status(client)->code)
        refusal_add_text(status, &text);
    if (!text.len)
        buf_addstr(&text, why->message);
    if (kube_client_status(client)->code == 404 && strstr(why->message, "namespaces \""))
        buf_addstr(&text, "\ncreate the namespace first, or put it into the manifests");
    return manifest_report_failed(&a->report, m, text.data);
}

/* A server needs a moment to serve a kind as its definition has just become. */
static bool may_pass(const struct apply *a, const struct manifest *m, const json_t *status)
{
    return refusal_of(status) == REFUSAL_PASSING ||
           (status && manifest_is_defined_in(m, a->list) &&
            (json_at_int(status, "code") == 404 ||
             strstr(json_at_string(status, "message"), "not declared in schema")));
}

/* Sends it, again where it may be accepted in a moment. */
static int send(const struct ctx *ctx, struct kube_client *client, struct apply *a,
                const struct manifest *m, json_t **ret, struct err *err)
{
    const struct kube_patch_options options = {.field_manager = MANIFEST_FIELD_MANAGER,
                                               .force = a->o->force,
                                               .dry_run = a->o->dry_run};
    const struct kube_ref ref = manifest_ref(m);
    json_t *body =
        manifest_body(m, a->set ? APPLYSET_PART_OF : NULL, a->set ? applyset_id(a->set) : NULL);
    struct retry retry;
    bool told = false;
    int result;

    retry_init(&retry, &patient);
    for (;;) {
        result = kube_patch(ctx, client, &ref, KUBE_PATCH_APPLY, body, &options, ret, err);
        if (result == 0 || !may_pass(a, m, kube_client_refusal(client)))
            break;
        if (!told)
            manifest_report_note(&a->report, m, err->message);
        told = true;
        if (retry_wait(ctx, &retry, -1, NULL) < 0)
            break;
    }
    json_decref(body);
    return result;
}

/* What it held would be lost. */
static bool holds_data(const struct manifest *m)
{
    return manifest_is(m, "", "Namespace") || manifest_is(m, "", "PersistentVolume") ||
           manifest_is(m, "", "PersistentVolumeClaim") ||
           manifest_is(m, "apiextensions.k8s.io", "CustomResourceDefinition");
}

/* A server goes on with a deletion whose end nobody has seen. */
static bool may_be_deleted(const struct err *why)
{
    return why->code == ERR_TIMEOUT || why->code == ERR_CANCELLED || why->code == ERR_LOST;
}

static int replace(const struct ctx *ctx, struct kube_client *client, struct apply *a,
                   struct manifest *m, const json_t *before)
{
    CLEANUP_CTX struct ctx gone;
    struct err why = ERR_INIT;
    int deletion;

    ctx_init(&gone, ctx);
    ctx_set_timeout(&gone, a->o->timeout_ms, "deletion");
    if (holds_data(m))
        return manifest_report_failed(&a->report, m,
                                      "this cannot be changed in place, and --replace does not "
                                      "delete what holds data; save that, and delete it yourself");
    manifest_report_note(&a->report, m, "is deleted and created anew");
    deletion =
        manifest_delete_one(&gone, client, m, json_at_string(before, "metadata.uid"), true, &why);
    if (deletion < 0 || send(ctx, client, a, m, &m->live, &why) < 0) {
        if (deletion == 0 || may_be_deleted(&why))
            manifest_report_note(&a->report, m,
                                 "has been deleted and not been created anew, which the next "
                                 "apply does");
        return failed(a, m, client, &why);
    }
    m->state = MANIFEST_CONFIGURED;
    manifest_report_done(&a->report, m, "replaced");
    return 0;
}

/* Whether nobody else has written it, who would have made it since it was looked for. */
static bool is_ours_alone(const json_t *object)
{
    const json_t *entry;
    size_t i;

    json_array_foreach (json_at(object, "metadata.managedFields"), i, entry) {
        if (strcmp(json_at_string(entry, "manager"), MANIFEST_FIELD_MANAGER) != 0)
            return false;
    }
    return true;
}

static int settle(struct apply *a, struct manifest *m, const json_t *before)
{
    static const char *const words[][2] = {
        [MANIFEST_CREATED] = {"created", "would be created"},
        [MANIFEST_CONFIGURED] = {"configured", "would be configured"},
        [MANIFEST_UNCHANGED] = {"unchanged", "unchanged"},
    };

    if (!before && (a->o->dry_run || is_ours_alone(m->live)))
        m->state = MANIFEST_CREATED;
    else if (before && is_same(before, m->live))
        m->state = MANIFEST_UNCHANGED;
    else
        m->state = MANIFEST_CONFIGURED;
    manifest_report_done(&a->report, m, words[m->state][a->o->dry_run]);
    return 0;
}

/* Whether it is there is asked first, so that what is created can be told before it is. */
static int apply_to(const struct ctx *ctx, struct kube_client *client, struct apply *a,
                    struct manifest *m, json_t **before)
{
    const struct kube_ref ref = manifest_ref(m);
    struct err err = ERR_INIT;

    if (m->listed)
        *before = steal_ptr(&m->live);
    else if (kube_get(ctx, client, &ref, before, &err) < 0 && err.code != ERR_NOT_FOUND)
        return failed(a, m, client, &err);
    if (!*before && a->o->dry_run && is_in_future(a, m))
        return settle(a, m, NULL);
    if (!*before && !a->o->dry_run) {
        if (manifest_report_creating(&a->report, m, &err) < 0)
            return manifest_report_failed(&a->report, m, err.message);
        m->state = MANIFEST_CREATING;
    }
    if (send(ctx, client, a, m, &m->live, &err) == 0)
        return settle(a, m, *before);
    if (*before && a->o->replace && !a->o->dry_run &&
        refusal_of(kube_client_refusal(client)) == REFUSAL_IMMUTABLE)
        return replace(ctx, client, a, m, *before);
    if (kube_client_status(client)->code >= 400 && kube_client_status(client)->code < 500)
        m->state = MANIFEST_WRITTEN; /* nothing was made for certain */
    return failed(a, m, client, &err);
}

static int apply_one(const struct ctx *ctx, struct kube_client *client, struct manifest *m,
                     void *arg)
{
    struct apply *a = arg;
    json_t *before = NULL;
    int result;

    if (!m->resource) {
        if (a->o->dry_run)
            return settle(a, m, NULL);
        return manifest_report_failed(&a->report, m, "the cluster does not serve this kind");
    }
    if (!m->listed)
        json_decref(steal_ptr(&m->live));
    result = apply_to(ctx, client, a, m, &before);
    json_decref(before);
    m->listed = false;
    return result;
}

/* --- many objects --- */

static bool is_beside(const struct manifest *m, const struct manifest *other)
{
    return m->resource && other->resource && m->ns && other->ns && strcmp(m->ns, other->ns) == 0 &&
           strcmp(m->resource, other->resource) == 0 &&
           strcmp(m->api_version, other->api_version) == 0;
}

/* Gives each of those beside `first` what the list says of it. */
static void spread(const struct manifest_ptrs *items, const struct manifest *first,
                   const json_t *list)
{
    CLEANUP_TEXT_INDEX struct text_index index = {0};
    json_t *object;
    uint32_t number;
    size_t i;

    json_array_foreach (json_object_get(list, "items"), i, object) {
        const char *name = json_at_string(object, "metadata.name");

        json_object_set_new(object, "apiVersion", json_string(first->api_version));
        json_object_set_new(object, "kind", json_string(first->kind));
        text_index_set(&index, name, strlen(name), (uint32_t)i);
    }
    vec_foreach (struct manifest *const *, m, items) {
        if (!is_beside(*m, first))
            continue;
        json_decref(steal_ptr(&(*m)->live));
        (*m)->listed = true;
        if (text_index_find(&index, (*m)->name, strlen((*m)->name), &number))
            (*m)->live = json_incref(json_array_get(json_object_get(list, "items"), number));
    }
}

/* Where there are many of a kind in a namespace, one list says which are there, unless it is long.
 */
static void look_at_many(const struct ctx *ctx, struct apply *a, const struct manifest_ptrs *items)
{
    vec_foreach (struct manifest *const *, m, items) {
        struct kube_ref ref = manifest_ref(*m);
        size_t count = 0;
        json_t *list = NULL;

        for (size_t i = 0; i < items->len && count < LIST_MIN && !(*m)->listed; i++)
            count += is_beside(*m, items->items[i]);
        if (count < LIST_MIN)
            continue;
        ref.name = NULL;
        if (kube_list_within(ctx, workers_client(a->workers), &ref, LIST_MAX, LIST_BYTES_MAX, &list,
                             NULL) < 0)
            return;
        spread(items, *m, list);
        json_decref(list);
    }
}

/* --- rank by rank --- */

static void pick(const struct manifest_list *list, enum manifest_rank rank,
                 struct manifest_ptrs *ret)
{
    vec_foreach (struct manifest *, m, &list->items) {
        if (manifest_rank(m) == rank)
            vec_push(ret, m);
    }
}

static bool has_unknown(const struct manifest_list *list)
{
    vec_foreach (const struct manifest *, m, &list->items) {
        if (!m->resource)
            return true;
    }
    return false;
}

/* Until the kinds that the list defines are served: an API server needs a moment for that. */
static int await_kinds(const struct ctx *ctx, struct apply *a, const struct manifest_ptrs *crds,
                       struct err *err)
{
    struct kube_client *client = workers_client(a->workers);
    bool is_less = a->o->timeout_ms > 0 && a->o->timeout_ms < DEFINITION_MS;
    struct retry retry;

    if (!has_unknown(a->list) || a->o->dry_run)
        return 0;
    if (manifest_follow(ctx, a->cluster, crds->items, crds->len, FOLLOW_READY,
                        is_less ? a->o->timeout_ms : DEFINITION_MS, &a->report, err) < 0)
        return -1;
    retry_init(&retry, &patient);
    do {
        kube_discovery_forget(client);
        if (manifest_resolve(ctx, client, a->list, a->ns, err) < 0)
            return -1;
    } while (has_unknown(a->list) && retry_wait(ctx, &retry, -1, NULL) == 0);
    return ctx_check(ctx, err);
}

static int apply_rank(const struct ctx *ctx, struct apply *a, enum manifest_rank rank,
                      struct err *err)
{
    struct manifest_ptrs items = {0};
    size_t bad;
    int result = 0;

    pick(a->list, rank, &items);
    look_at_many(ctx, a, &items);
    bad = workers_run(ctx, a->workers, items.items, items.len, apply_one, a);
    if (ctx_check(ctx, err) < 0)
        result = -1;
    else if (bad)
        result = err_set(err, ERR_CONFLICT, "%zu of %zu objects could not be applied", bad,
                         a->list->items.len);
    else if (rank == RANK_DEFINITION && items.len)
        result = await_kinds(ctx, a, &items, err);
    vec_release(&items);
    return result;
}

static int apply_all(const struct ctx *ctx, struct apply *a, struct err *err)
{
    struct manifest_ptrs all = {0};
    int result = 0;

    for (int rank = 0; rank < RANK_COUNT && result == 0; rank++)
        result = apply_rank(ctx, a, (enum manifest_rank)rank, err);
    if (result < 0 || !a->o->wait || a->o->dry_run)
        return result;
    vec_foreach (struct manifest *, m, &a->list->items)
        vec_push(&all, m);
    result = manifest_follow(ctx, a->cluster, all.items, all.len, FOLLOW_READY, a->o->timeout_ms,
                             &a->report, err);
    vec_release(&all);
    return result;
}

static int apply_with_set(const struct ctx *ctx, struct apply *a, struct err *err)
{
    struct kube_client *client = workers_client(a->workers);

    if (!a->o->set)
        return apply_all(ctx, a, err);
    if (applyset_open(ctx, client, a->o->set, a->ns, &a->set, err) < 0)
        return -1;
    if (!a->o->dry_run && applyset_extend(ctx, client, a->set, a->list, &a->report, err) < 0)
        return -1;
    if (apply_all(ctx, a, err) < 0)
        return -1;
    if (a->o->prune &&
        applyset_prune(ctx, a->cluster, client, a->set, a->list, a->o, &a->report, err) < 0)
        return -1;
    return 0;
}

int manifest_apply(const struct ctx *ctx, struct kube_cluster *cluster, struct manifest_list *list,
                   const struct manifest_apply_options *o, const struct manifest_sink *sink,
                   struct err *err)
{
    CLEANUP_WORKERS struct workers *workers = workers_new(cluster);
    struct apply a = {
        .cluster = cluster,
        .list = list,
        .o = o,
        .ns = o->ns ? o->ns : kube_cluster_namespace(cluster),
        .workers = workers,
        .report = MANIFEST_REPORT_INIT(sink),
    };
    int result = -1;

    if (manifest_resolve(ctx, workers_client(workers), list, a.ns, err) == 0)
        result = apply_with_set(ctx, &a, err);
    applyset_free(a.set);
    pthread_mutex_destroy(&a.report.mu);
    return result;
}
