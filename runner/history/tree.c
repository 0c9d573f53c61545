#include "history/tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "event/json.h"
#include "event/read.h"

/* As much as a short run says. */
enum { WAITING_MAX = 256 * 1024 };

#define LOST_TEXT "the runner ended before it did: its outcome is unknown"

static int64_t time_of(const json_t *event)
{
    int64_t ms;

    return clock_parse_rfc3339(json_at_string(event, "time"), &ms) < 0 ? 0 : ms;
}

/* --- reading --- */

static int grow(struct told *told, const json_t *event, struct err *err)
{
    const json_t *tree = json_at(event, "tree");

    if (!tree)
        return 0;
    node_release(&told->root);
    told->root = (struct node){0};
    told->grown = true;
    return node_tree_from_json(tree, &told->root, err);
}

static int apply(struct told *told, const char *line, struct err *err)
{
    json_t *event = json_loads(line, 0, NULL);
    int result = 0;

    if (!event)
        return err_set(err, ERR_PROTOCOL, "an event is not JSON");
    told->time_ms = time_of(event);
    if (told->grown)
        result = event_apply(event, &told->root, err);
    json_decref(event);
    return result;
}

static int apply_waiting(struct told *told, struct err *err)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < told->waiting.len; i++)
        result = apply(told, told->waiting.items[i], err);
    strvec_release(&told->waiting);
    told->waiting_bytes = 0;
    return result;
}

struct reading {
    struct told *told;
    struct err *err;
    bool failed;
};

static int take_line(struct told *told, const struct record_event *event, struct err *err)
{
    told->last = event->seq;
    if (event->seq == 1) {
        told->began = json_loads(event->json, 0, NULL);
        told->time_ms = time_of(told->began);
        return grow(told, told->began, err);
    }
    if (strstr(event->json, "\"RunEnded\"")) {
        told->ended = json_loads(event->json, 0, NULL);
        told->time_ms = time_of(told->ended);
        if (!json_at(told->ended, "tree"))
            return apply_waiting(told, err);
        strvec_release(&told->waiting);
        return grow(told, told->ended, err);
    }
    strvec_push(&told->waiting, event->json);
    told->waiting_bytes += event->size;
    return told->waiting_bytes > WAITING_MAX ? apply_waiting(told, err) : 0;
}

static int on_line(void *arg, const struct record_event *event)
{
    struct reading *reading = arg;

    reading->failed = take_line(reading->told, event, reading->err) < 0;
    return reading->failed;
}

int told_read(const struct record *record, struct told *ret, struct err *err)
{
    struct reading reading = {ret, err, false};
    struct err why = ERR_INIT;
    int result = record_events_read(record, 0, on_line, &reading, &why);

    if (reading.failed || apply_waiting(ret, err) < 0)
        return -1;
    if (!ret->grown)
        ret->root.name = ret->root.own_name = json_at_dup(ret->began, "name");
    if (result < 0 && !ret->last)
        return err_set(err, why.code, "%s", why.message);
    return 0;
}

struct gathering {
    uint64_t last;
    struct strvec *out;
};

static int gather(void *arg, const struct record_event *event)
{
    const struct gathering *gathering = arg;

    if (event->seq > gathering->last)
        return 1;
    strvec_push(gathering->out, event->json);
    return 0;
}

int told_lines(const struct told *told, const struct record *record, uint64_t after,
               struct strvec *out, struct err *err)
{
    struct gathering gathering = {told->last, out};

    return record_events_read(record, after, gather, &gathering, err) < 0 ? -1 : 0;
}

void told_release(struct told *told)
{
    strvec_release(&told->waiting);
    json_decref(told->began);
    json_decref(told->ended);
    node_release(&told->root);
}

static void lose(struct node *node, int64_t now_ms)
{
    if (!state_is_final((enum state)node->state)) {
        bool ran = node->state == STATE_RUNNING || !node->parent;

        node->state = ran ? STATE_FAILED : STATE_SKIPPED;
        node->reason = ran ? REASON_LOST : REASON_DEPENDENCY;
        node->ended_at_ms = now_ms;
        if (node->started_at_ms && now_ms > node->started_at_ms)
            node->duration_ms = now_ms - node->started_at_ms;
        free(node->error);
        node->error = ran ? xstrdup(LOST_TEXT) : NULL;
    }
    for (uint32_t i = 0; i < node->child_count; i++)
        lose(&node->children[i], now_ms);
}

/* Nobody knows when the process ended: it is said to have when something was heard last. */
void told_lost(struct told *told)
{
    told->last++;
    lose(&told->root, told->time_ms ? told->time_ms : clock_wall_ms());
}

void told_row(const struct told *told, const struct record *record, struct store_run *ret)
{
    const struct node *root = &told->root;
    const json_t *code = json_at(told->ended, "exit_code");

    *ret = (struct store_run){
        .id = record_run_id(record),
        .name = root->name,
        .state = (enum state)root->state,
        .reason = (enum reason)root->reason,
        .origin = json_at_string(told->began, "origin"),
        .owner = json_at_string(told->began, "owner"),
        .submitted_ms = time_of(told->began),
        .started_ms = root->started_at_ms,
        .ended_ms = root->ended_at_ms,
        .error = root->error,
        .exit_status = code ? json_integer_value(code) : -1,
        .log_bytes = json_at_int(told->ended, "log.stored_bytes"),
        .directory = record_path(record),
    };
}
