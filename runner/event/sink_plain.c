#include "event/sink_plain.h"

#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "event/advice.h"
#include "event/cells.h"

enum { SUMMARY_TAIL_LINES = 20 };

static const char *const state_colors[STATE_COUNT] = {
    [STATE_SUCCEEDED] = "\033[32m", [STATE_FAILED] = "\033[31m",  [STATE_CANCELLED] = "\033[33m",
    [STATE_SKIPPED] = "\033[2m",    [STATE_RUNNING] = "\033[36m",
};

static void add_time(const struct sink_plain *plain, int64_t time_ms, struct buf *out)
{
    char time[CLOCK_RFC3339_SIZE];

    if (!plain->timestamps)
        return;
    clock_rfc3339(time_ms, time);
    buf_addf(out, "%s ", time);
}

static void add_colored(const struct sink_plain *plain, enum state state, const char *text,
                        struct buf *out)
{
    if (plain->color && state_colors[state])
        buf_addf(out, "%s%s\033[0m", state_colors[state], text);
    else
        buf_addstr(out, text);
}

static void add_duration(const struct node *node, struct buf *out)
{
    char duration[CLOCK_DURATION_SIZE];

    if (!node->started_at_ms)
        return;
    clock_format_duration(node->duration_ms, duration, sizeof(duration));
    buf_addf(out, " (%s)", duration);
}

static void show_state(struct sink_plain *plain, const struct event *event)
{
    const struct node *node = event->node;
    enum state state = (enum state)node->state;
    struct buf *out = output_queue_begin(plain->queue);

    add_time(plain, event->time_ms, out);
    node_prefix(node, out);
    buf_addch(out, ' ');
    add_colored(plain, state,
                state == STATE_RUNNING     ? "start"
                : state == STATE_SUCCEEDED ? "done"
                                           : state_name(state),
                out);
    if (node->allowed)
        buf_addstr(out, ", which is allowed");
    if (node_message(node)) {
        buf_addstr(out, ": ");
        utf8_add_visible(out, node_message(node));
    }
    if (state_is_final(state))
        add_duration(node, out);
    buf_addch(out, '\n');
    output_queue_commit(plain->queue, STDERR_FILENO);
}

static void show_log(struct sink_plain *plain, const struct event *event)
{
    CLEANUP_BUF struct buf prefix = BUF_INIT;
    struct buf *out;
    const char *at = event->data;
    const char *end = at + event->size;
    bool continued = event->continued;

    add_time(plain, event->time_ms, &prefix);
    node_prefix(event->node, &prefix);
    buf_addch(&prefix, ' ');
    out = output_queue_begin(plain->queue);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;

        buf_reserve(out, prefix.len + (size_t)(stop - at) + 1);
        buf_add(out, prefix.data, prefix.len);
        if (continued)
            out->data[out->len - 1] = '+';
        buf_add(out, at, (size_t)(stop - at));
        buf_addch(out, '\n');
        continued = false;
        at = stop + 1;
    }
    output_queue_commit(plain->queue,
                        event->stream == EVENT_STDOUT ? STDOUT_FILENO : STDERR_FILENO);
}

static void show_retry(struct sink_plain *plain, const struct event *event)
{
    struct buf *out = output_queue_begin(plain->queue);
    char delay[CLOCK_DURATION_SIZE];

    add_time(plain, event->time_ms, out);
    node_prefix(event->node, out);
    buf_addf(out, " attempt %u failed: ", event->node->attempt);
    utf8_add_visible(out, event->attempt->error ? event->attempt->error : "");
    clock_format_duration(event->delay_ms, delay, sizeof(delay));
    buf_addf(out, "; trying again%s%s\n", event->delay_ms ? " in " : "",
             event->delay_ms ? delay : "");
    output_queue_commit(plain->queue, STDERR_FILENO);
}

static void show_note(struct sink_plain *plain, const struct event *event)
{
    struct buf *out = output_queue_begin(plain->queue);

    add_time(plain, event->time_ms, out);
    node_prefix(event->node, out);
    buf_addch(out, ' ');
    utf8_add_visible(out, event->text);
    buf_addch(out, '\n');
    output_queue_commit(plain->queue, STDERR_FILENO);
}

static void handle(struct event_sink *sink, const struct event *event)
{
    struct sink_plain *plain = (struct sink_plain *)sink;

    switch (event->type) {
    case EVENT_STATE:
        show_state(plain, event);
        break;
    case EVENT_LOG:
        show_log(plain, event);
        break;
    case EVENT_NOTE:
        show_note(plain, event);
        break;
    case EVENT_RETRY:
        show_retry(plain, event);
        break;
    case EVENT_PROGRESS:
        if (event->due)
            show_note(plain, event);
        break;
    }
}

