/* Each level's strings are expanded in that level's own environment, so an inherited
 * `image: app:${TAG}` means the TAG of the level that wrote it. The environment of a level is
 * therefore built from the top down, and each string resolved on the way.
 *
 * A level on a local engine also sees the runner's own environment. What chooses the engine is
 * looked at beforehand for that, and expanded without that environment: else a name in it could
 * make the level one that does not see it. */
#include "plan/settings.h"

#include <fnmatch.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/interpolate.h"
#include "base/vec.h"
#include "plan/expand.h"
#include "plan/kubernetes.h"
#include "spec/engine_names.h"

/* `how` says in which way values are expanded. */
static int add_environment(const struct expansion *how, const struct plan_scope *scope,
                           struct strmap *environment, struct err *err)
{
    const struct plan *plan = how->plan;
    const struct spec_pairs *pairs = &scope->common->environment;
    CLEANUP_STRMAP struct strmap own = {0};
    CLEANUP_STRVEC struct strvec unknown = {0};
    struct expansion x = *how;

    x.first = environment;
    x.second = &own;
    for (size_t i = 0; i < pairs->len; i++) {
        const struct spec_pair *pair = &pairs->items[i];
        CLEANUP_FREE char *value = NULL;

        if (plan->inputs.overrides && strmap_has(plan->inputs.overrides, pair->key))
            continue;
        x.pos = pair->value.pos;
        if (expand(&x, pair->value.text ? pair->value.text : "", &value, err) == 0)
            strmap_set(&own, pair->key, value);
        else if (plan->inputs.ahead)
            strvec_push(&unknown, pair->key);
        else if (!how->ahead)
            return -1;
    }
    strmap_merge(environment, &own);
    for (size_t i = 0; i < unknown.len; i++)
        strmap_remove(environment, unknown.items[i]);
    return 0;
}

/* What a string of the level will be; NULL: nothing. The caller frees. */
static char *look_ahead(const struct plan *plan, const struct plan_scope *scope,
                        const struct plan_runtime *runtime, const struct strmap *above,
                        const struct spec_str *text)
{
    CLEANUP_STRMAP struct strmap environment = {0};
    bool late = false;
    struct expansion x = {.plan = plan,
                          .scope = scope,
                          .runtime = runtime,
                          .first = &environment,
                          .ahead = true,
                          .late = &late};
    char *value;

    if (!text->text)
        return NULL;
    if (has_template(text->text)) {
        strmap_merge(&environment, above);
        if (add_environment(&x, scope, &environment, NULL) < 0)
            return NULL;
    }
    if (expand(&x, text->text, &value, NULL) < 0)
        return NULL;
    if (!*value) {
        free(value);
        return NULL;
    }
    return value;
}

/* Whether the level runs on a local engine; `s` is what the level above has. */
static bool is_local(const struct plan *plan, const struct plan_scope *scope,
                     const struct plan_settings *s)
{
    CLEANUP_FREE char *engine =
        look_ahead(plan, scope, s->runtime, &s->environment, &scope->common->engine);
    CLEANUP_FREE char *image = NULL;

    if (engine)
        return strcmp(engine, "host") == 0;
    image = look_ahead(plan, scope, s->runtime, &s->environment, &scope->common->image);
    return !image && strcmp(s->engine, "host") == 0;
}

/* The strings that pass from level to level: where in the specification, where in the result. */
static const struct {
    size_t from;
    size_t to;
} inherited[] = {
#define ROW(name)                                                                                  \
    {                                                                                              \
        offsetof(struct spec_common, name), offsetof(struct plan_settings, name)                   \
    }
    ROW(workdir),
    ROW(image),
    ROW(engine),
    ROW(shell),
    ROW(user),
    ROW(image_registry),
    ROW(image_registry_username),
    ROW(image_registry_password),
    ROW(data_dir_outer),
    ROW(data_dir_inner),
#undef ROW
};

/* Which of the two that choose the engine a level has. */
struct given {
    bool image;
    bool engine;
};

/* A string that expands to nothing counts as not set, like one that is empty in the file. */
static int add_strings(const struct expansion *how, const struct plan_scope *scope,
                       struct plan_settings *s, struct given *given, struct err *err)
{
    struct expansion x = *how;

    x.first = &s->environment;
    for (size_t i = 0; i < sizeof(inherited) / sizeof(*inherited); i++) {
        const struct spec_str *from =
            (const struct spec_str *)((const char *)scope->common + inherited[i].from);
        char **to = (char **)((char *)s + inherited[i].to);
        char *value;

        if (!from->text || (!scope->parent && from == &scope->common->workdir))
            continue; /* the pipeline's own workdir is plan->workdir */
        x.pos = from->pos;
        x.local = how->local && from != &scope->common->engine && from != &scope->common->image;
        if (expand(&x, from->text, &value, err) < 0)
            return -1;
        if (!*value) {
            free(value);
            continue;
        }
        free(*to);
        *to = value;
        given->image = given->image || from == &scope->common->image;
        given->engine = given->engine || from == &scope->common->engine;
    }
    return 0;
}

