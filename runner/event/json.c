#include "event/json.h"

#include <string.h>

#include "base/json_text.h"
#include "base/utf8.h"

static const char *const children_keys[] = {"stages", "jobs", "steps"};

json_t *strmap_to_json(const struct strmap *map)
{
    json_t *object = json_object();

    strmap_foreach (entry, map) {
        if (utf8_valid(entry->key, strlen(entry->key)))
            json_object_set_new(object, entry->key, json_safe_string(entry->value));
    }
    return object;
}

static void set_end(json_t *object, const struct node *node)
{
    static const char *const keys[STATE_COUNT] = {
        [STATE_SUCCEEDED] = "succeed_at",
        [STATE_FAILED] = "failed_at",
        [STATE_CANCELLED] = "cancelled_at",
        [STATE_SKIPPED] = "skipped_at",
    };

    if (!node->ended_at_ms)
        return;
    json_set_time(object, keys[node->state], node->ended_at_ms);
    json_object_set_new(object, "duration_ms", json_integer(node->duration_ms));
}

static json_t *attempt_to_json(const struct node_attempt *attempt)
{
    json_t *object = json_object();

    json_object_set_new(object, "reason", json_string(reason_name(attempt->reason)));
    if (attempt->has_exit_code)
        json_object_set_new(object, "exit_code", json_integer(attempt->exit_code));
    if (attempt->error)
        json_object_set_new(object, "error", json_safe_string(attempt->error));
    json_object_set_new(object, "duration_ms", json_integer(attempt->duration_ms));
    return object;
}

static json_t *earlier_attempts(const struct node *node)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i + 1 < node->attempt; i++)
        json_array_append_new(list, attempt_to_json(&node->attempts[i]));
    return list;
}

static json_t *outputs_to_json(const struct node *node)
{
    json_t *object = strmap_to_json(&node->outputs);
    json_t *cleaned = strmap_to_json(&node->cleaned);

    json_object_update(object, cleaned);
    json_decref(cleaned);
    return object;
}

json_t *node_to_json(const struct node *node, const char *run_id)
{
    CLEANUP_BUF struct buf id = BUF_INIT;
    json_t *object = json_object();

    node_id(node, run_id, &id);
    json_object_set_new(object, "id", json_string(id.data));
    json_object_set_new(object, "level",
                        json_string(node_level_name((enum node_level)node->level)));
    json_object_set_new(object, "name", json_safe_string(node->name));
    if (node->host)
        json_object_set_new(object, "host", json_safe_string(node->host));
    json_object_set_new(object, "status", json_string(state_name((enum state)node->state)));
    if (node->reason != REASON_NONE)
        json_object_set_new(object, "reason", json_string(reason_name((enum reason)node->reason)));
    if (node->has_exit_code)
        json_object_set_new(object, "exit_code", json_integer(node->exit_code));
    if (node->allowed)
        json_object_set_new(object, "allowed_failure", json_true());
    if (node->attempt)
        json_object_set_new(object, "attempt", json_integer(node->attempt));
    if (node->attempt > 1 && state_is_final((enum state)node->state))
        json_object_set_new(object, "attempts", earlier_attempts(node));
    if (node->started_at_ms)
        json_set_time(object, "started_at", node->started_at_ms);
    set_end(object, node);
    if (node->error)
        json_object_set_new(object, "error", json_safe_string(node->error));
    if (node->message)
        json_object_set_new(object, "message", json_safe_string(node->message));
    if (node->tail)
        json_object_set_new(object, "tail", json_safe_string(node->tail));
    if (node->by_engine)
        json_object_set_new(object, "by_engine", json_true());
    if (node->outputs.len && state_is_final((enum state)node->state))
        json_object_set_new(object, "outputs", outputs_to_json(node));
    return object;
}

json_t *node_tree_to_json(const struct node *node, const char *run_id)
{
    json_t *object = node_to_json(node, run_id);
    json_t *children;

    if (node->level == NODE_STEP)
        return object;
    children = json_array();
    for (uint32_t i = 0; i < node->child_count; i++)
        json_array_append_new(children, node_tree_to_json(&node->children[i], run_id));
    json_object_set_new(object, children_keys[node->level], children);
    return object;
}

/* What an event says beside its node. */
static void set_content(json_t *object, const struct event *event)
{
    json_t *attempt;

    if (event->type == EVENT_NOTE || event->type == EVENT_PROGRESS)
        json_object_set_new(object, "text", json_safe_string(event->text));
    if (event->type != EVENT_RETRY)
        return;
    attempt = attempt_to_json(event->attempt);
    json_object_set_new(object, "attempt", json_integer(event->node->attempt));
    json_object_update(object, attempt);
    json_object_set_new(object, "delay_ms", json_integer(event->delay_ms));
    json_decref(attempt);
}

void json_write_open(json_t *object, struct buf *out)
{
    char *text = json_dumps(object, JSON_COMPACT);

    if (text)
        buf_add(out, text, strlen(text) - strlen("}"));
    else
        buf_addstr(out, "{\"error\":\"out of memory\"");
    free(text);
    json_decref(object);
}

void node_tree_write(const struct node *node, const char *run_id, struct buf *out)
{
    json_write_open(node_to_json(node, run_id), out);
    if (node->level < NODE_STEP) {
        buf_addf(out, ",\"%s\":[", children_keys[node->level]);
        for (uint32_t i = 0; i < node->child_count; i++) {
            if (i)
                buf_addch(out, ',');
            node_tree_write(&node->children[i], run_id, out);
        }
        buf_addch(out, ']');
    }
    buf_addch(out, '}');
}

json_t *event_to_json(const struct event *event, const char *run_id)
{
    CLEANUP_BUF struct buf name = BUF_INIT;
    CLEANUP_BUF struct buf id = BUF_INIT;
    json_t *object = json_object();

    event_name(event, &name);
    json_object_set_new(object, "event", json_string(name.data));
    json_set_time(object, "time", event->time_ms);
    if (event->type == EVENT_STATE) {
        json_t *state = node_to_json(event->node, run_id);

        json_object_update(object, state);
        json_decref(state);
        return object;
    }
    node_id(event->node, run_id, &id);
    json_object_set_new(object, "id", json_string(id.data));
    set_content(object, event);
    return object;
}
