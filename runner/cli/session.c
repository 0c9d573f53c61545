#include "cli/session.h"

#include <signal.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/logger.h"
#include "cli/commands.h"
#include "cli/stores.h"
#include "run/run.h"

struct session {
    const struct cli_session_options *options;
    struct run *run;
    struct display *display; /* NULL: it is silent */
    struct log_spool *logs;  /* NULL unless a report wants output */
};

/* Has the output kept on disk if a report wants it. */
static int keep_logs(struct session *s, struct err *err)
{
    bool wanted = false;
    CLEANUP_FREE char *dir = NULL;
    const char *temp;

    for (size_t i = 0; i < s->options->report_count; i++)
        wanted = wanted || s->options->reports[i].format->wants_output;
    if (!wanted)
        return 0;
    temp = own_run_temp_dir(run_own(s->run), err);
    if (!temp)
        return -1;
    dir = fs_join(temp, "report");
    if (log_spool_new(dir, &s->logs, err) < 0)
        return -1;
    event_bus_add(run_bus(s->run), log_spool_sink(s->logs));
    return 0;
}

/* Where nothing can be written, nobody expects it unless they asked. */
static int record(struct session *s, struct err *err)
{
    const struct cli_history_options *history = s->options->history;
    struct err why = ERR_INIT;

    if (!history || cli_recorded_begin(history, s->run, &why) == 0)
        return 0;
    if (s->options->silent)
        return err_set(err, why.code, "the run cannot be recorded: %s", why.message);
    if (history->dir)
        log_warn("history", "the run is not recorded: %s", why.message);
    else
        log_info("history", "the run is not recorded: %s", why.message);
    return 0;
}

static int show(struct session *s, struct err *err)
{
    struct display_options display = s->options->display;

    display_prepare(&display);
    return display_start(&display, run_bus(s->run), run_id(s->run), &s->display, err);
}

/* Everything up to and including the keeper happens in a process of one thread. */
static int begin(struct session *s, struct err *err)
{
    struct run_options run = {.id = s->options->run_id,
                              .engines = runner_engines,
                              .kinds = runner_step_kinds,
                              .mask = s->options->mask,
                              .jobs = s->options->jobs,
                              .force_clean = s->options->force_clean,
                              .keep = s->options->keep,
                              .open_store = object_store_open_at,
                              .open_store_arg = (void *)s->options->stores};

    cli_engine_services(s->options->engines, &run.services);
    if (run_begin(&run, &s->run, err) < 0 || (!s->options->silent && show(s, err) < 0) ||
        keep_logs(s, err) < 0 || record(s, err) < 0)
        return -1;
    if (s->options->began)
        s->options->began(s->options->began_arg);
    return run_attend(s->run, err);
}

/* Who follows a silent one reads it in the record. */
static void say(struct session *s, const char *text)
{
    if (s->display)
        display_say(s->display, text);
    else
        event_bus_note(run_bus(s->run), run_root(s->run), "%s", text);
}

/* -1 if a report could not be written, or lacks something. Each is tried. */
static int write_reports(struct session *s)
{
    const struct report_source source = {run_root(s->run), run_id(s->run), s->logs};
    struct err err = ERR_INIT;
    int result = 0;

    if (s->logs && log_spool_finish(s->logs, &err) < 0) {
        say(s, err.message);
        result = -1;
    }
    for (size_t i = 0; i < s->options->report_count; i++) {
        if (report_write(&s->options->reports[i], &source, &err) < 0) {
            say(s, err.message);
            result = -1;
        }
    }
    return result;
}

static int first_signal(const void *run)
{
    return run_signal(run);
}

static int finish_output(struct session *s, int status)
{
    const struct display_end end = {run_ctx(s->run), first_signal, s->run, "runner"};

    return display_finish(steal_ptr(&s->display), &end, status);
}

/* Shows and writes what remains when everything has ended; returns the exit status. */
static int conclude(struct session *s, const struct exec_verdict *verdict)
{
    int status = run_exit_status(s->run, verdict);

    if (s->display)
        display_summary(s->display, run_root(s->run));
    if (write_reports(s) < 0)
        status = status ? status : CLI_EXIT_FAILED;
    return finish_output(s, status);
}

static int run_plan(struct session *s, const struct plan *plan)
{
    struct exec_verdict verdict;
    int status;

    run_execute(s->run, plan, &verdict);
    status = conclude(s, &verdict);
    log_debug("cli", "run %s ends: %s, exit status %d", run_id(s->run), state_name(verdict.state),
              status);
    log_spool_free(s->logs);
    cli_recorded_end(s->options->history, s->run, status);
    return status;
}

int cli_session_run(const struct plan *plan, const struct cli_session_options *options)
{
    struct session s = {.options = options};
    struct err err = ERR_INIT;

    /* Before the file is recorded. */
    (void)exec_mask_known(plan, options->mask);
    if (begin(&s, &err) == 0)
        return run_plan(&s, plan);
    fprintf(stderr, "runner: %s\n", err.message);
    if (s.run)
        display_drop(s.display, run_ctx(s.run));
    log_spool_free(s.logs);
    run_abort(s.run);
    return CLI_EXIT_FAILED;
}
