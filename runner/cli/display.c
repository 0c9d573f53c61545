#include "cli/display.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/logger.h"
#include "cli/option.h"
#include "event/json.h"
#include "event/sink_plain.h"
#include "event/sink_tty.h"

enum { OUTPUT_CANCELLED_MS = 10000, OUTPUT_LAST_MS = 1000 };

struct display {
    enum display_progress progress; /* never auto */
    const char *run_id;
    struct output_queue *queue;
    struct sink_plain plain;
    struct sink_json json;
    struct sink_tty *tty; /* NULL unless it is shown live */
};

const char *const display_progress_choices[] = {"auto", "tty", "plain", "json", NULL};

static bool no_color_wanted(const struct display_options *options)
{
    const char *none = getenv("NO_COLOR");

    return options->no_color || (none && *none);
}

static bool wants_color(const struct display_options *options)
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
static enum display_progress progress_of(const struct display_options *options)
{
    switch ((enum display_progress)options->progress) {
    case DISPLAY_AUTO:
        return sink_tty_possible() && !no_color_wanted(options) ? DISPLAY_TTY : DISPLAY_PLAIN;
    case DISPLAY_TTY:
        if (sink_tty_possible())
            return DISPLAY_TTY;
        log_warn("cli", "standard error is no terminal with a cursor: shown as --progress plain");
        return DISPLAY_PLAIN;
    case DISPLAY_PLAIN:
    case DISPLAY_JSON:
        break;
    }
    return (enum display_progress)options->progress;
}

void display_prepare(struct display_options *options)
{
    options->progress = progress_of(options);
    if (options->progress == DISPLAY_TTY)
        sink_tty_block_signals();
}

static int add_sink(struct display *display, const struct display_options *options,
                    struct event_bus *bus, struct err *err)
{
    bool color = wants_color(options);
    const struct sink_tty_options tty = {.bus = bus,
                                         .queue = display->queue,
                                         .color = color,
                                         .timestamps = options->timestamps};

    sink_plain_init(&display->plain, display->queue, color, options->timestamps);
    switch (display->progress) {
    case DISPLAY_JSON:
        sink_json_init(&display->json, display->queue, display->run_id);
        event_bus_add(bus, &display->json.sink);
        return 0;
    case DISPLAY_TTY:
        if (sink_tty_start(&tty, &display->tty, err) < 0)
            return -1;
        event_bus_add(bus, sink_tty_sink(display->tty));
        return 0;
    default:
        event_bus_add(bus, &display->plain.sink);
        return 0;
    }
}

int display_start(const struct display_options *options, struct event_bus *bus, const char *run_id,
                  struct display **ret, struct err *err)
{
    struct display *display = xcalloc(1, sizeof(*display));

    display->progress = (enum display_progress)options->progress;
    display->run_id = run_id;
    if (output_queue_new(&display->queue, err) < 0 || add_sink(display, options, bus, err) < 0) {
        output_queue_finish(display->queue, NULL);
        free(display);
        return -1;
    }
    *ret = display;
    return 0;
}

void display_summary(struct display *display, const struct node *root)
{
    sink_tty_finish(steal_ptr(&display->tty));
    if (display->progress != DISPLAY_JSON)
        sink_plain_summary(&display->plain, root, display->run_id);
}

void display_say(struct display *display, const char *text)
{
    buf_addf(output_queue_begin(display->queue), "runner: %s\n", text);
    output_queue_commit(display->queue, STDERR_FILENO);
}

/* Nobody sends a second SIGTERM or SIGHUP: who is not patient gets some time instead. */
static int drain(struct display *display, const struct ctx *ctx, bool patient)
{
    struct ctx hurry;
    struct ctx last;
    bool cancelled = ctx_done(ctx);
    int result;

    ctx_init_grace(&hurry, ctx, patient ? INT64_MAX : OUTPUT_CANCELLED_MS);
    result = output_queue_drain(display->queue, cancelled ? &hurry : ctx);
    if (result < 0) {
        ctx_init_cleanup(&last, OUTPUT_LAST_MS);
        result = output_queue_drain(display->queue, &last);
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

/* -1: something could not be written. */
static int finish(struct display *display, const struct ctx *ctx, bool patient,
                  bool *ret_undelivered, struct err *err)
{
    int result = 0;

    sink_tty_finish(display->tty);
    *ret_undelivered = drain(display, ctx, patient) < 0;
    if (*ret_undelivered) {
        say_undelivered(display->queue);
        output_queue_abandon(display->queue);
    } else {
        result = output_queue_finish(display->queue, err);
    }
    free(display);
    return result;
}

int display_finish(struct display *display, const struct display_end *end, int status)
{
    struct err err = ERR_INIT;
    bool undelivered = false;
    int written = display ? finish(display, end->ctx, end->first_signal(end->arg) == SIGINT,
                                   &undelivered, &err)
                          : 0;

    if (undelivered)
        return 128 + end->first_signal(end->arg);
    if (written == 0)
        return status;
    fprintf(stderr, "%s: %s\n", end->who, err.message);
    return status ? status : CLI_EXIT_FAILED;
}

void display_drop(struct display *display, const struct ctx *ctx)
{
    bool undelivered;

    if (display)
        (void)finish(display, ctx, false, &undelivered, NULL);
}