static int room_fd(struct event_sink *sink)
{
    return output_queue_room_fd(((struct sink_plain *)sink)->queue);
}

void sink_plain_init(struct sink_plain *plain, struct output_queue *queue, bool color,
                     bool timestamps)
{
    *plain = (struct sink_plain){.sink = {.handle = handle, .room_fd = room_fd},
                                 .queue = queue,
                                 .color = color,
                                 .timestamps = timestamps};
}

static void add_row(struct sink_plain *plain, const struct node *node, struct buf *out)
{
    static const char *const indents[] = {"", "  ", "    ", "      "};
    char duration[CLOCK_DURATION_SIZE] = "-";
    CLEANUP_BUF struct buf state = BUF_INIT;

    if (node->started_at_ms)
        clock_format_duration(node->duration_ms, duration, sizeof(duration));
    buf_addf(&state, "%-9s", state_name((enum state)node->state));
    buf_addstr(out, "  ");
    add_colored(plain, (enum state)node->state, state.data, out);
    buf_addf(out, "  %8s  %8u  %s%s ", duration, node->attempt, indents[node->level],
             node_level_name((enum node_level)node->level));
    utf8_add_visible(out, node->name);
    if (node->reason != REASON_NONE && node->reason != REASON_ERROR)
        buf_addf(out, " (%s)", reason_name((enum reason)node->reason));
    if (node->allowed)
        buf_addstr(out, " (allowed to fail)");
    buf_addch(out, '\n');
    for (uint32_t i = 0; i < node->child_count; i++)
        add_row(plain, &node->children[i], out);
}

/* What a program wrote for a terminal must not steer this one in the middle of a table. */
static void add_tail(const struct sink_plain *plain, const char *tail, struct buf *out)
{
    const struct cells_look look = {.color = plain->color};
    struct ansi_style style = {0};

    buf_addf(out, "  last output (at most %d lines):\n", SUMMARY_TAIL_LINES);
    while (*tail) {
        size_t len = strcspn(tail, "\n");

        buf_addstr(out, "    | ");
        cells_add(out, tail, len, CELLS_ALL, look, &style);
        buf_addch(out, '\n');
        tail += len + (tail[len] == '\n');
    }
}

static void add_failure(const struct sink_plain *plain, const struct node *node, struct buf *out)
{
    const char *advice = advice_for(node);

    buf_addch(out, '\n');
    node_prefix(node, out);
    buf_addf(out, " %s\n", state_name((enum state)node->state));
    if (node->tail)
        add_tail(plain, node->tail, out);
    if (node_message(node)) {
        buf_addstr(out, "  cause: ");
        utf8_add_visible(out, node_message(node));
        buf_addch(out, '\n');
    }
    for (uint32_t i = 0; i + 1 < node->attempt; i++) {
        buf_addf(out, "  attempt %u: ", i + 1);
        utf8_add_visible(out, node->attempts[i].error ? node->attempts[i].error : "");
        buf_addch(out, '\n');
    }
    if (*advice)
        buf_addf(out, "  next:  %s\n", advice);
}

static void add_failures(const struct sink_plain *plain, const struct node *node, struct buf *out)
{
    bool own = node->state == STATE_FAILED && node_message(node);

    for (uint32_t i = 0; i < node->child_count; i++) {
        add_failures(plain, &node->children[i], out);
        own = own && node->children[i].state != STATE_FAILED;
    }
    if (own)
        add_failure(plain, node, out);
}

void sink_plain_summary(struct sink_plain *plain, const struct node *root, const char *run_id)
{
    sink_plain_write_summary(plain, root, run_id, STDERR_FILENO);
}

void sink_plain_write_summary(struct sink_plain *plain, const struct node *root, const char *run_id,
                              int fd)
{
    struct buf *out = output_queue_begin(plain->queue);

    buf_addf(out, "\n  %-9s  %8s  %8s  %s\n", "STATE", "DURATION", "ATTEMPTS", "NAME");
    add_row(plain, root, out);
    add_failures(plain, root, out);
    buf_addf(out, "\nrun %s ", run_id);
    add_colored(plain, (enum state)root->state, state_name((enum state)root->state), out);
    add_duration(root, out);
    buf_addch(out, '\n');
    output_queue_commit(plain->queue, fd);
}
