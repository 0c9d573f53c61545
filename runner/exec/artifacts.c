#include "exec/artifacts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "artifact/artifact.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/glob.h"
#include "base/logger.h"
#include "base/vec.h"
#include "exec/stores.h"
#include "exec/values.h"
#include "objstore/open.h"
#include "plan/settings.h"

enum { PRUNE_MS = 15000 };

struct kept {
    const struct plan_job *job;
    struct object_store *store;
    struct artifact artifact;
};

struct artifacts {
    struct stores *stores;
    pthread_mutex_t mu;
    bool local; /* the local store is in use; guarded by mu */
    VEC(struct kept)
    kept; /* guarded by mu; only added to */
};

static int open_store(void *arg, const char *url, struct object_store **ret, struct err *err)
{
    (void)arg;
    return artifact_store_open(url, ret, err);
}

struct artifacts *artifacts_new(void)
{
    struct artifacts *artifacts = xcalloc(1, sizeof(*artifacts));

    artifacts->stores = stores_new(open_store, NULL);
    pthread_mutex_init(&artifacts->mu, NULL);
    return artifacts;
}

/* A bucket has lifecycle rules, or `runner artifacts prune`. */
static void prune_local(struct artifacts *artifacts)
{
    const struct artifact_prune options = {.now_ms = clock_wall_ms()};
    struct object_store *store;
    struct err err = ERR_INIT;
    struct ctx ctx;

    ctx_init_cleanup(&ctx, PRUNE_MS);
    if (stores_get(artifacts->stores, OBJECT_STORE_LOCAL, &store, &err) < 0 ||
        artifact_prune(&ctx, store, &options, &err) < 0)
        log_debug("artifact", "expired artifacts remain: %s", err.message);
    ctx_release(&ctx);
}

void artifacts_free(struct artifacts *artifacts)
{
    if (!artifacts)
        return;
    if (artifacts->local)
        prune_local(artifacts);
    stores_free(artifacts->stores);
    vec_foreach (struct kept *, kept, &artifacts->kept)
        artifact_release(&kept->artifact);
    vec_release(&artifacts->kept);
    pthread_mutex_destroy(&artifacts->mu);
    free(artifacts);
}

/* --- keeping --- */

/* One of the file's entries with everything expanded. */
struct item {
    char *name;
    char *store;
    char *expire_in;
    struct strvec globs;
};

static void item_release(struct item *item)
{
    free(item->name);
    free(item->store);
    free(item->expire_in);
    strvec_release(&item->globs);
}

struct keeping {
    struct run *run;
    const struct artifacts_owner *owner;
    struct plan_settings settings;
};

static int expand_globs(const struct keeping *k, const struct spec_strs *from, const char *prefix,
                        struct item *item, struct err *err)
{
    for (size_t i = 0; i < from->len; i++) {
        CLEANUP_FREE char *text = NULL;

        if (plan_expand(k->run->plan, &k->settings, &from->items[i], &text, NULL, NULL, err) < 0)
            return -1;
        strvec_pushf(&item->globs, "%s%s", prefix, text);
    }
    return 0;
}

static int expand(const struct keeping *k, const struct spec_artifact *spec, struct item *item,
                  struct err *err)
{
    const struct plan *plan = k->run->plan;
    const struct plan_step *step = k->owner->step;

    if (plan_expand(plan, &k->settings, &spec->name, &item->name, NULL, NULL, err) < 0 ||
        plan_expand(plan, &k->settings, &spec->store, &item->store, NULL, NULL, err) < 0 ||
        plan_expand(plan, &k->settings, &spec->expire_in, &item->expire_in, NULL, NULL, err) < 0 ||
        expand_globs(k, &spec->paths, "", item, err) < 0 ||
        expand_globs(k, &spec->exclude, "!", item, err) < 0)
        return -1;
    if (!item->name || !*item->name) {
        free(item->name);
        item->name = xstrdup(step ? step->id : "artifacts");
    }
    return 0;
}

/* "0.1" of the job "RUN.0.1". */
static char *id_in_run(const struct run *run, const struct node *job)
{
    CLEANUP_BUF struct buf id = BUF_INIT;

    node_id(job, run->id, &id);
    return xstrdup(id.data + strlen(run->id) + 1);
}

static void remember(struct artifacts *artifacts, const struct plan_job *job,
                     struct object_store *store, struct artifact *artifact)
{
    bool known = false;

