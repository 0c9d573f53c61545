#include "cli/logs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "cli/server_runs.h"
#include "event/read.h"

enum { PAGE = 5000, POLL_MS = 300 };

struct there {
    struct logs logs;
    struct server_runs server;
    struct store_runs runs;
    char *node;     /* of the step; NULL: all */
    int64_t offset; /* of the next line */
};

/* --- what the server says --- */

/* What the server says of it now. */
static int look(const struct ctx *ctx, struct there *t, struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct node root = {0};
    json_t *record = NULL;
    const char *name = t->runs.len ? t->runs.items[0].id : t->logs.args->run;
    int result;

    if (server_runs_get(ctx, &t->server, name, &runs, &record, err) < 0)
        return -1;
    result = node_tree_from_json(record, &root, err);
    json_decref(record);
    if (result < 0) {
        node_release(&root);
        return -1;
    }
    node_release(&t->logs.root);
    node_move(&t->logs.root, &root);
    store_runs_release(&t->runs);
    t->runs = runs;
    runs = (struct store_runs){0};
    t->logs.run = &t->runs.items[0];
    return 0;
}

static int get_page(const struct ctx *ctx, struct there *t, int64_t limit, json_t **ret,
                    struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    buf_addf(&path, "/pipelines/%s/logs?limit=%lld&offset=%lld", t->logs.run->id, (long long)limit,
             (long long)t->offset);
    if (t->node)
        buf_addf(&path, "&node=%s", t->node);
    return client_rest(ctx, &t->server.target, t->server.http, "GET", path.data, NULL, ret, err);
}

/* --- which step --- */

/* Of a service there is nothing to be found but its output. */
static int find_service(const struct ctx *ctx, struct there *t, struct strvec *ids, const char *id,
                        struct err *err)
{
    json_t *answer = NULL;

    t->node = xstrdup(id + strlen(t->logs.run->id) + 1);
    if (get_page(ctx, t, 1, &answer, err) < 0)
        return -1;
    if (json_at_int(answer, "total") ||
        (t->logs.args->follow && !state_is_final(t->logs.run->state)))
        strvec_push(ids, id);
    json_decref(answer);
    free(steal_ptr(&t->node));
    return 0;
}

static int find_step(const struct ctx *ctx, struct there *t, struct err *err)
{
    const struct logs *logs = &t->logs;
    size_t run_size = strlen(logs->run->id);
    const char *name = logs->args->step;
    bool whole = strncmp(name, logs->run->id, run_size) == 0 && name[run_size] == '.';
    CLEANUP_FREE char *id = whole ? xstrdup(name) : xasprintf("%s.%s", logs->run->id, name);
    CLEANUP_STRVEC struct strvec ids = {0};
    const char *service = NULL;

    logs_find_named(logs, name, &ids);
    if (!ids.len && node_find_service(&t->logs.root, id, &service)) {
        if (!service)
            strvec_push(&ids, id);
        else if (find_service(ctx, t, &ids, id, err) < 0)
            return -1;
    }
    if (ids.len != 1)
        return logs_not_one(logs, &ids, err);
    t->node = xstrdup(ids.items[0] + run_size + 1);
    return 0;
}

/* --- showing --- */

static bool goes_on(const json_t *entry, const json_t *next)
{
    return json_at_bool(next, "continued") &&
           strcmp(json_at_string(entry, "node"), json_at_string(next, "node")) == 0 &&
           strcmp(json_at_string(entry, "type"), json_at_string(next, "type")) == 0;
}

static void show_entry(struct there *t, const json_t *entry, const json_t *next)
{
    const char *type = json_at_string(entry, "type");
    const json_t *message = json_at(entry, "message");
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct record_item item = {.seq = (uint64_t)json_at_int(entry, "seq"),
                               .stream = strcmp(type, "stdout") == 0   ? RECORD_STDOUT
                                         : strcmp(type, "stderr") == 0 ? RECORD_STDERR
                                                                       : RECORD_NOTE,
                               .continued = json_at_bool(entry, "continued"),
                               .node = json_at_string(entry, "node")};

    buf_add(&text, json_string_value(message), json_string_length(message));
    if (item.stream != RECORD_NOTE && !goes_on(entry, next))
        buf_addch(&text, '\n');
    item.data = text.data;
    item.size = text.len;
    if (clock_parse_rfc3339(json_at_string(entry, "timestamp"), &item.time_ms) < 0)
        item.time_ms = 0;
    logs_show(&t->logs, &item);
}

/* The number of lines that were shown; -1. */
static int64_t show_page(const struct ctx *ctx, struct there *t, struct err *err)
{
    json_t *answer = NULL;
    const json_t *data;
    int64_t shown;

    if (get_page(ctx, t, PAGE, &answer, err) < 0)
        return -1;
    data = json_at(answer, "data");
    shown = (int64_t)json_array_size(data);
    for (size_t i = 0; i < json_array_size(data); i++)
        show_entry(t, json_array_get(data, i), json_array_get(data, i + 1));
    t->offset += shown;
    json_decref(answer);
    return logs_wait_for_room(ctx, &t->logs, err) < 0 ? -1 : shown;
}

static int seek_tail(const struct ctx *ctx, struct there *t, struct err *err)
{
    json_t *answer = NULL;
    int64_t total;

    if (!t->logs.args->tail)
        return 0;
    if (get_page(ctx, t, 1, &answer, err) < 0)
        return -1;
    total = json_at_int(answer, "total");
    json_decref(answer);
    t->offset = total > *t->logs.args->tail ? total - *t->logs.args->tail : 0;
    return 0;
}

static int show_all(const struct ctx *ctx, struct there *t, struct err *err)
{
    for (;;) {
        bool last = state_is_final(t->logs.run->state) || !t->logs.args->follow;
        int64_t shown;

        while ((shown = show_page(ctx, t, err)) > 0)
            ;
        if (shown < 0)
            return -1;
        /* What it said last may have come after the look. */
        if (last)
            return 0;
        if (ctx_sleep(ctx, POLL_MS, err) < 0 || look(ctx, t, err) < 0)
            return -1;
    }
}

static int show_log(const struct ctx *ctx, struct there *t, struct err *err)
{
    int result;

    if ((t->logs.args->step && find_step(ctx, t, err) < 0) || seek_tail(ctx, t, err) < 0 ||
        logs_begin(&t->logs, t->node, err) < 0)
        return -1;
    result = show_all(ctx, t, err);
    if (output_queue_finish(t->logs.queue, result < 0 ? NULL : err) < 0)
        return -1;
    return result;
}

int logs_of_server(const struct ctx *ctx, const struct logs_args *args, struct err *err)
{
    struct there there = {.logs = {.args = args}};
    int result = -1;

    if (server_runs_open(args->server, &there.server, err) == 0) {
        if (look(ctx, &there, err) == 0)
            result = show_log(ctx, &there, err);
        server_runs_close(&there.server);
    }
    node_release(&there.logs.root);
    store_runs_release(&there.runs);
    free(there.node);
    return result;
}
