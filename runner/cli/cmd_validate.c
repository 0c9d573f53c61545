/* `runner validate`: checks pipeline files and reports everything that is wrong with them. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/inputs.h"
#include "cli/source.h"
#include "load/diag_print.h"
#include "plan/plan.h"

enum format { FORMAT_TEXT, FORMAT_JSON };

struct validate_args {
    int format;
    struct strmap env;
    bool strict;
};

static const char *const formats[] = {"text", "json", NULL};

#define AT(field) offsetof(struct validate_args, field)

static const struct cli_option options[] = {
    {"format", 0, CLI_CHOICE, AT(format), NULL, "form of the report", formats, NULL},
    {"env", 'e', CLI_PAIRS, AT(env), "KEY=VALUE", "set a variable, as for exec (repeatable)", NULL,
     NULL},
    {"strict", 0, CLI_FLAG, AT(strict), NULL, "unset names in ${NAME} are errors", NULL, NULL},
    {0},
};

/* A plan is built as well, because it finds what only shows when names are expanded. */
static void check_plan(const struct validate_args *args, const struct spec_pipeline *spec,
                       struct diag_list *diags)
{
    const struct strvec nothing = {0};
    CLEANUP_STRMAP struct strmap automatic = {0};
    CLEANUP_STRMAP struct strmap passthrough = {0};
    CLEANUP_PLAN struct plan *plan = NULL;
    char current_dir[PATH_MAX];
    struct plan_inputs inputs = {.overrides = &args->env,
                                 .automatic = &automatic,
                                 .passthrough = &passthrough,
                                 .current_dir = current_dir,
                                 .strict = args->strict};

    if (!getcwd(current_dir, sizeof(current_dir)))
        return;
    inputs_automatic(current_dir, &automatic);
    inputs_passthrough(&nothing, false, &passthrough);
    plan = plan_build(spec, &inputs, diags);
    if (plan)
        step_check(runner_step_kinds, plan, diags);
}

/* Returns whether the file is valid. */
static bool validate(const struct validate_args *args, const char *where, json_t *report)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    CLEANUP_SPEC_PIPELINE struct spec_pipeline *spec = NULL;

    if (source_read(where, &source, &diags) == 0)
        spec = load_pipeline(&source, NULL, &diags);
    if (spec)
        check_plan(args, spec, &diags);
    diag_sort(&diags);
    if (report) {
        diag_print_json(report, &source, &diags);
    } else {
        CLEANUP_BUF struct buf text = BUF_INIT;

        diag_print_text(&text, &source, &diags, false);
        if (!diags.error_count)
            buf_addf(&text, "%s: valid\n", source.name);
        fputs(text.data, stdout);
    }
    return diags.error_count == 0;
}

static int run(void *arguments, const struct strvec *operands)
{
    const struct validate_args *args = arguments;
    json_t *report = args->format == FORMAT_JSON ? json_array() : NULL;
    bool valid = true;

    if (!operands->len)
        valid = validate(args, NULL, report);
    for (size_t i = 0; i < operands->len; i++)
        valid = validate(args, operands->items[i], report) && valid;
    if (report) {
        json_dumpf(report, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(report);
    }
    return valid ? CLI_EXIT_OK : CLI_EXIT_USAGE;
}

const struct cli_command cmd_validate = {
    .name = "validate",
    .operands = "[FILE...]",
    .summary = "check pipeline files",
    .options = options,
    .args_size = sizeof(struct validate_args),
    .run = run,
};