static void set_string(char **to, const char *value)
{
    free(*to);
    *to = xstrdup(value);
}

/* Of what is not on this machine; so the runner's own environment is none of its business. */
static int add_kubernetes(const struct expansion *how, const struct plan_scope *scope,
                          struct plan_settings *s, struct err *err)
{
    const struct spec_json *kubernetes = scope->common->kubernetes;
    struct expansion x = *how;
    json_t *own;

    if (!kubernetes)
        return 0;
    x.first = &s->environment;
    x.local = false;
    if (expand_json(&x, kubernetes, &own, err) < 0)
        return -1;
    kubernetes_merge(&s->kubernetes, own);
    return 0;
}

/* What the steps of a job have set for those behind them; -e wins over it, too. */
static void add_exported(const struct plan *plan, const struct plan_scope *scope,
                         struct plan_settings *s)
{
    const struct strmap *exported = s->runtime ? s->runtime->environment : NULL;

    if (!exported || !scope->job || scope != &scope->job->scope)
        return;
    strmap_foreach (entry, exported) {
        if (!plan->inputs.overrides || !strmap_has(plan->inputs.overrides, entry->key))
            strmap_set(&s->environment, entry->key, entry->value);
    }
}

static int add_level(const struct plan *plan, const struct plan_scope *scope,
                     struct plan_settings *s, bool *late, struct diag_list *diags, struct err *err)
{
    const struct spec_common *common = scope->common;
    struct expansion how = {
        .plan = plan, .scope = scope, .runtime = s->runtime, .late = late, .diags = diags};
    struct given given = {0};

    if (scope->parent && add_level(plan, scope->parent, s, late, NULL, err) < 0)
        return -1;
    how.local = is_local(plan, scope, s);
    if (add_environment(&how, scope, &s->environment, err) < 0)
        return -1;
    add_exported(plan, scope, s);
    if (add_strings(&how, scope, s, &given, err) < 0 || add_kubernetes(&how, scope, s, err) < 0)
        return -1;
    if (given.image && !given.engine && !spec_engine_is(s->engine, "kubernetes") &&
        !spec_engine_is(s->engine, "docker"))
        set_string(&s->engine, "docker");
    if (common->resources)
        s->resources = common->resources;
    if (common->pull_count) {
        s->pull = common->pull;
        s->pull_count = common->pull_count;
    }
    if (common->isolation)
        s->isolation = (enum spec_isolation)common->isolation;
    if (common->checkout)
        s->checkout = (enum spec_checkout)common->checkout;
    if (common->grace_ms != SPEC_UNSET)
        s->grace_ms = common->grace_ms;
    if (common->schedule_timeout_ms != SPEC_UNSET)
        s->schedule_timeout_ms = common->schedule_timeout_ms;
    return 0;
}

bool plan_engine_is_remote(const char *engine)
{
    const struct spec_engine_name *row = spec_engine_name_find(engine);

    return row && row->remote;
}

/* A relative workdir is meant from the pipeline's, if that is on the same machine. */
static void anchor_workdir(const struct plan *plan, struct plan_settings *s)
{
    bool of_pipeline = plan->spec->common.workdir.text != NULL;
    CLEANUP_FREE char *joined = NULL;

    s->workdir_given = s->workdir || of_pipeline;
    if (s->workdir && !of_pipeline && plan_engine_is_remote(s->engine))
        return;
    if (!s->workdir) {
        s->workdir = xstrdup(plan->workdir);
        return;
    }
    joined = fs_join(plan->workdir, s->workdir);
    free(s->workdir);
    s->workdir = fs_absolute(joined);
}

int plan_settings_resolve(const struct plan *plan, const struct plan_scope *scope,
                          const struct plan_runtime *runtime, struct plan_settings *ret,
                          bool *ret_late, struct diag_list *diags, struct err *err)
{
    struct plan_settings s = {.scope = scope,
                              .runtime = runtime,
                              .grace_ms = PLAN_GRACE_DEFAULT_MS,
                              .isolation = SPEC_ISOLATION_STEP};

    if (plan->inputs.variables)
        strmap_merge(&s.environment, plan->inputs.variables);
    if (plan->inputs.overrides)
        strmap_merge(&s.environment, plan->inputs.overrides);
    s.engine = xstrdup_null(plan->inputs.engine);
    s.image = xstrdup_null(plan->inputs.image);
    if (!s.engine)
        s.engine = xstrdup(plan->inputs.image ? "docker" : "host");
    if (add_level(plan, scope, &s, ret_late, diags, err) < 0) {
        plan_settings_release(&s);
        return -1;
    }
    s.local = strcmp(s.engine, "host") == 0;
    if (!s.checkout)
        s.checkout = plan_engine_is_remote(s.engine) ? SPEC_CHECKOUT_NONE : SPEC_CHECKOUT_WORKDIR;
    if (!json_object_size(s.kubernetes))
        json_decref(steal_ptr(&s.kubernetes));
    anchor_workdir(plan, &s);
    *ret = s;
    return 0;
}

