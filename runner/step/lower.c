#include "step/lower.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"

/* The kernel refuses a single argument of 128 KiB (MAX_ARG_STRLEN); longer scripts go in a file. */
enum { SCRIPT_ARGUMENT_MAX = 120 * 1024 };

bool step_implies_container(const struct spec_step *spec)
{
    return spec->plugin || spec->language;
}

const char *lower_own(struct step_lowered *lowered, char *text)
{
    if (text)
        strvec_push_owned(&lowered->owned, text);
    return text;
}

int lower_string(const struct step_context *context, struct step_lowered *lowered,
                 const struct spec_str *text, const char **ret, struct err *err)
{
    char *value;

    if (plan_expand(context->plan, context->settings, text, &value, NULL, NULL, err) < 0)
        return -1;
    *ret = lower_own(lowered, value);
    return 0;
}

int lower_text(const struct step_context *context, struct step_lowered *lowered,
               const struct spec_str *text, const char **ret, struct err *err)
{
    if (!context->plan->inputs.ahead)
        return lower_string(context, lowered, text, ret, err);
    if (lower_string(context, lowered, text, ret, NULL) < 0)
        *ret = "";
    return 0;
}

void lower_identity(const struct step_context *context, struct strmap *environment)
{
    strmap_merge(environment, &context->plan->automatic);
    strmap_merge(environment, context->identity);
    if (!strmap_has(environment, "CI"))
        strmap_set(environment, "CI", "true");
}

void lower_environment(const struct step_context *context, struct strmap *environment)
{
    if (context->local && context->plan->inputs.passthrough)
        strmap_merge(environment, context->plan->inputs.passthrough);
    strmap_merge(environment, &context->settings->environment);
    lower_identity(context, environment);
}

static bool knows_e(const char *shell)
{
    static const char *const shells[] = {"sh", "bash", "ash", "dash", "zsh", "ksh", "mksh"};
    const char *slash = strrchr(shell, '/');
    const char *name = slash ? slash + 1 : shell;

    for (size_t i = 0; i < sizeof(shells) / sizeof(*shells); i++) {
        if (strcmp(shells[i], name) == 0)
            return true;
    }
    return false;
}

void lower_script(struct step_lowered *lowered, const char *shell, bool strict, const char *script,
                  const char *const *parameters)
{
    size_t size = strlen(script);

    strvec_push(&lowered->argv, shell);
    if (strict && knows_e(shell))
        strvec_push(&lowered->argv, "-e");
    if (size <= SCRIPT_ARGUMENT_MAX) {
        strvec_push(&lowered->argv, "-c");
        strvec_push(&lowered->argv, script);
    } else {
        strvec_push(&lowered->argv, RUNNABLE_FILES "script");
        lowered->file = (struct runnable_file){.name = "script", .data = script, .size = size};
    }
    for (; parameters && *parameters; parameters++)
        strvec_push(&lowered->argv, *parameters);
}

void lower_setting(struct strmap *environment, const char *prefix, const char *key,
                   const char *value)
{
    CLEANUP_FREE char *name = xasprintf("%s%s", prefix, key);

    for (char *c = name + strlen(prefix); *c; c++)
        *c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
    strmap_set(environment, name, value);
}

static void add_mount(struct step_lowered *lowered, const char *source, const char *target,
                      bool read_only)
{
    vec_push(&lowered->mounts, ((struct mount_spec){.source = xstrdup(source),
                                                    .target = xstrdup(target),
                                                    .read_only = read_only}));
}

/* SOURCE:TARGET[:ro|rw]; a relative source is meant from the pipeline's workdir. */
static int add_volume(const struct step_context *context, struct step_lowered *lowered,
                      const struct spec_str *volume, struct err *err)
{
    const char *text;
    const char *colon;
    const char *second;
    CLEANUP_FREE char *source = NULL;
    CLEANUP_FREE char *target = NULL;
    bool read_only = false;

    if (lower_string(context, lowered, volume, &text, err) < 0)
        return -1;
    colon = strchr(text, ':');
    if (!colon || colon == text || colon[1] != '/')
        return err_set(err, ERR_INVALID,
                       "volume \"%s\" must be SOURCE:TARGET[:ro] with an absolute TARGET", text);
    second = strchr(colon + 1, ':');
    if (second) {
        read_only = strcmp(second, ":ro") == 0;
        if (!read_only && strcmp(second, ":rw") != 0)
            return err_set(err, ERR_INVALID, "volume \"%s\": the mode must be ro or rw", text);
    }
    source = xstrndup(text, (size_t)(colon - text));
    target = second ? xstrndup(colon + 1, (size_t)(second - colon - 1)) : xstrdup(colon + 1);
    if (source[0] == '.') {
        CLEANUP_FREE char *joined = fs_join(context->plan->workdir, source);

        free(source);
        source = fs_absolute(joined);
    }
    add_mount(lowered, source, target, read_only);
    return 0;
}

/* What expands to nothing is left out. */
static int add_words(const struct step_context *context, struct step_lowered *lowered,
                     const struct spec_strs *words, struct strvec *list, struct err *err)
{
    for (size_t i = 0; i < words->len; i++) {
        const char *word;

        if (lower_string(context, lowered, &words->items[i], &word, err) < 0)
            return -1;
        if (*word)
            strvec_push(list, word);
    }
    return 0;
}

