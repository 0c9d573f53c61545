/* `runner validate`: checks pipeline files and reports everything that is wrong with them. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/prepare_options.h"
#include "load/diag_print.h"
#include "load/sarif.h"

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_SARIF };

struct validate_args {
    struct prepare_args file;
    int format;
};

static const char *const formats[] = {"text", "json", "sarif", NULL};

#define AT(field) offsetof(struct validate_args, field)

static const struct cli_option options[] = {
    {"format", 0, CLI_CHOICE, AT(format), NULL, "form of the report", formats, NULL},
    PREPARE_OPTION_ENV(struct validate_args),
    PREPARE_OPTION_ENV_FILE(struct validate_args),
    PREPARE_OPTION_INPUT(struct validate_args),
    PREPARE_OPTION_SET(struct validate_args),
    PREPARE_OPTION_STRICT(struct validate_args),
    {0},
};

/* Returns whether the file is valid. A plan is made as well, because that finds what only shows
 * when names are expanded. */
static bool validate(const struct validate_args *args, const char *where, json_t *report)
{
    struct prepared p = PREPARED_INIT;
    struct err err = ERR_INIT;
    bool valid = prepared_read(&p, &args->file, where) == 0 &&
                 prepared_plan(&p, &args->file, runner_step_kinds, &err) == 0;

    if (err.code)
        diag_add(&p.diags, DIAG_ERROR, (struct src_pos){0}, "", "%s", err.message);
    diag_sort(&p.diags);
    if (args->format == FORMAT_SARIF) {
        sarif_add(report, &p.source, &p.diags);
    } else if (args->format == FORMAT_JSON) {
        diag_print_json(report, &p.source, &p.diags);
    } else {
        CLEANUP_BUF struct buf text = BUF_INIT;

        diag_print_text(&text, &p.source, &p.diags, false);
        if (valid)
            buf_addf(&text, "%s: valid\n", p.source.name);
        fputs(text.data, stdout);
    }
    prepared_release(&p);
    return valid;
}

static int run(void *arguments, const struct strvec *operands)
{
    const struct validate_args *args = arguments;
    json_t *report = args->format == FORMAT_SARIF  ? sarif_new()
                     : args->format == FORMAT_JSON ? json_array()
                                                   : NULL;
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
