#include "cli/follow.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json_at.h"
#include "cli/commands.h"
#include "cli/runs.h"
#include "control/signals.h"
#include "event/playback.h"
#include "record/follow.h"
#include "record/watch.h"

struct followed {
    const struct cli_follow_options *options;
    struct ctx ctx; /* the first signal ends it */
    struct ctx_signal hurry;
    struct signals *signals;
    struct event_bus bus;
    struct playback playback;
    struct display *display;
    struct record *record;
    struct record_follow *follow;
    struct record_watch *watch;
    uint64_t missing; /* bytes, to be told */
    bool cancelled;   /* the run has been told */
    bool hurried;     /* likewise */
};

static int begin(struct followed *f, struct err *err)
{
    struct display_options display = f->options->display;

    display_prepare(&display);
    signals_block();
    if (ctx_signal_init(&f->hurry, err) < 0 || ctx_init_root(&f->ctx, &f->hurry, err) < 0 ||
        record_open(f->options->runs_dir, f->options->run_id, &f->record, err) < 0)
        return -1;
    record_watch_open(f->record, &f->watch);
    record_follow_open(f->record, (struct record_position){0}, NULL, &f->follow);
    playback_init(&f->playback, &f->bus);
    if (display_start(&display, &f->bus, f->options->run_id, &f->display, err) < 0)
        return -1;
    return signals_start(&f->ctx, &f->hurry, NULL, &f->signals, err);
}

/* --- one item --- */

/* What is missing in one place may be told in parts. */
static void show_missing(struct followed *f)
{
    CLEANUP_FREE char *text = NULL;

    if (!f->missing)
        return;
    text = xasprintf("%llu bytes of output are missing here", (unsigned long long)f->missing);
    display_say(f->display, text);
    f->missing = 0;
}

static void show_item(struct followed *f, const struct record_item *item)
{
    bool note = item->stream == RECORD_NOTE;
    CLEANUP_FREE char *text = note ? xstrndup(item->data, item->size) : NULL;
    const struct playback_output output = {.node = item->node,
                                           .time_ms = item->time_ms,
                                           .is_note = note,
                                           .stream = item->stream == RECORD_STDERR ? EVENT_STDERR
                                                                                   : EVENT_STDOUT,
                                           .data = note ? text : item->data,
                                           .size = item->size,
                                           .continued = item->continued};

    playback_output(&f->playback, &output);
}

static void show_event(struct followed *f, const struct record_event *event)
{
    json_t *object = json_loadb(event->json, event->size, 0, NULL);
    struct err err = ERR_INIT;

    if (!object || playback_event(&f->playback, object, &err) < 0)
        display_say(f->display, object ? err.message : "an event of the run cannot be read");
    json_decref(object);
}

/* 1: there may be more later; 0: that was all. */
static int show_some(struct followed *f, const struct ctx *ctx)
{
    struct record_followed item;
    struct err err = ERR_INIT;

    for (;;) {
        enum record_got got;

        event_bus_wait_for_room(&f->bus, f->hurried ? NULL : ctx);
        if (ctx_done(ctx))
            return 1;
        got = record_follow_next(f->follow, &item, &err);
        if (got == RECORD_ITEM && !item.is_event && item.item.stream == RECORD_MISSING) {
            f->missing += item.item.missing_bytes;
            continue;
        }
        /* Whoever is in a hurry does not wait for a reader, but for the run's end. */
        if (got == RECORD_ITEM && !item.is_event && f->hurried && event_bus_room_fd(&f->bus) >= 0) {
            f->missing += item.item.size;
            continue;
        }
        show_missing(f);
        switch (got) {
        case RECORD_ITEM:
            if (item.is_event)
                show_event(f, &item.event);
            else
                show_item(f, &item.item);
            break;
        case RECORD_DAMAGED:
            display_say(f->display, err.message);
            break;
        case RECORD_NONE_YET:
            return 1;
        case RECORD_END:
            return 0;
        }
    }
}

/* --- signals --- */

