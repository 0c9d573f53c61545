/* `runner plan`: shows what would run. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/durations.h"
#include "cli/plan_view.h"
#include "cli/prepare_options.h"

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_DOT, FORMAT_MERMAID };

struct plan_args {
    struct prepare_args file;
    int format;
    char *durations;
};

static const char *const formats[] = {"text", "json", "dot", "mermaid", NULL};

#define AT(field) offsetof(struct plan_args, field)

static const struct cli_option options[] = {
    PREPARE_OPTIONS(struct plan_args),
    {"format", 0, CLI_CHOICE, AT(format), NULL, "form of the output", formats, NULL},
    {"durations", 0, CLI_STRING, AT(durations), "FILE",
     "estimate by an earlier run: a file that --report json=FILE has written", NULL, NULL},
    {0},
};

static void show(const struct plan_view *view, enum format format)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    json_t *json;

    switch (format) {
    case FORMAT_TEXT:
        plan_view_text(view, &out);
        break;
    case FORMAT_DOT:
        plan_view_dot(view, &out);
        break;
    case FORMAT_MERMAID:
        plan_view_mermaid(view, &out);
        break;
    case FORMAT_JSON:
        json = plan_view_json(view);
        json_dumpf(json, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(json);
        break;
    }
    fputs(out.data, stdout);
}

static void show_plan(const struct plan_args *args, const struct plan *plan, json_t *durations)
{
    struct outline *root = outline_build(plan);
    const struct plan_view view = {plan, root, durations != NULL};

    outline_estimate(root, durations ? durations_of : NULL, durations);
    show(&view, (enum format)args->format);
    outline_free(root);
}

static int run(void *arguments, const struct strvec *operands)
{
    const struct plan_args *args = arguments;
    struct prepared p = PREPARED_INIT;
    json_t *durations = NULL;
    struct err err = ERR_INIT;
    const char *where;
    bool ready;

    ready = prepare_where(&args->file, operands, &where, &err) == 0 &&
            (!args->durations || (durations = durations_read(args->durations, &err))) &&
            prepared_read(&p, &args->file, where) == 0 &&
            prepared_plan(&p, &args->file, runner_step_kinds, &err) == 0;
    prepared_show_diagnostics(&p);
    if (err.code)
        fprintf(stderr, "runner plan: %s\n", err.message);
    if (ready)
        show_plan(args, p.plan, durations);
    json_decref(durations);
    prepared_release(&p);
    return ready ? CLI_EXIT_OK : CLI_EXIT_USAGE;
}

const struct cli_command cmd_plan = {
    .name = "plan",
    .operands = "[FILE]",
    .operand_option = "config",
    .summary = "show what would run",
    .options = options,
    .args_size = sizeof(struct plan_args),
    .run = run,
};
