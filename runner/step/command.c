#include <string.h>

#include "step/lower.h"

/* The kernel refuses a single argument of 128 KiB (MAX_ARG_STRLEN); longer scripts go in a file. */
enum { SCRIPT_ARGUMENT_MAX = 120 * 1024 };

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

static bool claims(const struct spec_step *spec)
{
    return !spec->plugin && !spec->language;
}

static int lower(const struct step_context *context, struct step_lowered *lowered, struct err *err)
{
    const struct spec_step *spec = context->step->spec;
    const char *shell = context->settings->shell ? context->settings->shell : "sh";
    const char *script = spec->command.text ? spec->command.text : "";
    size_t size = strlen(script);

    (void)err;
    strvec_push(&lowered->argv, shell);
    if (spec->shell_options == SPEC_SHELL_OPTIONS_STRICT && knows_e(shell))
        strvec_push(&lowered->argv, "-e");
    if (size <= SCRIPT_ARGUMENT_MAX) {
        strvec_push(&lowered->argv, "-c");
        strvec_push(&lowered->argv, script);
    } else {
        strvec_push(&lowered->argv, RUNNABLE_FILES "script");
        lowered->file = (struct runnable_file){.name = "script", .data = script, .size = size};
    }
    lower_environment(context, &lowered->environment);
    return 0;
}

const struct step_kind step_kind_command = {"command", claims, lower};
