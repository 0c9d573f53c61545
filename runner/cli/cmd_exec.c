/* `runner exec`: runs a pipeline file here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/logger.h"
#include "cli/apart.h"
#include "cli/commands.h"
#include "cli/engines.h"
#include "cli/follow.h"
#include "cli/logging.h"
#include "cli/plan_view.h"
#include "cli/prepare_options.h"
#include "cli/runs.h"
#include "cli/session.h"
#include "cli/stores.h"

struct exec_args {
    struct prepare_args file;
    bool dry_run;
    bool allow_nested;
    int64_t jobs;
    struct display_options display;
    struct cli_logging_args logging;
    bool keep;
    bool force_clean;
    struct cli_engine_args engines;
    struct strvec reports;
    char *cache_dir;
    char *cache_size;
    struct cli_history_args history;
    bool resumable;
    char *resume;
};

#define AT(field) offsetof(struct exec_args, field)

static const struct cli_option options[] = {
    PREPARE_OPTIONS(struct exec_args),
    {"dry-run", 0, CLI_FLAG, AT(dry_run), NULL, "only show what would run", NULL, NULL},
    {"allow-nested", 0, CLI_FLAG, AT(allow_nested), NULL, "run although inside of a pipeline", NULL,
     NULL},
    {"jobs", 'j', CLI_INT, AT(jobs), "N", "most jobs at a time (256)", NULL, NULL},
    {"timeout", 0, CLI_DURATION, AT(file.timeout_ms), "DURATION", "limit of the whole pipeline",
     NULL, NULL},
    DISPLAY_OPTIONS(struct exec_args),
    CLI_LOGGING_OPTIONS(struct exec_args),
    {"keep", 0, CLI_FLAG, AT(keep), NULL, "remove nothing at the end", NULL, NULL},
    {"force-clean", 0, CLI_FLAG, AT(force_clean), NULL,
     "remove the workdir after success even if it was there before", NULL, NULL},
    CLI_ENGINE_OPTIONS(struct exec_args),
    {"report", 0, CLI_LIST, AT(reports), "FORMAT=FILE",
     "write a report at the end: json, junit or html (repeatable)", NULL, NULL},
    CLI_STORE_OPTIONS(AT(cache_dir), AT(cache_size)),
    CLI_HISTORY_OPTIONS(struct exec_args),
    {"resumable", 0, CLI_FLAG, AT(resumable), NULL,
     "let the run go on when this process is killed, for --resume", NULL, NULL},
    {"resume", 0, CLI_STRING, AT(resume), "RUN",
     "show a run of --resumable from its beginning, and end as it does", NULL, NULL},
    {0},
};

static int usage_error(const struct err *err)
{
    fprintf(stderr, "runner exec: %s\n", err->message);
    return CLI_EXIT_USAGE;
}

struct reports {
    VEC(struct report)
    list;
};

static void reports_release(struct reports *reports)
{
    vec_release(&reports->list);
}

static int find_reports(const struct exec_args *args, struct reports *ret, struct err *err)
{
    for (size_t i = 0; i < args->reports.len; i++) {
        struct report report;

        if (report_parse(args->reports.items[i], &report, err) < 0)
            return -1;
        vec_foreach (const struct report *, other, &ret->list) {
            if (other->format == report.format)
                return err_set(err, ERR_INVALID, "--report %s=FILE is given twice",
                               report.format->name);
            if (strcmp(other->path, report.path) == 0)
                return err_set(err, ERR_INVALID, "two reports cannot be written to one file, %s",
                               report.path);
        }
        vec_push(&ret->list, report);
    }
    return 0;
}

static int show_plan(const struct plan *plan)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct outline *root = outline_build(plan);
    const struct plan_view view = {plan, root, false};

    outline_estimate(root, NULL, NULL);
    plan_view_text(&view, &out);
    fputs(out.data, stdout);
    outline_free(root);
    return CLI_EXIT_OK;
}

static char *mask_message(void *mask, const char *text)
{
    return mask_text(mask, text);
}

/* Returns the exit status. */
static int run_plan(const struct exec_args *args, const struct prepared *p,
                    const struct reports *reports, const struct object_store_places *stores,
                    const struct cli_history_options *history)
{
    const struct cli_session_options session = {.display = args->display,
                                                .jobs = args->jobs < UINT32_MAX
                                                            ? (uint32_t)args->jobs
                                                            : UINT32_MAX,
                                                .force_clean = args->force_clean,
                                                .keep = args->keep,
                                                .engines = &args->engines,
                                                .mask = p->mask,
                                                .reports = reports->list.items,
                                                .report_count = reports->list.len,
                                                .stores = stores,
                                                .history = args->history.none ? NULL : history};

    int status;

    logger_set_filter(mask_message, p->mask);
    status =
        args->resumable ? cli_apart_run(p->plan, &session) : cli_session_run(p->plan, &session);
    logger_set_filter(NULL, NULL);
    return status;
}

