#include "k8s/delete.h"

#include <string.h>

#include "k8s/apply.h"
#include "k8s/follow.h"
#include "k8s/refusal.h"
#include "k8s/workers.h"

#include "base/json_at.h"

enum { POLL_MS = 200 };

struct removal {
    struct kube_cluster *cluster;
    const struct manifest_delete_options *o;
    bool only_created;
    struct workers *workers;
    struct manifest_report report;
};

static int await_gone(const struct ctx *ctx, struct kube_client *client, const struct manifest *m,
                      const char *uid, struct err *err)
{
    const struct kube_ref ref = manifest_ref(m);

    for (;;) {
        json_t *object = NULL;
        struct err why = ERR_INIT;
        bool gone;

        if (kube_get(ctx, client, &ref, &object, &why) < 0 && why.code != ERR_NOT_FOUND) {
            if (err)
                *err = why;
            return -1;
        }
        gone = strcmp(json_at_string(object, "metadata.uid"), uid) != 0;
        json_decref(object);
        if (gone)
            return 0;
        if (ctx_sleep(ctx, POLL_MS, err) < 0)
            return -1;
    }
}

/* Whether the name has been given to another object. */
static bool is_another(const struct kube_client *client)
{
    const char *message = json_at_string(kube_client_refusal(client), "message");

    return kube_client_status(client)->code == 409 &&
           (strstr(message, "the UID in the precondition") ||
            strstr(message, "UID in precondition"));
}

int manifest_delete_one(const struct ctx *ctx, struct kube_client *client, const struct manifest *m,
                        const char *uid, bool wait, struct err *err)
{
    const struct kube_delete_options options = {.uid = uid,
                                                .propagation = KUBE_PROPAGATION_FOREGROUND};
    const struct kube_ref ref = manifest_ref(m);
    struct err why = ERR_INIT;

    if (kube_delete(ctx, client, &ref, &options, NULL, &why) < 0) {
        if (why.code == ERR_NOT_FOUND || is_another(client))
            return 0;
        if (err)
            *err = why;
        return -1;
    }
    return wait ? await_gone(ctx, client, m, uid, err) : 0;
}

/* --- one of the list --- */

static int failed(struct removal *r, const struct manifest *m, struct kube_client *client,
                  const struct err *why)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (kube_client_refusal(client) && why->errnum == kube_client_status(client)->code)
        refusal_add_text(kube_client_refusal(client), &text);
    return manifest_report_failed(&r->report, m, text.len ? text.data : why->message);
}

static int not_there(struct removal *r, const struct manifest *m)
{
    if (r->o->ignore_not_found || r->only_created)
        return 0;
    return manifest_report_failed(&r->report, m,
                                  "is not there; --ignore-not-found makes that no error");
}

/* Whether the runner applied this object, which came when it was about to create one. */
static bool is_own(const json_t *object)
{
    const json_t *entry;
    size_t i;

    json_array_foreach (json_at(object, "metadata.managedFields"), i, entry) {
        const char *manager = json_at_string(entry, "manager");

        if (strcmp(json_at_string(entry, "operation"), "Apply") == 0 &&
            (strcmp(manager, MANIFEST_FIELD_MANAGER) == 0 ||
             strcmp(manager, MANIFEST_SET_MANAGER) == 0))
            return true;
    }
    return false;
}

/* Another object of that name is not what was created. */
static bool was_created(const struct manifest *m, const char *created_uid, const json_t *now)
{
    if (m->state == MANIFEST_CREATED)
        return strcmp(created_uid, json_at_string(now, "metadata.uid")) == 0;
    return m->state == MANIFEST_CREATING && is_own(now);
}

/* Looks at all before anything goes, as some go with others: Endpoints with their Service. Those
 * that stay have no `live` then. */