    pthread_mutex_lock(&artifacts->mu);
    artifacts->local |= strcmp(store->ops->name, OBJECT_STORE_LOCAL) == 0;
    vec_foreach (struct kept *, kept, &artifacts->kept) {
        if (kept->store == store && strcmp(kept->artifact.archive, artifact->archive) == 0)
            known = true;
    }
    if (!known) {
        vec_push(&artifacts->kept,
                 ((struct kept){.job = job, .store = store, .artifact = *artifact}));
        *artifact = (struct artifact){0};
    }
    pthread_mutex_unlock(&artifacts->mu);
}

static void tell(struct run *run, const struct node *node, const struct artifact *a)
{
    char until[CLOCK_RFC3339_SIZE];

    clock_rfc3339(a->expires_ms, until);
    event_bus_note(run->bus, node, "artifacts \"%s\": %lld file%s, %lld bytes, kept %s%.10s",
                   a->name, (long long)a->file_count, a->file_count == 1 ? "" : "s",
                   (long long)a->bytes, a->expires_ms ? "until " : "for ever",
                   a->expires_ms ? until : "");
}

static int parse_globs(const struct item *item, struct glob **ret, struct err *err)
{
    return glob_parse((const char *const *)item->globs.items, item->globs.len, GLOB_TREE, ret, err);
}

/* What every artifact of the owner is called. */
static void begin_request(const struct keeping *k, const char *job_id, const char *name,
                          struct artifact_request *request)
{
    *request = (struct artifact_request){.run = k->run->id,
                                         .pipeline = k->run->plan->name,
                                         .job = k->owner->job_node->name,
                                         .job_id = job_id,
                                         .name = name,
                                         .expire_ms = ARTIFACT_EXPIRE_DEFAULT_MS};
}

static int save_in(const struct keeping *k, const struct ctx *ctx, const char *url,
                   const struct artifact_request *request, struct err *err)
{
    CLEANUP_ARTIFACT struct artifact saved = {0};
    struct object_store *store;

    if (stores_get(k->run->artifacts->stores, url, &store, err) < 0 ||
        artifact_save(ctx, store, request, &saved, err) < 0)
        return -1;
    tell(k->run, k->owner->node, &saved);
    remember(k->run->artifacts, k->owner->job, store, &saved);
    return 0;
}

static int save(const struct keeping *k, const struct ctx *ctx, const struct item *item,
                struct err *err)
{
    CLEANUP_FREE char *job_id = id_in_run(k->run, k->owner->job_node);
    CLEANUP_GLOB struct glob *glob = NULL;
    struct artifact_request request;

    begin_request(k, job_id, item->name, &request);
    request.root = k->owner->files.root;
    request.shown_root = k->run->plan->workdir;
    if ((item->expire_in && artifact_parse_expiry(item->expire_in, &request.expire_ms, err) < 0) ||
        parse_globs(item, &glob, err) < 0)
        return -1;
    request.glob = glob;
    return save_in(k, ctx, item->store, &request, err);
}

static int keep_one(const struct keeping *k, const struct ctx *ctx,
                    const struct spec_artifact *spec, struct err *err)
{
    CLEANUP(item_release) struct item item = {0};

    if (expand(k, spec, &item, err) < 0)
        return err_wrap(err, "artifacts");
    if (k->owner->missing.code != ERR_NONE) {
        *err = k->owner->missing;
        return err_wrap(err, "artifacts \"%s\"", item.name);
    }
    if (save(k, ctx, &item, err) < 0)
        return err_wrap(err, "artifacts \"%s\"", item.name);
    return 0;
}

static bool is_due(const struct spec_artifact *spec, enum state state)
{
    if (!spec->paths.len)
        return false;
    switch (spec->when) {
    case SPEC_ALWAYS:
        return state != STATE_SKIPPED;
    case SPEC_ON_FAILURE:
        return state == STATE_FAILED;
    default:
        return state == STATE_SUCCEEDED;
    }
}

/* The first failure that counts decides, and the others are tried all the same. */
static int keep_all(const struct keeping *k, const struct ctx *ctx,
                    const struct spec_artifacts *specs, enum state state, struct err *err)
{
    int result = 0;

    for (size_t i = 0; i < specs->len; i++) {
        const struct spec_artifact *spec = &specs->items[i];
        struct err own = ERR_INIT;

        if (!is_due(spec, state) || keep_one(k, ctx, spec, &own) == 0)
            continue;
        if (spec->optional == SPEC_TRUE || result < 0 || state != STATE_SUCCEEDED) {
            event_bus_note(k->run->bus, k->owner->node, "%s", own.message);
        } else {
            *err = own;
            result = -1;
        }
    }
    return result;
}

