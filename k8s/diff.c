#include "k8s/diff.h"

#include <string.h>

#include "k8s/apply.h"
#include "k8s/refusal.h"
#include "k8s/text_diff.h"
#include "k8s/workers.h"
#include "k8s/yaml_text.h"

#include "base/json_at.h"

struct compare {
    const struct manifest_list *list;
    const struct manifest_diff_options *o;
    struct manifest_report report;
    struct buf *texts; /* by the number of the manifest; "": the same */
};

/* --- texts --- */

/* What a server sets, and what is of no interest to who wrote the file. */
static void strip(json_t *object)
{
    static const char *const fields[] = {"managedFields", "resourceVersion",
                                         "generation",    "selfLink",
                                         "uid",           "creationTimestamp"};

    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        json_object_del(json_object_get(object, "metadata"), fields[i]);
    json_object_del(object, "status");
}

/* Values get stars, and what differs says so. */
static void mask_map(json_t *mine, const json_t *other, const char *note)
{
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(mine, next, key, value)
    {
        const json_t *twin = json_object_get(other, key);

        json_object_set_new(mine, key,
                            !twin || json_equal(twin, value) ? json_string("***")
                                                             : json_string(note));
    }
}

static void mask(json_t *old, json_t *new)
{
    static const char *const maps[] = {"data", "stringData"};

    for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++) {
        json_t *before = json_object_get(old, maps[i]);
        json_t *after = json_object_get(new, maps[i]);
        json_t *copy = json_deep_copy(before);

        mask_map(before, after, "*** (before)");
        mask_map(after, copy, "*** (after)");
        json_decref(copy);
    }
}

static bool is_secret(const json_t *object)
{
    return strcmp(json_at_string(object, "kind"), "Secret") == 0 &&
           strcmp(json_at_string(object, "apiVersion"), "v1") == 0;
}

void manifest_diff_texts(const json_t *old, const json_t *new, struct buf *ret_old,
                         struct buf *ret_new)
{
    json_t *before = json_deep_copy(old);
    json_t *after = json_deep_copy(new);

    strip(before);
    strip(after);
    if (is_secret(old) || is_secret(new)) {
        /* What kubectl writes here has the data once more. */
        static const char last[] = "kubectl.kubernetes.io/last-applied-configuration";

        json_object_del(json_object_get(json_object_get(before, "metadata"), "annotations"), last);
        json_object_del(json_object_get(json_object_get(after, "metadata"), "annotations"), last);
        mask(before, after);
    }
    if (before)
        yaml_text_add(ret_old, before);
    if (after)
        yaml_text_add(ret_new, after);
    json_decref(before);
    json_decref(after);
}

/* --- one object --- */

static void keep(struct compare *c, const struct manifest *m, const json_t *old, const json_t *new)
{
    CLEANUP_BUF struct buf old_text = BUF_INIT;
    CLEANUP_BUF struct buf new_text = BUF_INIT;
    CLEANUP_BUF struct buf old_name = BUF_INIT;
    CLEANUP_BUF struct buf new_name = BUF_INIT;

    manifest_diff_texts(old, new, &old_text, &new_text);
    buf_addstr(&old_name, "live/");
    buf_addstr(&new_name, "merged/");
    if (m->ns) {
        buf_addf(&old_name, "%s/", m->ns);
        buf_addf(&new_name, "%s/", m->ns);
    }
    manifest_add_title(&old_name, m->api_version, m->kind, m->name);
    manifest_add_title(&new_name, m->api_version, m->kind, m->name);
    text_diff_add(&c->texts[m - c->list->items.items], old_name.data, new_name.data, old_text.data,
                  new_text.data);
}

static int failed(struct compare *c, const struct manifest *m, struct kube_client *client,
                  const struct err *why)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (kube_client_refusal(client) && why->errnum == kube_client_status(client)->code)
        refusal_add_text(kube_client_refusal(client), &text);
    return manifest_report_failed(&c->report, m, text.len ? text.data : why->message);
}

static int compare_one(const struct ctx *ctx, struct kube_client *client, struct manifest *m,
                       void *arg)
{
    struct compare *c = arg;
    const struct kube_patch_options options = {.field_manager = MANIFEST_FIELD_MANAGER,
                                               .force = c->o->force,
                                               .dry_run = true};
    const struct kube_ref ref = manifest_ref(m);
    json_t *body = manifest_body(m, NULL, NULL);
    json_t *old = NULL;
    json_t *new = NULL;
    struct err err = ERR_INIT;
    int result = 0;

    if (m->resource && kube_get(ctx, client, &ref, &old, &err) < 0 && err.code != ERR_NOT_FOUND)
        result = failed(c, m, client, &err);
    if (result == 0 && m->resource &&
        kube_patch(ctx, client, &ref, KUBE_PATCH_APPLY, body, &options, &new, &err) < 0) {
        /* Where its namespace is not there yet, it is what is written that will be. */
        if (old || err.code != ERR_NOT_FOUND)
            result = failed(c, m, client, &err);
    }
    if (result == 0)
        keep(c, m, old, new ? new : body);
    json_decref(body);
    json_decref(old);
    json_decref(new);
    return result;
}

/* --- all --- */

static int compare_all(const struct ctx *ctx, struct compare *c, struct workers *workers,
                       struct manifest_list *list, bool *ret_differs, struct err *err)
{
    struct manifest_ptrs order = {0};
    size_t bad;

    for (int rank = 0; rank < RANK_COUNT; rank++) {
        vec_foreach (struct manifest *, m, &list->items) {
            if (manifest_rank(m) == (enum manifest_rank)rank)
                vec_push(&order, m);
        }
    }
    bad = workers_run(ctx, workers, order.items, order.len, compare_one, c);
    vec_foreach (struct manifest *const *, m, &order) {
        const struct buf *text = &c->texts[*m - list->items.items];

        if (text->len) {
            *ret_differs = true;
            manifest_report_differs(&c->report, *m, text->data);
        }
    }
    vec_release(&order);
    if (ctx_check(ctx, err) < 0)
        return -1;
    if (bad)
        return err_set(err, ERR_CONFLICT, "%zu of %zu objects could not be compared", bad,
                       list->items.len);
    return 0;
}

int manifest_diff(const struct ctx *ctx, struct kube_cluster *cluster, struct manifest_list *list,
                  const struct manifest_diff_options *o, const struct manifest_sink *sink,
                  bool *ret_differs, struct err *err)
{
    CLEANUP_WORKERS struct workers *workers = workers_new(cluster);
    CLEANUP_FREE struct buf *texts = xcalloc(list->items.len + 1, sizeof(*texts));
    struct compare c = {.list = list, .o = o, .report = MANIFEST_REPORT_INIT(sink), .texts = texts};
    const char *ns = o->ns ? o->ns : kube_cluster_namespace(cluster);
    bool differs = false;
    int result;

    for (size_t i = 0; i < list->items.len; i++)
        texts[i] = (struct buf)BUF_INIT;
    result = manifest_resolve(ctx, workers_client(workers), list, ns, err);
    if (result == 0)
        result = compare_all(ctx, &c, workers, list, &differs, err);
    if (result == 0)
        *ret_differs = differs;
    for (size_t i = 0; i < list->items.len; i++)
        buf_release(&texts[i]);
    pthread_mutex_destroy(&c.report.mu);
    return result;
}
