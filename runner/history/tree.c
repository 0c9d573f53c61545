#include "history/tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "event/json.h"
#include "event/read.h"

#define LOST_TEXT "the runner ended before it did: its outcome is unknown"

static int64_t time_of(const json_t *event)
{
    int64_t ms;

    return clock_parse_rfc3339(json_at_string(event, "time"), &ms) < 0 ? 0 : ms;
}

static int apply(struct told *told, const char *line, struct err *err)
{
    json_t *event = json_loads(line, 0, NULL);
    int result = 0;

    if (!event)
        return err_set(err, ERR_PROTOCOL, "event %zu is not JSON", told->lines.len);
    if (told->grown)
        result = event_apply(event, &told->root, err);
    json_decref(event);
    return result;
}

static int grow(struct told *told, const json_t *event, struct err *err)
{
    const json_t *tree = json_at(event, "tree");

    if (!tree)
        return 0;
    told->grown = true;
    return node_tree_from_json(tree, &told->root, err);
}

/* The end has the whole tree: what lies between need not be understood. */
static int make_tree(struct told *told, struct err *err)
{
    const struct strvec *lines = &told->lines;

    if (!lines->len)
        return 0;
    told->began = json_loads(lines->items[0], 0, NULL);
    if (strstr(lines->items[lines->len - 1], "\"RunEnded\""))
        told->ended = json_loads(lines->items[lines->len - 1], 0, NULL);
    if (json_at(told->ended, "tree"))
        return grow(told, told->ended, err);
    if (grow(told, told->began, err) < 0)
        return -1;
    for (size_t i = 1; i < lines->len; i++) {
        if (apply(told, lines->items[i], err) < 0)
            return -1;
    }
    return 0;
}

static int add_line(void *arg, const struct record_event *event)
{
    struct told *told = arg;

    strvec_push(&told->lines, event->json);
    return 0;
}

int told_read(const struct record *record, struct told *ret, struct err *err)
{
    struct err why = ERR_INIT;
    int damaged = record_events_read(record, 0, add_line, ret, &why);

    if (make_tree(ret, err) < 0)
        return -1;
    if (!ret->grown)
        ret->root.name = ret->root.own_name = json_at_dup(ret->began, "name");
    if (damaged < 0 && !ret->lines.len)
        return err_set(err, why.code, "%s", why.message);
    return 0;
}

void told_release(struct told *told)
{
    strvec_release(&told->lines);
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

/* When something was heard last: nobody knows when the process ended. */
static int64_t last_heard(const struct told *told)
{
    json_t *event =
        told->lines.len ? json_loads(told->lines.items[told->lines.len - 1], 0, NULL) : NULL;
    int64_t ms = time_of(event);

    json_decref(event);
    return ms ? ms : clock_wall_ms();
}

void told_lost(struct told *told, const char *run_id)
{
    int64_t now_ms = last_heard(told);
    char time[CLOCK_RFC3339_SIZE];
    json_t *event;
    char *line;

    clock_rfc3339(now_ms, time);
    lose(&told->root, now_ms);
    event = json_pack("{s:I, s:s, s:s, s:s, s:s}", "seq", (json_int_t)told->lines.len + 1, "event",
                      "RunLost", "time", time, "id", run_id, "status", "failed");
    line = json_dumps(event, JSON_COMPACT);
    strvec_push_owned(&told->lines, line);
    json_decref(event);
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
