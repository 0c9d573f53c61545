/* Each level's strings are expanded in that level's own environment, so an inherited
 * `image: app:${TAG}` means the TAG of the level that wrote it. The environment of a level is
 * therefore built from the top down, and each string resolved on the way. */
#include "plan/settings.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/interpolate.h"

struct expansion {
    const struct plan *plan;
    const struct strmap *first;  /* looked at first */
    const struct strmap *second; /* then; may be NULL */
    bool local;                  /* the runner's own environment counts too */
    struct src_pos pos;
    struct diag_list *diags;
};

static const char *get(const struct strmap *map, const char *name)
{
    return map ? strmap_get(map, name) : NULL;
}

static const char *lookup(void *arg, const char *name)
{
    const struct expansion *x = arg;
    const struct plan_inputs *inputs = &x->plan->inputs;
    const char *value = get(x->first, name);

    if (!value)
        value = get(x->second, name);
    if (!value)
        value = get(&x->plan->automatic, name);
    if (!value && x->local)
        value = get(inputs->passthrough, name);
    return value;
}

static int unset(void *arg, const char *name, size_t offset, struct err *err)
{
    const struct expansion *x = arg;
    bool strict = x->plan->inputs.strict;

    (void)offset;
    if (x->diags && !strict)
        diag_add(x->diags, DIAG_WARNING, x->pos, "",
                 "${%s} is not set and becomes empty; write ${%s:-} if that is meant", name, name);
    if (strict)
        return err_set(err, ERR_INVALID, "${%s} is not set", name);
    return 0;
}

static int expand(const struct expansion *x, const char *text, char **ret, struct err *err)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct interpolate_scope scope = {.lookup = lookup, .unset = unset, .arg = (void *)x};
    struct err local = ERR_INIT;

    if (!strstr(text, "${")) {
        *ret = xstrdup(text);
        return 0;
    }
    if (interpolate(text, &scope, &out, NULL, &local) < 0) {
        if (x->diags)
            diag_add(x->diags, DIAG_ERROR, x->pos, "", "%s", local.message);
        if (err)
            *err = local;
        return -1;
    }
    *ret = buf_steal(&out);
    return 0;
}

/* The engine that the scope's nearest word on it means; a URL may still hold ${…}. */
static const char *engine_text(const struct plan *plan, const struct plan_scope *scope)
{
    for (; scope; scope = scope->parent) {
        if (scope->common->engine.text)
            return scope->common->engine.text;
        if (scope->common->image.text)
            return "docker";
    }
    if (plan->inputs.engine)
        return plan->inputs.engine;
    return plan->inputs.image ? "docker" : "host";
}

static bool is_local(const struct plan *plan, const struct plan_scope *scope)
{
    return strcmp(engine_text(plan, scope), "host") == 0;
}

static int add_environment(const struct plan *plan, const struct plan_scope *scope,
                           struct strmap *environment, struct diag_list *diags, struct err *err)
{
    const struct spec_pairs *pairs = &scope->common->environment;
    CLEANUP_STRMAP struct strmap own = {0};
    struct expansion x = {.plan = plan,
                          .first = environment,
                          .second = &own,
                          .local = is_local(plan, scope),
                          .diags = diags};

    for (size_t i = 0; i < pairs->len; i++) {
        const struct spec_pair *pair = &pairs->items[i];
        CLEANUP_FREE char *value = NULL;

        if (plan->inputs.overrides && strmap_has(plan->inputs.overrides, pair->key))
            continue;
        x.pos = pair->value.pos;
        if (expand(&x, pair->value.text ? pair->value.text : "", &value, err) < 0)
            return -1;
        strmap_set(&own, pair->key, value);
    }
    strmap_merge(environment, &own);
    return 0;
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
static int add_strings(const struct plan *plan, const struct plan_scope *scope,
                       struct plan_settings *s, struct given *given, struct diag_list *diags,
                       struct err *err)
{
    struct expansion x = {.plan = plan,
                          .first = &s->environment,
                          .local = is_local(plan, scope),
                          .diags = diags};