static bool any_due(const struct spec_artifacts *specs, enum state state)
{
    for (size_t i = 0; i < specs->len; i++) {
        if (is_due(&specs->items[i], state))
            return true;
    }
    return false;
}

/* Fills k->settings, which borrow from `values` and `runtime`. */
static int resolve(struct keeping *k, const struct ctx *ctx, struct values *values,
                   struct plan_runtime *runtime, struct err *err)
{
    const struct artifacts_owner *o = k->owner;
    const struct plan_scope *scope = o->step ? &o->step->scope : &o->job->scope;

    *values = (struct values){.run = k->run,
                              .ctx = ctx,
                              .job = o->job,
                              .job_node = o->job_node,
                              .siblings = o->siblings,
                              .index = o->index};
    values_init(runtime, values, o->environment);
    if (plan_settings_resolve(k->run->plan, scope, runtime, &k->settings, NULL, NULL, err) < 0)
        return err_wrap(err, "artifacts");
    return 0;
}

static int keep_in(struct keeping *k, const struct ctx *ctx, const struct spec_artifacts *specs,
                   enum state state, struct err *err)
{
    struct plan_runtime runtime;
    struct values values;
    int result;

    if (resolve(k, ctx, &values, &runtime, err) < 0)
        return -1;
    result = keep_all(k, ctx, specs, state, err);
    plan_settings_release(&k->settings);
    return result;
}

/* NULL: a hook. */
static const struct spec_artifacts *specs_of(const struct artifacts_owner *owner)
{
    if (owner->step)
        return &owner->step->spec->artifacts;
    return owner->job->spec ? &owner->job->spec->artifacts : NULL;
}

/* What cannot be expanded will be told when it is to be kept. */
static int bring_one(const struct keeping *k, const struct ctx *ctx, struct collection *files,
                     const struct spec_artifact *spec, struct err *err)
{
    CLEANUP(item_release) struct item item = {0};
    CLEANUP_GLOB struct glob *glob = NULL;

    if (expand(k, spec, &item, NULL) < 0 || parse_globs(&item, &glob, NULL) < 0)
        return 0;
    return collection_bring(files, ctx, glob, err);
}

static void bring(struct run *run, const struct ctx *ctx, struct artifacts_owner *owner,
                  const struct spec_artifacts *specs, enum state state)
{
    struct keeping k = {.run = run, .owner = owner};
    struct plan_runtime runtime;
    struct values values;

    if (resolve(&k, ctx, &values, &runtime, NULL) < 0)
        return;
    for (size_t i = 0; i < specs->len && owner->missing.code == ERR_NONE; i++) {
        if (is_due(&specs->items[i], state) &&
            bring_one(&k, ctx, &owner->files, &specs->items[i], &owner->missing) < 0)
            break;
    }
    plan_settings_release(&k.settings);
}

void artifacts_collect(struct run *run, const struct ctx *ctx, struct artifacts_owner *owner,
                       struct places *places, const struct open_place *place, enum state state)
{
    const struct spec_artifacts *specs = specs_of(owner);
    struct ctx late;

    owner->missing = (struct err)ERR_INIT;
    if (!specs || !any_due(specs, state))
        return;
    ctx_init_grace(&late, ctx, EXEC_POST_BUDGET_MS);
    late.label = "artifacts";
    collection_begin(&owner->files, run, places, place, &late);
    bring(run, ctx_done(ctx) ? &late : ctx, owner, specs, state);
    ctx_release(&late);
}

void artifacts_keep(struct run *run, const struct ctx *ctx, const struct artifacts_owner *owner,
                    struct outcome *outcome)
{
    const struct spec_artifacts *specs = specs_of(owner);
    struct keeping k = {.run = run, .owner = owner};
    enum state state = outcome->state;
    struct err err = ERR_INIT;
    struct ctx late;
    int result;

    if (!specs || !any_due(specs, state))
        return;
    ctx_init_grace(&late, ctx, EXEC_POST_BUDGET_MS);
    late.label = "artifacts";
    result = keep_in(&k, ctx_done(ctx) ? &late : ctx, specs, state, &err);
    if (result < 0 && state == STATE_SUCCEEDED) {
        outcome_release(outcome);
        outcome_of_error(ctx, &err, outcome);
    } else if (result < 0) {
        event_bus_note(run->bus, owner->node, "%s", err.message);
    }
    ctx_release(&late);
}

