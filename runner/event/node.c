#include "event/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "event/event.h"

static const char *const level_names[] = {"pipeline", "stage", "job", "step", "service"};

const char *node_level_name(enum node_level level)
{
    return level_names[level];
}

void node_id(const struct node *node, const char *run_id, struct buf *out)
{
    if (!node->parent) {
        buf_addstr(out, run_id);
        return;
    }
    node_id(node->parent, run_id, out);
    if (node->level == NODE_SERVICE) {
        buf_addf(out, ".%s", node->name);
        return;
    }
    buf_addf(out, ".%u", node->index);
}

static void add_prefix(const struct node *node, struct buf *out)
{
    if (!node->parent)
        return;
    add_prefix(node->parent, out);
    if (node->level == NODE_SERVICE)
        buf_addstr(out, "[service: ");
    else
        buf_addf(out, "[%s(%u/%u): ", node_level_name(node->level), node->index + 1,
                 node->parent->child_count);
    utf8_add_visible(out, node->name);
    buf_addch(out, ']');
}

void node_prefix(const struct node *node, struct buf *out)
{
    if (node->parent)
        add_prefix(node, out);
    else
        buf_addstr(out, "[workflow]");
}

void node_add_children(struct node *node, uint32_t count)
{
    struct node *root = node;

    while (root->parent)
        root = root->parent;
    node->children = xcalloc(count, sizeof(*node->children));
    node->child_count = count;
    for (uint32_t i = 0; i < count; i++) {
        node->children[i].parent = node;
        node->children[i].index = i;
        node->children[i].number = ++root->last_number;
        node->children[i].level = (uint8_t)(node->level + 1);
    }
}

void node_set_name(const struct event_bus *bus, struct node *node, const char *name)
{
    free(node->own_name);
    node->own_name = mask_text(bus->mask, name);
    node->name = node->own_name ? node->own_name : name;
}

/* A copy of a text that may hold secrets, without them. */
static char *clean_copy(const struct event_bus *bus, const char *text)
{
    char *masked = mask_text(bus->mask, text);

    return masked ? masked : xstrdup_null(text);
}

void node_set_state(struct event_bus *bus, struct node *node, enum state state,
                    const struct node_result *result)
{
    struct event event = {.type = EVENT_STATE, .node = node};

    if (!state_may_become(node->state, state)) {
        fprintf(stderr, "runner: internal error: %s \"%s\" cannot go from %s to %s\n",
                node_level_name(node->level), node->name, state_name(node->state),
                state_name(state));
        abort();
    }
    event.time_ms = clock_wall_ms();
    pthread_mutex_lock(&bus->mu);
    node->state = (uint8_t)state;
    if (state == STATE_RUNNING) {
        node->started_at_ms = event.time_ms;
        node->started_mono_ms = node->attempt_mono_ms = clock_monotonic_ms();
        node->attempt = 1;
    } else {
        node->ended_at_ms = event.time_ms;
        node->ended_mono_ms = clock_monotonic_ms();
        if (node->started_at_ms)
            node->duration_ms = node->ended_mono_ms - node->started_mono_ms;
    }
    if (result) {
        node->reason = (uint8_t)result->reason;
        node->has_exit_code = result->has_exit_code;
        node->exit_code = result->exit_code;
        node->allowed = result->allowed;
        node->by_engine = result->by_engine;
        node->error = clean_copy(bus, result->error);
        node->message = clean_copy(bus, result->message);
        node->tail = clean_copy(bus, result->tail);
    }
    event_bus_deliver(bus, &event);
    pthread_mutex_unlock(&bus->mu);
}

static void release_own(struct node *node)
{
    for (uint32_t i = 0; i + 1 < node->attempt; i++)
        free(node->attempts[i].error);
    free(node->attempts);
    strmap_release(&node->outputs);
    strmap_release(&node->cleaned);
    free(node->error);
    free(node->message);
    free(node->tail);
}

void node_clear(struct node *node)
{
    release_own(node);
    memset((char *)node + offsetof(struct node, state), 0,
           sizeof(*node) - offsetof(struct node, state));
}

void node_clear_children(struct node *node)
{
    for (uint32_t i = 0; i < node->child_count; i++) {
        node_clear_children(&node->children[i]);
        node_clear(&node->children[i]);
    }
}

void node_retry(struct event_bus *bus, struct node *node, const struct node_result *result,
                int64_t delay_ms)
{
    int64_t now_ms = clock_monotonic_ms();
    struct node_attempt *attempt;
    struct event event = {.type = EVENT_RETRY,
                          .node = node,
                          .time_ms = clock_wall_ms(),
                          .delay_ms = delay_ms};

    pthread_mutex_lock(&bus->mu);
    node->attempts = xreallocarray(node->attempts, node->attempt, sizeof(*node->attempts));
    attempt = &node->attempts[node->attempt - 1];
    *attempt = (struct node_attempt){.reason = result->reason,
                                     .has_exit_code = result->has_exit_code,
                                     .exit_code = result->exit_code,
                                     .duration_ms = now_ms - node->attempt_mono_ms,
                                     .error = clean_copy(bus, result->error)};
    event.attempt = attempt;
    event_bus_deliver(bus, &event);
    node->attempt++;
    node->attempt_mono_ms = now_ms + delay_ms;
    node_clear_children(node);
    pthread_mutex_unlock(&bus->mu);
}

void node_add_outputs(struct event_bus *bus, struct node *node, const struct strmap *outputs)
{
    pthread_mutex_lock(&bus->mu);
    strmap_merge(&node->outputs, outputs);
    strmap_foreach (output, outputs) {
        CLEANUP_FREE char *masked = mask_text(bus->mask, output->value);

        if (masked)
            strmap_set(&node->cleaned, output->key, masked);
        else
            strmap_remove(&node->cleaned, output->key);
    }
    pthread_mutex_unlock(&bus->mu);
}

bool node_has_failed(const struct node *node)
{
    return node->state == STATE_FAILED && !node->allowed;
}

const char *node_message(const struct node *node)
{
    return node->message ? node->message : node->error;
}

void node_move(struct node *to, struct node *from)
{
    *to = *from;
    for (uint32_t i = 0; i < to->child_count; i++)
        to->children[i].parent = to;
    *from = (struct node){0};
}

void node_release(struct node *node)
{
    for (uint32_t i = 0; i < node->child_count; i++)
        node_release(&node->children[i]);
    free(node->children);
    free(node->own_name);
    free(node->own_host);
    release_own(node);
}