    for (size_t i = 0; i < sizeof(inherited) / sizeof(*inherited); i++) {
        const struct spec_str *from =
            (const struct spec_str *)((const char *)scope->common + inherited[i].from);
        char **to = (char **)((char *)s + inherited[i].to);
        char *value;

        if (!from->text || (!scope->parent && from == &scope->common->workdir))
            continue; /* the pipeline's own workdir is plan->workdir */
        x.pos = from->pos;
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

static int add_level(const struct plan *plan, const struct plan_scope *scope,
                     struct plan_settings *s, struct diag_list *diags, struct err *err)
{
    const struct spec_common *common = scope->common;
    struct given given = {0};

    if (scope->parent && add_level(plan, scope->parent, s, NULL, err) < 0)
        return -1;
    if (add_environment(plan, scope, &s->environment, diags, err) < 0 ||
        add_strings(plan, scope, s, &given, diags, err) < 0)
        return -1;
    if (given.image && !given.engine && strncmp(s->engine, "k", 1) != 0)
        set_string(&s->engine, "docker");
    if (common->resources)
        s->resources = common->resources;
    if (common->pull_count) {
        s->pull = common->pull;
        s->pull_count = common->pull_count;
    }
    if (common->isolation)
        s->isolation = (enum spec_isolation)common->isolation;
    if (common->grace_ms != SPEC_UNSET)
        s->grace_ms = common->grace_ms;
    return 0;
}

/* A relative workdir is meant from the pipeline's. */
static void anchor_workdir(const struct plan *plan, struct plan_settings *s)
{
    CLEANUP_FREE char *joined = NULL;

    if (!s->workdir) {
        s->workdir = xstrdup(plan->workdir);
        return;
    }
    joined = fs_join(plan->workdir, s->workdir);
    free(s->workdir);
    s->workdir = fs_absolute(joined);
}

int plan_settings_resolve(const struct plan *plan, const struct plan_scope *scope,
                          struct plan_settings *ret, struct diag_list *diags, struct err *err)
{
    struct plan_settings s = {.grace_ms = PLAN_GRACE_DEFAULT_MS, .isolation = SPEC_ISOLATION_STEP};

    if (plan->inputs.overrides)
        strmap_merge(&s.environment, plan->inputs.overrides);
    s.engine = xstrdup_null(plan->inputs.engine);
    s.image = xstrdup_null(plan->inputs.image);
    if (!s.engine)
        s.engine = xstrdup(plan->inputs.image ? "docker" : "host");
    if (add_level(plan, scope, &s, diags, err) < 0) {
        plan_settings_release(&s);
        return -1;
    }
    s.local = strcmp(s.engine, "host") == 0;
    anchor_workdir(plan, &s);
    *ret = s;
    return 0;
}

void plan_settings_release(struct plan_settings *s)
{
    strmap_release(&s->environment);
    for (size_t i = 0; i < sizeof(inherited) / sizeof(*inherited); i++)
        free(*(char **)((char *)s + inherited[i].to));
    *s = (struct plan_settings){0};
}

int plan_expand(const struct plan *plan, const struct plan_settings *settings,
                const struct spec_str *text, char **ret, struct diag_list *diags, struct err *err)
{
    struct expansion x = {.plan = plan,
                          .first = &settings->environment,
                          .local = settings->local,
                          .pos = text->pos,
                          .diags = diags};

    if (!text->text) {
        *ret = NULL;
        return 0;
    }
    return expand(&x, text->text, ret, err);
}

bool plan_is_unset_name(const struct plan *plan, const struct plan_settings *settings,
                        const struct spec_str *text)
{
    const struct expansion x = {.plan = plan,
                                .first = &settings->environment,
                                .local = settings->local};
    CLEANUP_FREE char *name = NULL;
    const char *start;
    size_t len;

    if (!text->text || !interpolate_is_name(text->text, &start, &len))
        return false;
    name = xstrndup(start, len);
    return !lookup((void *)&x, name);
}
