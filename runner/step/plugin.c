/* A plugin is an image with a program at /pipeline/plugin/run that gets its settings as
 * environment variables and what is known about the run as a file. Labels of the image can say
 * which settings there are, and for which version of this interface it was made: that is checked
 * as soon as the image is there. Source: pipeline file reference, section 6; docs/plugins.md. */
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "step/lower.h"
#include "step/plugin_schema.h"

#define DIRECTORY          "/pipeline"
#define DEFAULT_ENTRYPOINT DIRECTORY "/plugin/run"
#define CONTEXT_PATH       DIRECTORY "/context.json"
#define API                "1"
#define LABEL_API          "pipeline.plugin.api"
#define LABEL_SCHEMA       "pipeline.plugin.schema"

static bool claims(const struct spec_step *spec)
{
    return spec->plugin != NULL;
}

#define SETTING_PREFIX "PIPELINE_PLUGIN_SETTINGS_"

static int add_settings(const struct step_context *context, struct step_lowered *lowered,
                        struct err *err)
{
    const struct spec_pairs *settings = &context->step->spec->plugin->settings;

    for (size_t i = 0; i < settings->len; i++) {
        const char *key = settings->items[i].key;
        const char *value;

        if (plan_is_unset_name(context->plan, context->settings, &settings->items[i].value))
            continue;
        if (lower_text(context, lowered, &settings->items[i].value, &value, err) < 0)
            return -1;
        strmap_set(&lowered->plugin_settings, key, value ? value : "");
        lower_setting(&lowered->environment, SETTING_PREFIX, key, value ? value : "");
    }
    return 0;
}

/* --- the labels of the image --- */

static int check_api(const struct step_lowered *lowered, const struct strmap *labels,
                     struct err *err)
{
    const char *api = strmap_get(labels, LABEL_API);

    if (!api || strcmp(api, API) == 0)
        return 0;
    return err_set(
        err, ERR_UNSUPPORTED,
        "the plugin %s was made for version \"%.20s\" of the plugin interface (its label " LABEL_API
        "), this runner has version " API "; take another version of the plugin, or of the runner",
        lowered->shape.source.image, api);
}

static void add_problem(void *arg, const char *text)
{
    strvec_push(arg, text);
}

/* One problem is the error; of several each is told by itself. */
static int report_problems(const struct strvec *problems, struct output *output, struct err *err)
{
    if (problems->len == 0)
        return 0;
    if (problems->len == 1)
        return err_set(err, ERR_INVALID, "%s", problems->items[0]);
    for (size_t i = 0; i < problems->len; i++)
        output->note(output, problems->items[i]);
    return err_set(err, ERR_INVALID, "the settings of the plugin have %zu errors, the first: %s",
                   problems->len, problems->items[0]);
}

static int check_settings(const struct step_lowered *lowered, const char *label,
                          struct strmap *environment, struct output *output, struct err *err)
{
    CLEANUP_STRVEC struct strvec problems = {0};
    CLEANUP_PLUGIN_SCHEMA struct plugin_schema *schema = NULL;
    CLEANUP_STRMAP struct strmap defaults = {0};

    if (plugin_schema_parse(label, &schema, err) < 0)
        return err_wrap(err, "the label " LABEL_SCHEMA " of the plugin %s is wrong",
                        lowered->shape.source.image);
    plugin_schema_check(schema, &lowered->plugin_settings, &defaults, add_problem, &problems);
    strmap_foreach (entry, &defaults)
        lower_setting(environment, SETTING_PREFIX, entry->key, entry->value);
    return report_problems(&problems, output, err);
}

static int check_image(const void *arg, const struct strmap *labels, struct strmap *environment,
                       struct output *output, struct err *err)
{
    const struct step_lowered *lowered = arg;
    const char *schema = labels ? strmap_get(labels, LABEL_SCHEMA) : NULL;

    if (labels && check_api(lowered, labels, err) < 0)
        return -1;
    return schema ? check_settings(lowered, schema, environment, output, err) : 0;
}

/* --- lowering --- */

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

/* A mount there would take the place of the plugin itself, and of its context. */
static int check_mounts(const struct step_lowered *lowered, struct err *err)
{
    vec_foreach (const struct mount_spec *, mount, &lowered->mounts) {
        if (strcmp(mount->target, DIRECTORY) == 0)
            return err_set(err, ERR_INVALID,
                           "a plugin's step cannot mount %s at " DIRECTORY
                           ", where the plugin is; mount it below or elsewhere",
                           mount->source);
    }
    return 0;
}

static void add_context(struct step_lowered *lowered)
{
    lowered->context = (struct placed_file){.path = CONTEXT_PATH, .data = ""};
    strmap_set(&lowered->environment, "PIPELINE_CONTEXT", CONTEXT_PATH);
}

static int lower(const struct step_context *context, struct step_lowered *lowered, struct err *err)
{
    static const char *const no_entrypoint[] = {NULL};
    const struct spec_step *spec = context->step->spec;
    const char *entrypoint;
    CLEANUP_BUF struct buf command = BUF_INIT;

    if (set_source(context, lowered, err) < 0 ||
        lower_string(context, lowered, &spec->plugin->entrypoint, &entrypoint, err) < 0 ||
        check_mounts(lowered, err) < 0)
        return -1;
    if (!entrypoint || !*entrypoint)
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
    add_context(lowered);
    lowered->image_check = (struct image_check){.run = check_image, .arg = lowered};
    lowered->shape.check = &lowered->image_check;
    return add_settings(context, lowered, err);
}

const struct step_kind step_kind_plugin = {"plugin", claims, lower};
