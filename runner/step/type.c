/* The source of what types do: pipeline file reference, and docs/types.md. */
#include "step/type.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"

static int lower_command_of_type(const struct step_context *context, struct step_lowered *lowered,
                                 struct err *err)
{
    (void)err;
    lower_command(context, lowered);
    return 0;
}

static int lower_custom(const struct step_context *context, struct step_lowered *lowered,
                        struct err *err)
{
    const struct spec_config *config = context->step->spec->config;

    lower_command(context, lowered);
    for (size_t i = 0; config && i < config->settings.len; i++) {
        const struct spec_pair *pair = &config->settings.items[i];
        const char *value;

        if (plan_is_unset_name(context->plan, context->settings, &pair->value))
            continue;
        if (lower_text(context, lowered, &pair->value, &value, err) < 0)
            return -1;
        lower_setting(&lowered->environment, "PIPELINE_CONFIG_", pair->key, value ? value : "");
    }
    return 0;
}

/* What a step becomes if it has no command, and if it has one. */
static const struct {
    int (*alone)(const struct step_context *context, struct step_lowered *lowered, struct err *err);
    int (*with_command)(const struct step_context *context, struct step_lowered *lowered,
                        struct err *err);
} types[SPEC_TYPE_COUNT] = {
    [SPEC_TYPE_FETCH_CODE] = {type_lower_fetch_code, NULL},
    [SPEC_TYPE_BUILD] = {type_lower_tool, lower_command_of_type},
    [SPEC_TYPE_TEST] = {type_lower_tool, lower_command_of_type},
    [SPEC_TYPE_SECURITY_SCAN] = {type_lower_tool, NULL},
    [SPEC_TYPE_DEPLOY] = {type_lower_tool, lower_command_of_type},
    [SPEC_TYPE_NOTIFY] = {type_lower_notify, NULL},
    [SPEC_TYPE_CUSTOM] = {lower_custom, lower_custom},
};

void type_add_word(struct buf *script, const char *text)
{
    buf_addch(script, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            buf_addstr(script, "'\\''");
        else
            buf_addch(script, *text);
    }
    buf_addch(script, '\'');
}

void type_add_need(const struct step_context *context, const struct step_lowered *lowered,
                   const char *program, const char *name, const char *image, struct buf *script)
{
    const char *used = lowered->shape.source.image;
    bool container = strcmp(context->settings->engine, "host") != 0 && used;
    CLEANUP_BUF struct buf message = BUF_INIT;

    if (container)
        buf_addf(&message, "%s is not in the image %s; take an image that has it", name, used);
    else
        buf_addf(&message,
                 "%s is not installed where the step runs; install it, or give the step an "
                 "\"image\" that has it",
                 name);
    if (image && (!container || strcmp(image, used) != 0))
        buf_addf(&message, ", such as %s", image);
    buf_addf(script, "command -v \"%s\" >/dev/null 2>&1 || { printf '%%s\\n' ", program);
    type_add_word(script, message.data);
    buf_addstr(script, " >&2; exit 127; }\n");
}

void type_set_image(struct step_lowered *lowered, const char *image)
{
    if (!lowered->shape.source.image)
        lowered->shape.source.image = image;
}

static bool claims(const struct spec_step *spec)
{
    return spec->type != SPEC_TYPE_UNSET;
}

/* In the directory that the step is to work in. */
static int set_directory(const struct step_context *context, struct step_lowered *lowered,
                         struct err *err)
{
    const struct spec_config *config = context->step->spec->config;
    const char *directory;

    if (!config || lower_text(context, lowered, &config->path, &directory, err) < 0)
        return config ? -1 : 0;
    if (!directory || !*directory)
        return 0;
    /* Where steps run on such a machine is only known there. */
    if (plan_engine_is_remote(context->settings->engine) && !context->settings->workdir_given)
        lowered->runnable.workdir = directory;
    else
        lowered->runnable.workdir =
            lower_own(lowered, fs_join(context->settings->workdir, directory));
    return 0;
}

static int lower(const struct step_context *context, struct step_lowered *lowered, struct err *err)
{
    static const char *const no_entrypoint[] = {NULL};
    const struct spec_step *spec = context->step->spec;
    bool has_directory = types[spec->type].with_command == lower_command_of_type;

    if (has_directory && set_directory(context, lowered, err) < 0)
        return -1;
    if (spec->command.text || !types[spec->type].alone)
        return types[spec->type].with_command(context, lowered, err);
    /* Images of tools often have the tool as entrypoint. */
    if (!spec->container || !spec->container->has_entrypoint)
        lowered->shape.entrypoint = no_entrypoint;
    return types[spec->type].alone(context, lowered, err);
}

const struct step_kind step_kind_type = {"type", claims, lower};
