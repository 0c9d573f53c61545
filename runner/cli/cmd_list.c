/* `runner list`: the runs of the history. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/runs.h"
#include "cli/server_runs.h"
#include "history/row_json.h"

enum { FORMAT_TEXT, FORMAT_JSON, LIMIT_DEFAULT = 20 };

struct list_args {
    struct store_query query;
    char *history;
    char *server;
    char *search;
    struct strvec states;
    int64_t since_ms;
    int64_t *limit;
    int64_t offset;
    int format;
};

#define AT(field) offsetof(struct list_args, field)

static const char *const formats[] = {"text", "json", NULL};

static const struct cli_option options[] = {
    {"search", 0, CLI_STRING, AT(search), "TEXT", "only those with this in their name or id", NULL,
     NULL},
    {"status", 0, CLI_LIST, AT(states), "STATE",
     "only those that are running, succeeded, failed or cancelled (repeatable)", NULL, NULL},
    {"since", 0, CLI_DURATION, AT(since_ms), "DURATION", "only those of the last so much time",
     NULL, NULL},
    {"limit", 'n', CLI_MAYBE_INT, AT(limit), "N", "most that are shown (20)", NULL, NULL},
    {"offset", 0, CLI_INT, AT(offset), "N", "leave out so many of the newest", NULL, NULL},
    {"format", 0, CLI_CHOICE, AT(format), NULL, "form of the list", formats, NULL},
    CLI_SERVER_OPTION(AT(server)),
    CLI_HISTORY_OPTION(AT(history)),
    {0},
};

static int query_of(const struct list_args *args, struct store_query *ret, struct err *err)
{
    *ret = (struct store_query){
        .search = args->search,
        .from_ms = args->since_ms ? clock_wall_ms() - args->since_ms : 0,
        .limit = args->limit ? *args->limit : LIMIT_DEFAULT,
        .offset = args->offset,
    };
    for (size_t i = 0; i < args->states.len; i++) {
        int state = state_find(args->states.items[i]);

        if (state < 0 || state == STATE_SKIPPED)
            return err_set(err, ERR_INVALID,
                           "--status is pending, running, succeeded, failed or cancelled, not "
                           "\"%s\"",
                           args->states.items[i]);
        ret->states |= STORE_STATE(state);
    }
    return 0;
}

static void show_json(const struct store_runs *runs)
{
    json_t *array = json_array();

    vec_foreach (struct store_run *, run, runs)
        json_array_append_new(array, cli_run_to_json(run));
    json_dumpf(array, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(array);
}

static void show_row(const struct store_run *run)
{
    CLEANUP_BUF struct buf name = BUF_INIT;
    CLEANUP_BUF struct buf why = BUF_INIT;
    char started[CLOCK_RFC3339_SIZE] = "";
    char duration[CLOCK_DURATION_SIZE] = "";

    if (run->submitted_ms)
        clock_rfc3339(run->submitted_ms, started);
    if (run->started_ms)
        clock_format_duration(history_row_duration(run), duration, sizeof(duration));
    utf8_add_visible(&name, run->name);
    if (run->state == STATE_CANCELLED)
        utf8_add_visible(&why, run->error);
    else if (run->reason != REASON_NONE)
        buf_addstr(&why, reason_name(run->reason));
    printf("%-22s  %-9s  %.19s%s  %8s  %s%s%s%s\n", run->id, state_name(run->state), started,
           *started ? "Z" : "", duration, name.data, why.len ? " (" : "", why.data,
           why.len ? ")" : "");
}

static void show_text(const struct store_runs *runs, const char *where)
{
    if (!runs->total) {
        printf("no such run is recorded in %s\n", where);
        return;
    }
    printf("%-22s  %-9s  %-20s  %8s  %s\n", "RUN", "STATE", "BEGAN", "DURATION", "PIPELINE");
    vec_foreach (struct store_run *, run, runs)
        show_row(run);
    if ((int64_t)runs->len + runs->left_out < runs->total)
        printf("%zu of %lld; --limit and --offset show the others\n", runs->len,
               (long long)runs->total);
}

static void show(const struct list_args *args, const struct store_runs *runs, const char *where)
{
    if (args->format == FORMAT_JSON)
        show_json(runs);
    else
        show_text(runs, where);
    fflush(stdout);
    if (runs->left_out)
        fprintf(stderr, "runner list: %lld runs are left out: a newer runner has recorded them\n",
                (long long)runs->left_out);
}

static int list_here(const struct ctx *ctx, const struct list_args *args, struct err *err)
{
    CLEANUP_HISTORY struct history *history = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0};

    if (cli_runs_open(ctx, args->history, &history, err) < 0 ||
        store_list(ctx, history->store, &args->query, &runs, err) < 0)
        return -1;
    show(args, &runs, history->dir);
    return CLI_EXIT_OK;
}

static int list_there(const struct ctx *ctx, const struct list_args *args, struct err *err)
{
    CLEANUP_SERVER_RUNS struct server_runs server = {0};
    CLEANUP_STORE_RUNS struct store_runs runs = {0};

    if (server_runs_open(args->server, &server, err) < 0 ||
        server_runs_list(ctx, &server, &args->query, &runs, err) < 0)
        return -1;
    show(args, &runs, server.target.name);
    return CLI_EXIT_OK;
}

static int list(const struct ctx *ctx, void *arg, struct err *err)
{
    const struct list_args *args = arg;

    return args->server ? list_there(ctx, args, err) : list_here(ctx, args, err);
}

static int run(void *arguments, const struct strvec *operands)
{
    struct list_args *args = arguments;
    struct err err = ERR_INIT;

    (void)operands;
    if (query_of(args, &args->query, &err) < 0) {
        fprintf(stderr, "runner list: %s\n", err.message);
        return CLI_EXIT_USAGE;
    }
    return cli_runs_run("list", list, args);
}

const struct cli_command cmd_list = {
    .name = "list",
    .summary = "show the runs that are recorded here, or by a server",
    .options = options,
    .args_size = sizeof(struct list_args),
    .run = run,
};
