#include "step/lower.h"

#include "base/alloc.h"

static bool claims(const struct spec_step *spec)
{
    return !spec->plugin && !spec->language && !spec->type;
}

void lower_command(const struct step_context *context, struct step_lowered *lowered)
{
    const struct spec_step *spec = context->step->spec;
    const char *shell = context->settings->shell ? context->settings->shell : "sh";

    lower_script(lowered, shell, spec->shell_options == SPEC_SHELL_OPTIONS_STRICT,
                 spec->command.text ? spec->command.text : "", NULL);
    lowered->runnable.not_found =
        lower_own(lowered, xasprintf("the image has no %s: name a shell that it has in `shell`, or "
                                     "a program of it in `entrypoint`",
                                     shell));
    lower_environment(context, &lowered->environment);
}

static int lower(const struct step_context *context, struct step_lowered *lowered, struct err *err)
{
    (void)err;
    lower_command(context, lowered);
    return 0;
}

const struct step_kind step_kind_command = {"command", claims, lower};
