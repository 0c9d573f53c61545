#include "history/row_json.h"

#include "base/clock.h"
#include "base/json_text.h"

int64_t history_row_duration(const struct store_run *run)
{
    int64_t end_ms = run->ended_ms ? run->ended_ms : clock_wall_ms();

    return run->started_ms && end_ms > run->started_ms ? end_ms - run->started_ms : 0;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text && *text)
        json_object_set_new(object, key, json_safe_string(text));
}

json_t *history_row_to_json(const struct store_run *run)
{
    json_t *object = json_object();

    json_object_set_new(object, "id", json_string(run->id));
    json_object_set_new(object, "name", json_safe_string(run->name));
    json_object_set_new(object, "status", json_string(state_name(run->state)));
    set_text(object, "reason", reason_name(run->reason));
    set_text(object, "error", run->error);
    set_text(object, "origin", run->origin);
    json_set_time(object, "submitted_at", run->submitted_ms);
    json_set_time(object, "started_at", run->started_ms);
    json_set_time(object, "ended_at", run->ended_ms);
    json_object_set_new(object, "duration_ms", json_integer(history_row_duration(run)));
    json_object_set_new(object, "log_bytes", json_integer(run->log_bytes));
    return object;
}
