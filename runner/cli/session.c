#include "cli/session.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/logger.h"
#include "cli/commands.h"
#include "cli/stores.h"
#include "event/json.h"
#include "event/sink_plain.h"
#include "event/sink_tty.h"
#include "run/run.h"

enum { OUTPUT_CANCELLED_MS = 10000, OUTPUT_LAST_MS = 1000 };

struct session {
    const struct cli_session_options *options;
    struct run *run;
    struct output_queue *queue;
    enum cli_progress display; /* never auto */
    struct sink_plain plain;
    struct sink_json json;
    struct sink_tty *tty;   /* NULL unless the run is shown live */
    struct log_spool *logs; /* NULL unless a report wants output */
};

static bool no_color_wanted(const struct cli_session_options *options)
{
    const char *none = getenv("NO_COLOR");

    return options->no_color || (none && *none);
}

static bool wants_color(const struct cli_session_options *options)
{
    const char *term = getenv("TERM");
    const char *force = getenv("CLICOLOR_FORCE");

    if (no_color_wanted(options))
        return false;
    if (force && *force && strcmp(force, "0") != 0)
        return true;
    return isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

/* What auto is, and what tty is where there is no terminal. */
static enum cli_progress display_of(const struct cli_session_options *options)
{
    switch (options->progress) {
    case CLI_PROGRESS_AUTO:
        return sink_tty_possible() && !no_color_wanted(options) ? CLI_PROGRESS_TTY
                                                                : CLI_PROGRESS_PLAIN;
    case CLI_PROGRESS_TTY:
        if (sink_tty_possible())
            return CLI_PROGRESS_TTY;
        log_warn("cli", "standard error is no terminal with a cursor: shown as --progress plain");
        return CLI_PROGRESS_PLAIN;
    default:
        return options->progress;
    }
}

static int start_display(struct session *s, struct err *err)
{
    const struct sink_tty_options tty = {.bus = run_bus(s->run),
                                         .queue = s->queue,
                                         .color = wants_color(s->options),
                                         .timestamps = s->options->timestamps};

    sink_plain_init(&s->plain, s->queue, wants_color(s->options), s->options->timestamps);
    switch (s->display) {
    case CLI_PROGRESS_JSON:
        sink_json_init(&s->json, s->queue, run_id(s->run));
        event_bus_add(run_bus(s->run), &s->json.sink);
        return 0;
    case CLI_PROGRESS_TTY:
        if (sink_tty_start(&tty, &s->tty, err) < 0)
            return -1;
        event_bus_add(run_bus(s->run), sink_tty_sink(s->tty));
        return 0;
    default:
        event_bus_add(run_bus(s->run), &s->plain.sink);
        return 0;
    }
}

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

/* Everything up to and including the keeper happens in a process of one thread. */
static int begin(struct session *s, struct err *err)
{
    struct run_options run = {.engines = runner_engines,
                              .kinds = runner_step_kinds,
                              .mask = s->options->mask,
                              .jobs = s->options->jobs,
                              .force_clean = s->options->force_clean,
                              .keep = s->options->keep,
                              .open_store = cli_store_open,
                              .open_store_arg = (void *)s->options->stores};

    s->display = display_of(s->options);
    if (s->display == CLI_PROGRESS_TTY)
        sink_tty_block_signals();
    cli_engine_services(s->options->engines, &run.services);
    if (run_begin(&run, &s->run, err) < 0 || output_queue_new(&s->queue, err) < 0)
        return -1;
    if (start_display(s, err) < 0 || keep_logs(s, err) < 0)
        return -1;
    if (s->options->history)
        cli_recorded_begin(s->options->history, s->run);
    return run_attend(s->run, err);
}

static void say(struct session *s, const char *text)
{
    buf_addf(output_queue_begin(s->queue), "runner: %s\n", text);
    output_queue_commit(s->queue, STDERR_FILENO);
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

/* Waits for the output to be written, which a reader that does not read holds up: a signal that
 * comes now, or the second one, ends that a moment later. Nobody sends a second SIGTERM or SIGHUP.
 * -1 if it was ended. */
static int drain_output(struct session *s)
{
    struct ctx hurry;
    struct ctx last;
    bool cancelled = ctx_done(run_ctx(s->run));
    int result;

    ctx_init_grace(&hurry, run_ctx(s->run),
                   run_signal(s->run) == SIGINT ? INT64_MAX : OUTPUT_CANCELLED_MS);
    result = output_queue_drain(s->queue, cancelled ? &hurry : run_ctx(s->run));
    if (result < 0) {
        ctx_init_cleanup(&last, OUTPUT_LAST_MS);
        result = output_queue_drain(s->queue, &last);
        ctx_release(&last);
    }
    ctx_release(&hurry);
    return result;
}

/* Standard error may have the same reader as standard output. */
static void say_undelivered(struct output_queue *queue)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT))
        dprintf(STDERR_FILENO, "runner: nobody reads the output: up to %zu bytes of it are lost\n",
                output_queue_unwritten(queue));
}

/* What goes wrong with the output is said only while somebody may read it. */
static int finish_output(struct session *s, int status)
{
    struct err err = ERR_INIT;

    if (drain_output(s) < 0) {
        say_undelivered(s->queue);
        output_queue_abandon(steal_ptr(&s->queue));
        return 128 + run_signal(s->run);
    }
    if (output_queue_finish(steal_ptr(&s->queue), &err) < 0) {
        fprintf(stderr, "runner: %s\n", err.message);
        return status ? status : CLI_EXIT_FAILED;
    }
    return status;
}

/* Shows and writes what remains when everything has ended; returns the exit status. */
static int conclude(struct session *s, const struct exec_verdict *verdict)
{
    int status = run_exit_status(s->run, verdict);

    sink_tty_finish(steal_ptr(&s->tty));
    if (s->display != CLI_PROGRESS_JSON)
        sink_plain_summary(&s->plain, run_root(s->run), run_id(s->run));
    if (write_reports(s) < 0)
        status = status ? status : CLI_EXIT_FAILED;
    return finish_output(s, status);
}

static void end(struct session *s)
{
    sink_tty_finish(s->tty);
    output_queue_finish(s->queue, NULL);
    log_spool_free(s->logs);
}

static int run_plan(struct session *s, const struct plan *plan)
{
    struct exec_verdict verdict;
    int status;

    run_execute(s->run, plan, &verdict);
    status = conclude(s, &verdict);
    log_debug("cli", "run %s ends: %s, exit status %d", run_id(s->run), state_name(verdict.state),
              status);
    end(s);
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
    end(&s);
    run_abort(s.run);
    return CLI_EXIT_FAILED;
}