int artifacts_keep_directory(struct run *run, const struct ctx *ctx,
                             const struct artifacts_owner *owner, const char *directory,
                             const char *name, struct err *err)
{
    const struct keeping k = {.run = run, .owner = owner};
    CLEANUP_FREE char *job_id = id_in_run(run, owner->job_node);
    const char *const all[] = {"**"};
    CLEANUP_GLOB struct glob *glob = NULL;
    struct artifact_request request;

    begin_request(&k, job_id, name, &request);
    request.root = directory;
    if (glob_parse(all, 1, GLOB_TREE, &glob, err) < 0)
        return -1;
    request.glob = glob;
    return save_in(&k, ctx, NULL, &request, err);
}

/* --- taking --- */

/* Those of the job; what they point to lives as long as the run. */
static size_t find_kept(struct artifacts *artifacts, const struct plan_job *job, const char *name,
                        struct kept **ret)
{
    size_t count = 0;

    pthread_mutex_lock(&artifacts->mu);
    *ret = xcalloc(artifacts->kept.len + 1, sizeof(**ret));
    vec_foreach (struct kept *, kept, &artifacts->kept) {
        if (kept->job == job && (!name || strcmp(kept->artifact.name, name) == 0))
            (*ret)[count++] = *kept;
    }
    pthread_mutex_unlock(&artifacts->mu);
    return count;
}

static int take_from(struct run *run, const struct ctx *ctx, const struct node *node,
                     const struct plan_job *job, const struct node *from, const char *name,
                     struct err *err)
{
    CLEANUP_FREE struct kept *kept = NULL;
    size_t count = find_kept(run->artifacts, job, name, &kept);

    if (!count)
        return err_set(err, ERR_NOT_FOUND, "the job \"%s\" has kept no artifacts%s%s%s: it %s %s",
                       from->name, name ? " \"" : "", name ? name : "", name ? "\"" : "",
                       from->state == STATE_SUCCEEDED || from->state == STATE_FAILED ? "has"
                                                                                     : "was",
                       state_name((enum state)from->state));
    for (size_t i = 0; i < count; i++) {
        const struct artifact *a = &kept[i].artifact;

        if (artifact_fetch(ctx, kept[i].store, a, run->plan->workdir, err) < 0)
            return err_wrap(err, "artifacts \"%s\" of the job \"%s\"", a->name, from->name);
        event_bus_note(run->bus, node, "artifacts \"%s\" of the job \"%s\": %lld file%s", a->name,
                       from->name, (long long)a->file_count, a->file_count == 1 ? "" : "s");
    }
    return 0;
}

static int take_item(struct run *run, const struct ctx *ctx, const struct spec_artifact *spec,
                     const struct node *node, const char *name, struct err *err)
{
    for (size_t i = 0; i < spec->from.len; i++) {
        struct plan_jobs from;

        if (!plan_find_jobs(run->plan, spec->from.items[i].text, &from))
            continue; /* an error of the file, which has been found before */
        for (uint32_t j = 0; j < from.count; j++) {
            const struct node *other = &run->root->children[from.stage].children[from.first + j];
            const struct plan_job *job = &run->plan->stages[from.stage].jobs[from.first + j];
            struct err own = ERR_INIT;

            if (take_from(run, ctx, node, job, other, name, &own) == 0)
                continue;
            if (spec->optional != SPEC_TRUE || ctx_done(ctx)) {
                *err = own;
                return -1;
            }
            event_bus_note(run->bus, node, "%s", own.message);
        }
    }
    return 0;
}

int artifacts_take(struct run *run, const struct ctx *ctx, const struct plan_job *job,
                   const struct node *node, struct err *err)
{
    struct values values = {.run = run, .ctx = ctx, .job = job, .job_node = node};
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    struct plan_runtime runtime;

    if (!job->spec || !job->spec->artifacts.len)
        return 0;
    values_init(&runtime, &values, NULL);
    if (plan_settings_resolve(run->plan, &job->scope, &runtime, &settings, NULL, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < job->spec->artifacts.len; i++) {
        const struct spec_artifact *spec = &job->spec->artifacts.items[i];
        CLEANUP_FREE char *name = NULL;

        if (!spec->from.len)
            continue;
        if (settings.checkout == SPEC_CHECKOUT_NONE)
            return err_set(
                err, ERR_UNSUPPORTED,
                "artifacts come into the workdir, which nothing sees with checkout: none");
        if (plan_expand(run->plan, &settings, &spec->name, &name, NULL, NULL, err) < 0 ||
            take_item(run, ctx, spec, node, name, err) < 0)
            return -1;
    }
    return 0;
}