static int look_at(const struct ctx *ctx, struct kube_client *client, struct manifest *m, void *arg)
{
    struct removal *r = arg;
    const struct kube_ref ref = manifest_ref(m);
    CLEANUP_FREE char *uid = xstrdup(json_at_string(m->live, "metadata.uid"));
    struct err err = ERR_INIT;

    json_decref(steal_ptr(&m->live));
    if (!m->resource)
        return not_there(r, m);
    if (kube_get(ctx, client, &ref, &m->live, &err) < 0)
        return err.code == ERR_NOT_FOUND ? not_there(r, m) : failed(r, m, client, &err);
    if (r->only_created && !was_created(m, uid, m->live))
        json_decref(steal_ptr(&m->live));
    return 0;
}

static int remove_one(const struct ctx *ctx, struct kube_client *client, struct manifest *m,
                      void *arg)
{
    struct removal *r = arg;
    struct err err = ERR_INIT;

    if (r->o->dry_run) {
        manifest_report_done(&r->report, m, "would be deleted");
        return 0;
    }
    if (manifest_delete_one(ctx, client, m, json_at_string(m->live, "metadata.uid"), false, &err) <
        0) {
        failed(r, m, client, &err);
        json_decref(steal_ptr(&m->live)); /* and is not waited for */
        return -1;
    }
    if (!r->o->wait)
        manifest_report_done(&r->report, m, "is being deleted");
    return 0;
}

/* --- rank by rank --- */

static int remove_rank(const struct ctx *ctx, struct removal *r, const struct manifest_ptrs *all,
                       enum manifest_rank rank, size_t *bad, struct err *err)
{
    struct manifest_ptrs items = {0};
    int result = 0;

    vec_foreach (struct manifest *const *, m, all) {
        if ((*m)->live && manifest_rank(*m) == rank)
            vec_push(&items, *m);
    }
    *bad += workers_run(ctx, r->workers, items.items, items.len, remove_one, r);
    if (r->o->wait && !r->o->dry_run)
        result = manifest_follow(ctx, r->cluster, items.items, items.len, FOLLOW_GONE,
                                 r->o->timeout_ms, &r->report, err);
    vec_release(&items);
    return result < 0 ? -1 : ctx_check(ctx, err);
}

static int remove_all(const struct ctx *ctx, struct removal *r, struct manifest_list *list,
                      struct err *err)
{
    struct manifest_ptrs all = {0};
    size_t bad;
    int result;

    vec_foreach (struct manifest *, m, &list->items) {
        if (!r->only_created || m->state == MANIFEST_CREATED || m->state == MANIFEST_CREATING)
            vec_push(&all, m);
    }
    bad = workers_run(ctx, r->workers, all.items, all.len, look_at, r);
    result = ctx_check(ctx, err);
    for (int rank = RANK_COUNT - 1; rank >= 0 && result == 0; rank--)
        result = remove_rank(ctx, r, &all, (enum manifest_rank)rank, &bad, err);
    vec_release(&all);
    if (result == 0 && bad)
        result = err_set(err, ERR_CONFLICT, "%zu of %zu objects could not be deleted", bad,
                         list->items.len);
    return result;
}

static int start(const struct ctx *ctx, struct removal *r, struct manifest_list *list,
                 const struct manifest_sink *sink, struct err *err)
{
    const char *ns = r->o->ns ? r->o->ns : kube_cluster_namespace(r->cluster);
    int result;

    r->workers = workers_new(r->cluster);
    r->report = (struct manifest_report)MANIFEST_REPORT_INIT(sink);
    result = manifest_resolve(ctx, workers_client(r->workers), list, ns, err);
    if (result == 0)
        result = remove_all(ctx, r, list, err);
    workers_free(r->workers);
    pthread_mutex_destroy(&r->report.mu);
    return result;
}

int manifest_delete(const struct ctx *ctx, struct kube_cluster *cluster, struct manifest_list *list,
                    const struct manifest_delete_options *o, const struct manifest_sink *sink,
                    struct err *err)
{
    struct removal r = {.cluster = cluster, .o = o};

    return start(ctx, &r, list, sink, err);
}

int manifest_take_back(const struct ctx *ctx, struct kube_cluster *cluster,
                       struct manifest_list *list, const struct manifest_delete_options *o,
                       const struct manifest_sink *sink, struct err *err)
{
    struct removal r = {.cluster = cluster, .o = o, .only_created = true};

    return start(ctx, &r, list, sink, err);
}
