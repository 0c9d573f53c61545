#include "history/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json_at.h"
#include "event/json.h"
#include "event/read.h"
#include "record/log.h"

/* As much as a short run says. */
enum {
    WAITING_MAX = 256 * 1024,
    CLOCK_SET_MS = 1000, /* and 1% of a duration: a clock that is only corrected */
};

#define LOST_TEXT "the runner ended before it did: its outcome is unknown"

static int64_t time_of(const json_t *event)
{
    int64_t ms;

    return clock_parse_rfc3339(json_at_string(event, "time"), &ms) < 0 ? 0 : ms;
}

/* --- reading --- */

static void grow(struct told *told, const json_t *event)
{
    const json_t *tree = json_at(event, "tree");
    struct node root = {0};

    if (!tree || node_tree_from_json(tree, &root, NULL) < 0) {
        node_release(&root);
        return;
    }
    node_release(&told->root);
    node_move(&told->root, &root);
    told->grown = true;
}

static void apply(struct told *told, const char *line)
{
    json_t *event = json_loads(line, 0, NULL);

    if (time_of(event))
        told->time_ms = time_of(event);
    if (json_at(event, "tree"))
        grow(told, event);
    else if (event && told->grown)
        (void)!event_apply(event, &told->root, NULL);
    json_decref(event);
}

static void apply_waiting(struct told *told)
{
    for (size_t i = 0; i < told->waiting.len; i++)
        apply(told, told->waiting.items[i]);
    strvec_release(&told->waiting);
    told->waiting_bytes = 0;
}

/* Takes it as the last if it is. */
static bool take_end(struct told *told, const char *line)
{
    json_t *event = strstr(line, "\"RunEnded\"") ? json_loads(line, 0, NULL) : NULL;

    if (strcmp(json_at_string(event, "event"), "RunEnded") != 0) {
        json_decref(event);
        return false;
    }
    json_decref(told->ended);
    told->ended = event;
    told->time_ms = time_of(event);
    if (json_at(event, "tree"))
        strvec_release(&told->waiting);
    apply_waiting(told);
    grow(told, event);
    return true;
}

static void take_line(struct told *told, const struct record_event *event)
{
    told->last = event->seq;
    if (event->seq == 1) {
        told->began = json_loads(event->json, 0, NULL);
        apply(told, event->json);
        return;
    }
    if (take_end(told, event->json))
        return;
    strvec_push(&told->waiting, event->json);
    told->waiting_bytes += event->size;
    if (told->waiting_bytes > WAITING_MAX)
        apply_waiting(told);
}

void told_read(const struct record *record, struct told *ret)
{
    struct record_event event;
    enum record_got got;

    if (!ret->events)
        record_events_open(record, 0, &ret->events);
    while ((got = record_events_next(ret->events, &event, NULL)) == RECORD_ITEM ||
           got == RECORD_DAMAGED) {
        if (got == RECORD_ITEM)
            take_line(ret, &event);
    }
    apply_waiting(ret);
    if (!ret->grown && !ret->root.own_name)
        ret->root.name = ret->root.own_name = json_at_dup(ret->began, "name");
}

void told_lines(const struct told *told, struct record_events *events, uint64_t after,
                struct strvec *out)
{
    struct record_event event;
    enum record_got got;
    uint64_t next = after + 1;

    while (next <= told->last && ((got = record_events_next(events, &event, NULL)) == RECORD_ITEM ||
                                  got == RECORD_DAMAGED)) {
        if (got == RECORD_DAMAGED)
            continue;
        for (; next < event.seq && next <= told->last; next++)
            strvec_push(out, "{}");
        if (next <= told->last)
            strvec_push(out, event.json);
        next++;
    }
}

void told_release(struct told *told)
{
    record_events_close(told->events);
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

/* Nobody knows when the process ended: it is said to have when something was heard last, an event
 * or output. */
static int64_t last_heard(const struct told *told, const struct record *record)
{
    CLEANUP_FREE char *index = fs_join(record_path(record), "log.index");
    struct stat st;
    int64_t ms = told->time_ms;

    if (stat(index, &st) == 0 && st.st_size > 0 && st.st_mtim.tv_sec * INT64_C(1000) > ms)
        ms = st.st_mtim.tv_sec * INT64_C(1000) + st.st_mtim.tv_nsec / 1000000;
    return ms ? ms : clock_wall_ms();
}

void told_lost(struct told *told, const struct record *record)
{
    told->last++;
    lose(&told->root, last_heard(told, record));
}

static int64_t log_bytes(const struct told *told, const struct record *record)
{
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    struct record_log_totals totals = {0};

    if (told->ended)
        return json_at_int(told->ended, "log.stored_bytes");
    record_log_open(record, NULL, &log);
    return record_log_totals(log, &totals, NULL) < 0 ? 0 : (int64_t)totals.stored_bytes;
}

/* A run that ended before there was a tree has said how, or has failed. */
static void row_without_tree(const struct told *told, struct store_run *row)
{
    int state = state_find(json_at_string(told->ended, "status"));

    if (!told->ended || state_is_final(row->state))
        return;
    row->state = state >= 0 && state_is_final((enum state)state) ? (enum state)state : STATE_FAILED;
    row->reason = row->state == STATE_FAILED ? REASON_ERROR : REASON_NONE;
    row->ended_ms = told->time_ms;
    if (!row->error)
        row->error = json_at_string(told->ended, "text");
}

/* A clock that was set meanwhile has the end before the beginning, or hours behind it. The end
 * stays as it was told, from which the age counts; the beginning is put where it was by the new
 * clock. */
static int64_t started_ms(const struct node *root)
{
    int64_t wall_ms = root->ended_at_ms - root->started_at_ms;
    int64_t amiss_ms = wall_ms - root->duration_ms;

    if (!root->started_at_ms || !root->ended_at_ms ||
        (wall_ms >= 0 && llabs(amiss_ms) < CLOCK_SET_MS + root->duration_ms / 100))
        return root->started_at_ms;
    return root->ended_at_ms - root->duration_ms;
}

void told_row(const struct told *told, const struct record *record, struct store_run *ret)
{
    const struct node *root = &told->root;
    const json_t *code = json_at(told->ended, "exit_code");
    const char *text = json_at_string(told->ended, "text");

    *ret = (struct store_run){
        .id = record_run_id(record),
        .name = root->name,
        .state = (enum state)root->state,
        .reason = (enum reason)root->reason,
        .origin = json_at_string(told->began, "origin"),
        .owner = json_at_string(told->began, "owner"),
        .submitted_ms = time_of(told->began),
        .started_ms = started_ms(root),
        .ended_ms = root->ended_at_ms,
        .error = *text ? text : root->error,
        .exit_status = code ? json_integer_value(code) : -1,
        .log_bytes = log_bytes(told, record),
        .directory = record_path(record),
    };
    row_without_tree(told, ret);
}