void plan_settings_release(struct plan_settings *s)
{
    strmap_release(&s->environment);
    for (size_t i = 0; i < sizeof(inherited) / sizeof(*inherited); i++)
        free(*(char **)((char *)s + inherited[i].to));
    json_decref(s->kubernetes);
    *s = (struct plan_settings){0};
}

bool plan_scope_is_local(const struct plan *plan, const struct plan_scope *scope)
{
    for (; scope; scope = scope->parent) {
        if (scope->common->engine.text)
            return strcmp(scope->common->engine.text, "host") == 0;
        if (scope->common->image.text)
            return false;
    }
    if (plan->inputs.engine)
        return strcmp(plan->inputs.engine, "host") == 0;
    return !plan->inputs.image;
}

static struct expansion expansion_of(const struct plan *plan, const struct plan_settings *settings)
{
    return (struct expansion){.plan = plan,
                              .scope = settings->scope,
                              .runtime = settings->runtime,
                              .first = &settings->environment,
                              .local = settings->local};
}

int plan_expand(const struct plan *plan, const struct plan_settings *settings,
                const struct spec_str *text, char **ret, bool *ret_late, struct diag_list *diags,
                struct err *err)
{
    struct expansion x = expansion_of(plan, settings);

    x.late = ret_late;
    x.pos = text->pos;
    x.diags = diags;
    if (!text->text) {
        *ret = NULL;
        return 0;
    }
    return expand(&x, text->text, ret, err);
}

char *plan_expand_at(const struct plan *plan, const struct plan_scope *scope,
                     const struct spec_str *text, struct diag_list *diags)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    char *expanded = NULL;

    if (!has_template(text->text))
        return xstrdup(text->text);
    if (plan_settings_resolve(plan, scope, NULL, &settings, NULL, NULL, NULL) < 0 ||
        plan_expand(plan, &settings, text, &expanded, NULL, diags, NULL) < 0)
        return NULL;
    return expanded;
}

int plan_expand_json(const struct plan *plan, const struct plan_settings *settings,
                     const struct spec_json *json, json_t **ret, bool *ret_late,
                     struct diag_list *diags, struct err *err)
{
    struct expansion x = expansion_of(plan, settings);
    json_t *expanded = NULL;

    x.late = ret_late;
    x.diags = diags;
    x.local = false;
    if (json && expand_json(&x, json, &expanded, err) < 0)
        return -1;
    if (json_is_object(expanded) && !json_object_size(expanded))
        json_decref(steal_ptr(&expanded));
    *ret = expanded;
    return 0;
}

int plan_condition(const struct plan *plan, const struct plan_settings *settings,
                   const struct expr *condition, const struct spec_str *text, bool *ret,
                   struct err *err)
{
    const struct expansion x = expansion_of(plan, settings);
    CLEANUP_EXPR_VALUE struct expr_value value = EXPR_VALUE_NULL;
    struct err local = ERR_INIT;
    size_t offset = 0;

    if (expand_evaluate(&x, condition, &value, &offset, &local) < 0)
        return err_set(err, local.code, "the condition \"%s\" fails at column %zu: %s", text->text,
                       offset + 1, local.message);
    *ret = expr_value_truth(&value);
    return 0;
}

const char *plan_variable(const struct plan *plan, const struct plan_settings *settings,
                          const char *name)
{
    const struct expansion x = expansion_of(plan, settings);

    return expand_lookup(&x, name);
}

static bool matches_one(const struct spec_strs *globs, const char *value)
{
    for (size_t i = 0; i < globs->len; i++) {
        if (fnmatch(globs->items[i].text, value, 0) == 0)
            return true;
    }
    return false;
}

bool plan_env_matches(const struct plan *plan, const struct plan_settings *settings,
                      const struct spec_matches *env, struct buf *why)
{
    for (size_t i = 0; i < env->len; i++) {
        const char *value = plan_variable(plan, settings, env->items[i].key);

        if (value && matches_one(&env->items[i].values, value))
            continue;
        buf_addf(why, "\"when.env\" does not hold: %s is %s%s%s", env->items[i].key,
                 value ? "\"" : "not set", value ? value : "", value ? "\"" : "");
        return false;
    }
    return true;
}

bool plan_is_unset_name(const struct plan *plan, const struct plan_settings *settings,
                        const struct spec_str *text)
{
    const struct expansion x = expansion_of(plan, settings);
    CLEANUP_FREE char *name = NULL;
    const char *start;
    size_t len;

    if (!text->text || !interpolate_is_name(text->text, &start, &len))
        return false;
    name = xstrndup(start, len);
    return !expand_lookup(&x, name);
}
