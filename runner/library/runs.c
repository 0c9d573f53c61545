/* Runs that are recorded: how they are, waiting for them, ending them. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "control/control.h"
#include "library/library.h"
#include "record/events.h"
#include "record/watch.h"

#define LOST "the runner ended before it did: its outcome is unknown"

/* --- status --- */

static int64_t time_of(const json_t *event)
{
    int64_t ms;

    return clock_parse_rfc3339(json_at_string(event, "time"), &ms) < 0 ? 0 : ms;
}

static void set_text(char **member, const char *text)
{
    free(*member);
    *member = xstrdup(text);
}

static void take_outcome(struct runner_status *status, const json_t *event)
{
    int state = state_find(json_at_string(event, "status"));
    int reason = reason_find(json_at_string(event, "reason"));

    if (state >= 0)
        status->state = (enum state)state;
    status->reason = reason >= 0 ? (enum reason)reason : REASON_NONE;
    set_text(&status->error, json_at_string(event, "error"));
}

static void take_end(struct runner_status *status, const json_t *event)
{
    const char *text = json_at_string(event, "text");
    const json_t *code = json_at(event, "exit_code");

    if (json_at(event, "status"))
        take_outcome(status, event);
    if (*text)
        set_text(&status->error, text);
    status->exit_status = code ? (int)json_integer_value(code) : -1;
    status->ended_ms = time_of(event);
}

/* Of the others, which are many, nothing is needed. */
static bool is_of_pipeline(const char *json)
{
    return strstr(json, "\"level\":\"pipeline\"") != NULL;
}

static int take_event(void *arg, const struct record_event *line)
{
    struct runner_status *status = arg;
    bool ended = strstr(line->json, "\"RunEnded\"") != NULL;
    json_t *event;
    const char *name;

    if (line->seq > 1 && !ended && !is_of_pipeline(line->json))
        return 0;
    event = json_loads(line->json, 0, NULL);
    name = json_at_string(event, "event");
    if (line->seq == 1) {
        status->began_ms = time_of(event);
    } else if (strcmp(name, "RunEnded") == 0) {
        take_end(status, event);
    } else if (strcmp(name, "RunPlanned") == 0) {
        set_text(&status->name, json_at_string(event, "name"));
        status->state = STATE_RUNNING;
    } else if (strcmp(json_at_string(event, "level"), "pipeline") == 0 &&
               json_at(event, "status")) {
        take_outcome(status, event);
    }
    json_decref(event);
    return 0;
}

static int read_status(const struct record *record, struct runner_status *ret, struct err *err)
{
    bool written =
        record_is_written(record); /* asked first: what it wrote last is read behind it */

    *ret = (struct runner_status){.exit_status = -1, .name = xstrdup(""), .error = xstrdup("")};
    if (record_events_read(record, 0, take_event, ret, err) < 0) {
        runner_status_release(ret);
        return -1;
    }
    ret->goes_on = written;
    if (!written && !ret->ended_ms) {
        ret->state = STATE_FAILED;
        ret->reason = REASON_LOST;
        set_text(&ret->error, LOST);
    }
    return 0;
}

void runner_status_release(struct runner_status *status)
{
    free(status->name);
    free(status->error);
    status->name = status->error = NULL;
}

int runner_status(struct runner *runner, const char *id, struct runner_status *ret, struct err *err)
{
    CLEANUP_RECORD struct record *record = NULL;

    return record_open(runner->runs, id, &record, err) < 0 ? -1 : read_status(record, ret, err);
}

/* --- waiting --- */

static int wait_for_end(const struct ctx *ctx, const struct record *record, struct err *err)
{
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;

    record_watch_open(record, &watch);
    while (record_is_written(record)) {
        if (record_watch_wait(watch, ctx, -1, err) < 0)
            return -1;
    }
    return 0;
}

int runner_wait(const struct ctx *ctx, struct runner *runner, const char *id,
                struct runner_status *ret, struct err *err)
{
    CLEANUP_RECORD struct record *record = NULL;

    if (record_open(runner->runs, id, &record, err) < 0 ||
        wait_for_end(library_ctx(runner, ctx), record, err) < 0)
        return -1;
    return ret ? read_status(record, ret, err) : 0;
}

int runner_execute(const struct ctx *ctx, struct runner *runner,
                   const struct runner_pipeline *pipeline, struct runner_status *ret,
                   struct err *err)
{
    char id[RUNNER_ID_SIZE];
    struct err why = ERR_INIT;

    if (runner_start(ctx, runner, pipeline, id, err) < 0)
        return -1;
    if (runner_wait(ctx, runner, id, ret, &why) == 0)
        return 0;
    if (!ctx || !ctx_done(ctx))
        return err_set(err, why.code, "%s", why.message);
    if (runner_cancel(NULL, runner, id, why.message, NULL, &why) < 0 && why.code != ERR_CONFLICT)
        return err_set(err, why.code, "%s", why.message);
    return runner_wait(NULL, runner, id, ret, err);
}

/* --- ending --- */

int runner_cancel(const struct ctx *ctx, struct runner *runner, const char *id, const char *reason,
                  const char *by, struct err *err)
{
    return control_cancel(library_ctx(runner, ctx), runner->runs, id, reason, by, err);
}

int runner_hurry(const struct ctx *ctx, struct runner *runner, const char *id, struct err *err)
{
    return control_hurry(library_ctx(runner, ctx), runner->runs, id, err);
}

static void copy_started(struct runner *runner, struct strvec *out)
{
    pthread_mutex_lock(&runner->mu);
    strvec_extend(out, runner->started.items);
    pthread_mutex_unlock(&runner->mu);
}

int runner_stop(const struct ctx *ctx, struct runner *runner, const char *reason, struct err *err)
{
    CLEANUP_STRVEC struct strvec ids = {0};
    struct err first = ERR_INIT;

    copy_started(runner, &ids);
    for (size_t i = 0; i < ids.len; i++) {
        struct err why = ERR_INIT;

        /* It has ended by itself, or was deleted since. */
        if (runner_cancel(ctx, runner, ids.items[i], reason, NULL, &why) < 0 &&
            why.code != ERR_CONFLICT && why.code != ERR_NOT_FOUND && !first.code)
            first = why;
    }
    for (size_t i = 0; i < ids.len; i++) {
        struct err why = ERR_INIT;

        if (runner_wait(ctx, runner, ids.items[i], NULL, &why) < 0 && why.code != ERR_NOT_FOUND &&
            !first.code)
            first = why;
    }
    return first.code ? err_set(err, first.code, "%s", first.message) : 0;
}