/* A run that cannot be asked any more has ended, or tells so by its end. */
static void pass_on(struct followed *f)
{
    CLEANUP_FREE char *user = cli_user_name();
    struct err err = ERR_INIT;
    struct ctx ctx;
    int result;

    ctx_init_cleanup(&ctx, CONTROL_ANSWER_MS);
    if (!f->cancelled)
        result = control_cancel(&ctx, f->options->runs_dir, f->options->run_id, NULL, user, &err);
    else
        result = control_hurry(&ctx, f->options->runs_dir, f->options->run_id, &err);
    ctx_release(&ctx);
    f->hurried = f->cancelled;
    f->cancelled = true;
    if (result < 0 && err.code != ERR_CONFLICT)
        display_say(f->display, err.message);
}

/* Until the next signal of interest comes, or the run has ended: 0; 1: a signal came. */
static int follow_until(struct followed *f, const struct ctx *ctx)
{
    for (;;) {
        if (show_some(f, ctx) == 0)
            return 0;
        if (record_watch_wait(f->watch, ctx, -1, NULL) < 0)
            return 1;
    }
}

/* false: SIGHUP, the run goes on by itself. */
static bool follow(struct followed *f)
{
    struct ctx hurry;
    struct ctx end;
    bool more = follow_until(f, &f->ctx);

    if (more && signals_first(f->signals) == SIGHUP)
        return false;
    ctx_init_grace(&hurry, &f->ctx, INT64_MAX);
    ctx_init_cleanup(&end, INT64_MAX);
    if (more) {
        pass_on(f);
        more = follow_until(f, &hurry);
    }
    if (more) {
        pass_on(f);
        (void)follow_until(f, &end);
    }
    ctx_release(&end);
    ctx_release(&hurry);
    return true;
}

/* --- the end --- */

static int status_of(const struct followed *f)
{
    int code = (int)json_at_int(f->playback.ended, "exit_code");
    int first = signals_first(f->signals);

    /* For the run it was somebody who asked; for whoever waits for this process, the signal. */
    return f->cancelled && first && code == 128 + SIGTERM ? 128 + first : code;
}

static int conclude(struct followed *f)
{
    CLEANUP_FREE char *lost = NULL;

    if (f->playback.ended) {
        if (f->playback.planned)
            display_summary(f->display, &f->playback.root);
        return status_of(f);
    }
    lost = xasprintf("run %s is lost: its process was killed before it could say how the run ended",
                     f->options->run_id);
    display_say(f->display, lost);
    return CLI_EXIT_FAILED;
}

static int leave(struct followed *f)
{
    CLEANUP_FREE char *text = xasprintf("run %s goes on; runner exec --resume %s shows it",
                                        f->options->run_id, f->options->run_id);

    display_say(f->display, text);
    return 128 + SIGHUP;
}

static int first_signal(const void *signals)
{
    return signals_first(signals);
}

static int run(struct followed *f, bool *ret_goes_on)
{
    const struct display_end end = {&f->ctx, first_signal, f->signals, "runner"};
    bool ended = follow(f);
    int status = ended ? conclude(f) : leave(f);

    *ret_goes_on = !ended;
    return display_finish(steal_ptr(&f->display), &end, status);
}

static void release(struct followed *f)
{
    signals_stop(f->signals);
    display_drop(f->display, &f->ctx);
    playback_release(&f->playback);
    record_follow_close(f->follow);
    record_watch_close(f->watch);
    record_close(f->record);
    ctx_release(&f->ctx);
    ctx_signal_release(&f->hurry);
}

int cli_follow_run(const struct cli_follow_options *options, bool *ret_goes_on)
{
    struct followed f = {.options = options,
                         .ctx = {.cancel = {.event_fd = -1}},
                         .hurry = {.event_fd = -1},
                         .bus = EVENT_BUS_INIT};
    struct err err = ERR_INIT;
    bool goes_on = true;
    int status = CLI_EXIT_FAILED;

    if (begin(&f, &err) < 0)
        fprintf(stderr, "runner: %s\n", err.message);
    else
        status = run(&f, &goes_on);
    if (ret_goes_on)
        *ret_goes_on = goes_on;
    release(&f);
    return status;
}