/* 0 and the plan, or -1, with *err set unless it is the file that is wrong. */
static int make_plan(const struct exec_args *args, struct prepared *p, struct err *err)
{
    if (!args->dry_run)
        p->mask = mask_new();
    return prepared_plan(p, &args->file, runner_step_kinds, err);
}

/* --- --resume --- */

struct resumed {
    const struct exec_args *args;
    char *runs_dir;
    char *run_id;
};

static int find_resumed(const struct ctx *ctx, void *arg, struct err *err)
{
    struct resumed *resumed = arg;
    CLEANUP_HISTORY struct history *history = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0};

    if (cli_runs_open(ctx, resumed->args->history.dir, &history, err) < 0 ||
        cli_runs_get(ctx, history, resumed->args->resume, &runs, err) < 0)
        return -1;
    resumed->runs_dir = xstrdup(history->runs);
    resumed->run_id = xstrdup(runs.items[0].id);
    return CLI_EXIT_OK;
}

static int resume(const struct exec_args *args)
{
    struct resumed resumed = {.args = args};
    int status = cli_runs_run("exec", find_resumed, &resumed);

    if (status == CLI_EXIT_OK)
        status = cli_follow_run(&(struct cli_follow_options){.runs_dir = resumed.runs_dir,
                                                             .run_id = resumed.run_id,
                                                             .display = args->display},
                                NULL);
    free(resumed.runs_dir);
    free(resumed.run_id);
    return status;
}

/* Whoever resumes wants all that was shown before. */
static int check_resumable(const struct exec_args *args, const struct strvec *operands,
                           struct cli_history_options *history, struct err *err)
{
    if (args->resume && (args->resumable || operands->len || args->file.config))
        return err_set(err, ERR_INVALID,
                       "--resume takes a run that has begun, and neither a file nor --resumable");
    if (args->resumable && args->history.none)
        return err_set(err, ERR_INVALID, "--resumable records the run: leave out --no-history");
    if (args->resumable && !args->history.log)
        history->log_bytes = 0;
    return 0;
}

static int run(void *arguments, const struct strvec *operands)
{
    struct exec_args *args = arguments;
    struct prepared p = PREPARED_INIT;
    CLEANUP(reports_release) struct reports reports = {0};
    struct object_store_places stores;
    struct cli_history_options history;
    const char *where;
    struct err err = ERR_INIT;
    int status = CLI_EXIT_USAGE;
    bool ready;

    if (cli_logging_configure(&args->logging, &err) < 0 ||
        prepare_where(&args->file, operands, &where, &err) < 0 ||
        cli_store_options(args->cache_dir, args->cache_size, &stores, &err) < 0 ||
        cli_history_options(&args->history, &history, &err) < 0 ||
        check_resumable(args, operands, &history, &err) < 0)
        return usage_error(&err);
    if (args->resume)
        return resume(args);
    args->file.refuse_nested = !args->allow_nested;
    ready = prepared_read(&p, &args->file, where) == 0 && find_reports(args, &reports, &err) == 0 &&
            make_plan(args, &p, &err) == 0;
    prepared_show_diagnostics(&p);
    if (err.code)
        usage_error(&err);
    if (ready && args->dry_run)
        status = show_plan(p.plan);
    else if (ready) {
        history.source = p.source.text.data;
        history.source_size = p.source.text.len;
        status = run_plan(args, &p, &reports, &stores, &history);
    }
    prepared_release(&p);
    return status;
}

const struct cli_command cmd_exec = {
    .name = "exec",
    .alias = "run",
    .operands = "[FILE]",
    .operand_option = "config",
    .summary = "run a pipeline here",
    .options = options,
    .args_size = sizeof(struct exec_args),
    .run = run,
};
