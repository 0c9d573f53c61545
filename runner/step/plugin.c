/* A plugin is an image with a program at /pipeline/plugin/run that gets its settings as
 * environment variables. Source: pipeline file reference, section 6. */
#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "step/lower.h"

#define DEFAULT_ENTRYPOINT "/pipeline/plugin/run"

static bool claims(const struct spec_step *spec)
{
    return spec->plugin != NULL;
}

static char *setting_name(const char *key)
{
    char *name = xasprintf("PIPELINE_PLUGIN_SETTINGS_%s", key);

    for (char *c = name + strlen("PIPELINE_PLUGIN_SETTINGS_"); *c; c++)
        *c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
    return name;
}

static int add_settings(const struct step_context *context, struct step_lowered *lowered,
                        struct err *err)
{
    const struct spec_pairs *settings = &context->step->spec->plugin->settings;

    for (size_t i = 0; i < settings->len; i++) {
        CLEANUP_FREE char *name = setting_name(settings->items[i].key);
        const char *value;

        if (plan_is_unset_name(context->plan, context->settings, &settings->items[i].value))
            continue;
        if (lower_string(context, lowered, &settings->items[i].value, &value, err) < 0)
            return -1;
        strmap_set(&lowered->environment, name, value ? value : "");
    }
    return 0;
}

static int set_source(const struct step_context *context, struct step_lowered *lowered,
                      struct err *err)
{
    const struct spec_plugin *plugin = context->step->spec->plugin;
    struct image_source *source = &lowered->shape.source;

    if (lower_string(context, lowered, &plugin->image, &source->image, err) < 0)
        return -1;
    if (!plugin->image_registry.text && !plugin->image_registry_username.text &&
        !plugin->image_registry_password.text)
        return 0;
    if (lower_string(context, lowered, &plugin->image_registry, &source->registry, err) < 0 ||
        lower_string(context, lowered, &plugin->image_registry_username, &source->username, err) <
            0 ||
        lower_string(context, lowered, &plugin->image_registry_password, &source->password, err) <
            0)
        return -1;
    return 0;
}

static int lower(const struct step_context *context, struct step_lowered *lowered, struct err *err)
{
    static const char *const no_entrypoint[] = {NULL};
    const struct spec_step *spec = context->step->spec;
    const char *entrypoint;
    CLEANUP_BUF struct buf command = BUF_INIT;

    if (set_source(context, lowered, err) < 0 ||
        lower_string(context, lowered, &spec->plugin->entrypoint, &entrypoint, err) < 0)
        return -1;
    if (!entrypoint)
        entrypoint = DEFAULT_ENTRYPOINT;
    strvec_push(&lowered->argv, entrypoint);
    lowered->shape.entrypoint = no_entrypoint;
    lowered->runnable.not_found =
        lower_own(lowered, xasprintf("it is not a pipeline plugin (%s not found)", entrypoint));
    if (spec->plugin->inherit_environment == SPEC_TRUE)
        lower_environment(context, &lowered->environment);
    else
        lower_identity(context, &lowered->environment);
    if (spec->command.text)
        base64_encode(&command, spec->command.text, strlen(spec->command.text));
    strmap_set(&lowered->environment, "PIPELINE_PLUGIN_COMMAND", command.data);
    return add_settings(context, lowered, err);
}

const struct step_kind step_kind_plugin = {"plugin", claims, lower};
