/* A scope's own strings are expanded once, for the diagnostics alone, and only if there is anything
 * to expand: most steps of a large file have nothing. */
#include "plan/check.h"

#include <stdlib.h>
#include <string.h>

#include "plan/settings.h"

bool plan_is_template(const struct spec_str *text)
{
    return text->text && strstr(text->text, "${");
}

static bool pairs_have_template(const struct spec_pairs *pairs)
{
    for (size_t i = 0; i < pairs->len; i++) {
        if (plan_is_template(&pairs->items[i].value))
            return true;
    }
    return false;
}

static bool common_has_template(const struct spec_common *c)
{
    return pairs_have_template(&c->environment) || plan_is_template(&c->workdir) ||
           plan_is_template(&c->image) || plan_is_template(&c->engine) ||
           plan_is_template(&c->shell) || plan_is_template(&c->user) ||
           plan_is_template(&c->image_registry) || plan_is_template(&c->image_registry_username) ||
           plan_is_template(&c->image_registry_password) || plan_is_template(&c->data_dir_outer) ||
           plan_is_template(&c->data_dir_inner);
}

void plan_check_scope(const struct plan *plan, const struct plan_scope *scope,
                      struct diag_list *diags)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};

    if (common_has_template(scope->common) &&
        plan_settings_resolve(plan, scope, &settings, diags, NULL) < 0)
        settings = (struct plan_settings){0};
}

struct check {
    const struct plan *plan;
    const struct plan_settings *settings;
    struct diag_list *diags;
};

static void check_string(const struct check *c, const struct spec_str *text)
{
    char *expanded = NULL;

    if (plan_is_template(text) &&
        plan_expand(c->plan, c->settings, text, &expanded, c->diags, NULL) == 0)
        free(expanded);
}

static void check_strings(const struct check *c, const struct spec_strs *strings)
{
    for (size_t i = 0; i < strings->len; i++)
        check_string(c, &strings->items[i]);
}

static void check_plugin(const struct check *c, const struct spec_plugin *plugin)
{
    check_string(c, &plugin->image);
    check_string(c, &plugin->entrypoint);
    check_string(c, &plugin->image_registry);
    check_string(c, &plugin->image_registry_username);
    check_string(c, &plugin->image_registry_password);
    for (size_t i = 0; i < plugin->settings.len; i++) {
        const struct spec_str *value = &plugin->settings.items[i].value;

        if (!plan_is_unset_name(c->plan, c->settings, value))
            check_string(c, value);
    }
}

static void check_security(const struct check *c, const struct spec_security *security)
{
    check_string(c, &security->userns);
    check_string(c, &security->seccomp);
    check_strings(c, &security->cap_add);
    check_strings(c, &security->cap_drop);
}

static void check_own_keys(const struct check *c, const struct spec_step *spec)
{
    if (spec->container) {
        check_string(c, &spec->container->platform);
        check_string(c, &spec->container->network);
        check_strings(c, &spec->container->volumes);
        check_strings(c, &spec->container->entrypoint);
        if (spec->container->security)
            check_security(c, spec->container->security);
    }
    if (spec->plugin)
        check_plugin(c, spec->plugin);
    if (spec->language) {
        check_string(c, &spec->language->name);
        check_string(c, &spec->language->version);
        check_string(c, &spec->language->image);
    }
}

void plan_check_step(const struct plan *plan, const struct plan_step *step, struct diag_list *diags)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    const struct check c = {plan, &settings, diags};

    plan_check_scope(plan, &step->scope, diags);
    if (!step->spec->container && !step->spec->plugin && !step->spec->language)
        return;
    if (plan_settings_resolve(plan, &step->scope, &settings, NULL, NULL) < 0)
        return; /* said where the string stands */
    /* Plugins and programs of a language run in containers, whatever the engine. */
    settings.local = settings.local && !step->spec->plugin && !step->spec->language;
    check_own_keys(&c, step->spec);
}