static int add_security(const struct step_context *context, struct step_lowered *lowered,
                        const struct spec_security *security, struct err *err)
{
    struct container_security *s = &lowered->shape.security;

    if (!security)
        return 0;
    if (lower_string(context, lowered, &security->userns, &s->userns, err) < 0 ||
        lower_string(context, lowered, &security->seccomp, &s->seccomp, err) < 0 ||
        add_words(context, lowered, &security->cap_add, &lowered->cap_add, err) < 0 ||
        add_words(context, lowered, &security->cap_drop, &lowered->cap_drop, err) < 0)
        return -1;
    s->read_only = security->read_only == SPEC_TRUE;
    s->no_new_privileges = security->no_new_privileges == SPEC_TRUE;
    s->userns = s->userns && *s->userns ? s->userns : NULL;
    s->seccomp = s->seccomp && *s->seccomp ? s->seccomp : NULL;
    s->cap_add = lowered->cap_add.len ? (const char *const *)lowered->cap_add.items : NULL;
    s->cap_drop = lowered->cap_drop.len ? (const char *const *)lowered->cap_drop.items : NULL;
    return 0;
}

static int add_container_keys(const struct step_context *context, struct step_lowered *lowered,
                              struct err *err)
{
    const struct spec_container *container = context->step->spec->container;
    struct container_shape *shape = &lowered->shape;

    if (!container)
        return 0;
    if (lower_string(context, lowered, &container->platform, &shape->platform, err) < 0 ||
        lower_string(context, lowered, &container->network, &shape->network, err) < 0)
        return -1;
    for (size_t i = 0; i < container->volumes.len; i++) {
        if (add_volume(context, lowered, &container->volumes.items[i], err) < 0)
            return -1;
    }
    for (size_t i = 0; i < container->entrypoint.len; i++) {
        const char *word;

        if (lower_string(context, lowered, &container->entrypoint.items[i], &word, err) < 0)
            return -1;
        strvec_push(&lowered->entrypoint, word);
    }
    if (container->has_entrypoint) {
        static const char *const none[] = {NULL};

        shape->entrypoint =
            lowered->entrypoint.len ? (const char *const *)lowered->entrypoint.items : none;
    }
    shape->privileged = container->privileged == SPEC_TRUE;
    shape->sandbox = container->sandbox == SPEC_TRUE;
    shape->source.pull_timeout_ms = container->pull_timeout_ms;
    if (plan_expand_json(context->plan, context->settings, container->kubernetes,
                         &lowered->kubernetes, NULL, NULL, err) < 0)
        return -1;
    shape->kubernetes = lowered->kubernetes;
    return add_security(context, lowered, container->security, err);
}

static int init_shape(const struct step_context *context, struct step_lowered *lowered,
                      struct err *err)
{
    const struct plan_settings *s = context->settings;
    struct container_shape *shape = &lowered->shape;

    shape->source = (struct image_source){.image = s->image,
                                          .registry = s->image_registry,
                                          .username = s->image_registry_username,
                                          .password = s->image_registry_password,
                                          .pull = s->pull,
                                          .pull_count = s->pull_count};
    shape->resources = s->resources;
    shape->shared = s->isolation == SPEC_ISOLATION_JOB;
    if (s->data_dir_outer && s->data_dir_inner)
        add_mount(lowered, s->data_dir_outer, s->data_dir_inner, false);
    return add_container_keys(context, lowered, err);
}

int step_lower(const struct step_kind *const *kinds, const struct step_context *context,
               struct step_lowered **ret, struct err *err)
{
    struct step_lowered *lowered = xcalloc(1, sizeof(*lowered));
    struct runnable *r = &lowered->runnable;

    while (*kinds && !(*kinds)->claims(context->step->spec))
        kinds++;
    *r = (struct runnable){.name = context->step->name,
                           .workdir = context->settings->workdir,
                           .user = context->settings->user,
                           .grace_ms = context->settings->grace_ms};
    r->id = lower_own(lowered, xstrdup(context->id));
    if (!*kinds) {
        err_set(err, ERR_UNSUPPORTED, "no step kind can run step \"%s\"", context->step->name);
        goto failed;
    }
    if (init_shape(context, lowered, err) < 0 || (*kinds)->lower(context, lowered, err) < 0)
        goto failed;
    if (context->step->spec->ready && !context->plan->inputs.ahead &&
        readiness_lower(context->plan, context->settings, context->settings->shell,
                        context->step->spec->ready, &lowered->ready, err) < 0)
        goto failed;
    r->tty = context->step->spec->tty == SPEC_TRUE;
    if (r->tty && !strmap_has(&lowered->environment, "TERM"))
        strmap_set(&lowered->environment, "TERM", "xterm");
    r->argv = (const char *const *)lowered->argv.items;
    r->environment = &lowered->environment;
    if (lowered->file.name) {
        r->files = &lowered->file;
        r->file_count = 1;
    }
    if (lowered->context.path) {
        r->placed = &lowered->context;
        r->placed_count = 1;
    }
    lowered->shape.mounts = lowered->mounts.items;
    lowered->shape.mount_count = lowered->mounts.len;
    r->container = &lowered->shape;
    *ret = lowered;
    return 0;
failed:
    step_lowered_free(lowered);
    return -1;
}

void step_lowered_free(struct step_lowered *lowered)
{
    if (!lowered)
        return;
    vec_foreach (struct mount_spec *, mount, &lowered->mounts) {
        free(mount->source);
        free(mount->target);
    }
    vec_release(&lowered->mounts);
    strmap_release(&lowered->environment);
    strmap_release(&lowered->plugin_settings);
    strvec_release(&lowered->argv);
    strvec_release(&lowered->entrypoint);
    strvec_release(&lowered->cap_add);
    strvec_release(&lowered->cap_drop);
    json_decref(lowered->kubernetes);
    strvec_release(&lowered->owned);
    strvec_release(&lowered->passwords);
    readiness_free(lowered->ready);
    free(lowered);
}
