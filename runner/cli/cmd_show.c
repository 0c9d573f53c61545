/* `runner show`: one run of the history. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/runs.h"
#include "cli/server_runs.h"
#include "event/json.h"
#include "event/read.h"
#include "event/sink_plain.h"
#include "record/record.h"

enum { FORMAT_TEXT, FORMAT_JSON, FORMAT_YAML };

struct show_args {
    char *history;
    char *server;
    int format;
    const char *run;
};

#define AT(field) offsetof(struct show_args, field)

static const char *const formats[] = {"text", "json", "yaml", NULL};

static const struct cli_option options[] = {
    {"format", 0, CLI_CHOICE, AT(format), NULL, "what is shown; yaml: the file as it was given",
     formats, NULL},
    CLI_SERVER_OPTION(AT(server)),
    CLI_HISTORY_OPTION(AT(history)),
    {0},
};

static void show_json(const struct store_run *run, const struct node *root)
{
    json_t *object = cli_run_to_json(run);
    json_t *tree = node_tree_to_json(root, run->id);

    json_object_set(object, "stages", json_object_get(tree, "stages"));
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(tree);
    json_decref(object);
}

/* Of failures the summary tells more. */
static void show_why(const struct store_run *run)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (run->state != STATE_CANCELLED || !*run->error)
        return;
    utf8_add_visible(&text, run->error);
    printf("%s\n", text.data);
}

/* As `exec` ends. */
static int show_text(const struct store_run *run, const struct node *root, struct err *err)
{
    CLEANUP_BUF struct buf name = BUF_INIT;
    CLEANUP_BUF struct buf origin = BUF_INIT;
    struct sink_plain plain;
    struct output_queue *queue;
    char began[CLOCK_RFC3339_SIZE];

    clock_rfc3339(run->submitted_ms, began);
    utf8_add_visible(&name, run->name);
    utf8_add_visible(&origin, run->origin);
    printf("pipeline %s, begun %s by %s\n", name.data, began, origin.data);
    fflush(stdout);
    if (output_queue_new(&queue, err) < 0)
        return -1;
    sink_plain_init(&plain, queue, false, false);
    sink_plain_write_summary(&plain, root, run->id, STDOUT_FILENO);
    if (output_queue_finish(queue, err) < 0)
        return -1;
    show_why(run);
    return 0;
}

static int show_yaml(const struct history *history, const struct store_run *run, struct err *err)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (record_open(history->runs, run->id, &record, err) < 0 ||
        record_read_pipeline(record, &text, err) < 0)
        return -1;
    fwrite(text.data, 1, text.len, stdout);
    return 0;
}

static int show_run(const struct ctx *ctx, const struct show_args *args, struct history *history,
                    const struct store_run *run, struct err *err)
{
    struct node root = {0};
    int result = -1;

    if (args->format == FORMAT_YAML)
        return show_yaml(history, run, err);
    if (history_tree(ctx, history, run, &root, err) == 0) {
        result = 0;
        if (args->format == FORMAT_JSON)
            show_json(run, &root);
        else
            result = show_text(run, &root, err);
    }
    node_release(&root);
    return result;
}

static int show_record(const struct show_args *args, const struct store_run *run,
                       const json_t *record, struct err *err)
{
    struct node root = {0};
    int result = -1;

    if (args->format == FORMAT_YAML) {
        fputs(json_at_string(record, "yaml"), stdout);
        return 0;
    }
    if (node_tree_from_json(record, &root, err) == 0) {
        result = 0;
        /* The record is that of a run, and a run is not tried again. */
        root.attempt = run->started_ms ? 1 : 0;
        if (args->format == FORMAT_JSON)
            show_json(run, &root);
        else
            result = show_text(run, &root, err);
    }
    node_release(&root);
    return result;
}

static int show_there(const struct ctx *ctx, const struct show_args *args, struct err *err)
{
    CLEANUP_SERVER_RUNS struct server_runs server = {0};
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    json_t *record = NULL;
    int result;

    if (server_runs_open(args->server, &server, err) < 0 ||
        server_runs_get(ctx, &server, args->run, &runs, &record, err) < 0)
        return -1;
    result = show_record(args, &runs.items[0], record, err);
    json_decref(record);
    return result;
}

static int show_here(const struct ctx *ctx, const struct show_args *args, struct err *err)
{
    CLEANUP_HISTORY struct history *history = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0};

    if (cli_runs_open(ctx, args->history, &history, err) < 0 ||
        cli_runs_get(ctx, history, args->run, &runs, err) < 0)
        return -1;
    return show_run(ctx, args, history, &runs.items[0], err);
}

static int show(const struct ctx *ctx, void *arg, struct err *err)
{
    const struct show_args *args = arg;

    return args->server ? show_there(ctx, args, err) : show_here(ctx, args, err);
}

static int run(void *arguments, const struct strvec *operands)
{
    struct show_args *args = arguments;

    args->run = cli_runs_operand("show", operands);
    if (!args->run)
        return CLI_EXIT_USAGE;
    return cli_runs_run("show", show, args);
}

const struct cli_command cmd_show = {
    .name = "show",
    .operands = "RUN",
    .summary = "show how a run went, or goes",
    .description = "RUN is an id, the beginning of one, or \"latest\".",
    .options = options,
    .args_size = sizeof(struct show_args),
    .run = run,
};
