/* `runner logs`: what a run of the history has printed, or prints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/logs.h"
#include "cli/runs.h"
#include "cli/server_runs.h"
#include "event/read.h"
#include "record/watch.h"

#define AT(field) offsetof(struct logs_args, field)

static const struct cli_option options[] = {
    {"follow", 'f', CLI_FLAG, AT(follow), NULL, "go on until the run has ended", NULL, NULL},
    {"tail", 0, CLI_MAYBE_INT, AT(tail), "N", "begin with the last N lines", NULL, NULL},
    {"timestamps", 0, CLI_FLAG, AT(timestamps), NULL,
     "put the time before each line, with the names of its stage, job and step", NULL, NULL},
    CLI_SERVER_OPTION(AT(server)),
    CLI_HISTORY_OPTION(AT(history)),
    {0},
};

/* --- which step --- */

static void find_below(const struct node *node, const char *name, struct strvec *ids,
                       const char *run_id)
{
    if (node->parent && strcmp(node->name, name) == 0) {
        CLEANUP_BUF struct buf id = BUF_INIT;

        node_id(node, run_id, &id);
        strvec_push(ids, id.data);
    }
    for (uint32_t i = 0; i < node->child_count; i++)
        find_below(&node->children[i], name, ids, run_id);
}

void logs_find_named(const struct logs *logs, const char *name, struct strvec *ids)
{
    find_below(&logs->root, name, ids, logs->run->id);
}

int logs_not_one(const struct logs *logs, const struct strvec *ids, struct err *err)
{
    const char *name = logs->args->step;
    size_t run_size = strlen(logs->run->id);

    if (!ids->len)
        return err_set(err, ERR_NOT_FOUND,
                       "run %s has no step \"%s\", nor is there output of a service of that name; "
                       "runner show %s lists the steps",
                       logs->run->id, name, logs->run->id);
    return err_set(err, ERR_INVALID, "run %s has %zu of the name \"%s\": name one by %s or %s",
                   logs->run->id, ids->len, name, ids->items[0] + run_size + 1,
                   ids->items[1] + run_size + 1);
}

/* Services are not in the tree, but in the log if they have said something: adds those that have
 * that name, or that path. */
static void find_services(const struct logs *logs, const struct record *record, const char *path,
                          struct strvec *ids)
{
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    CLEANUP_FREE char *last = NULL;
    struct record_item item;
    enum record_got got;

    record_log_open(record, NULL, &log);
    while ((got = record_log_next(log, &item, NULL)) == RECORD_ITEM || got == RECORD_DAMAGED) {
        CLEANUP_FREE char *id = NULL;
        const char *service = NULL;

        if (got == RECORD_DAMAGED || (last && strcmp(last, item.node) == 0))
            continue;
        free(last);
        last = xstrdup(item.node);
        id = xasprintf("%s.%s", logs->run->id, item.node);
        if (node_find_service((struct node *)&logs->root, id, &service) && service &&
            (strcmp(service, logs->args->step) == 0 || strcmp(item.node, path) == 0) &&
            !strvec_has(ids, id))
            strvec_push(ids, id);
    }
}

/* What has that path or id, or is a service there: of one that goes on, maybe only later. */
static void find_placed(const struct logs *logs, const struct record *record, struct strvec *ids)
{
    const char *name = logs->args->step;
    size_t run_size = strlen(logs->run->id);
    bool whole = strncmp(name, logs->run->id, run_size) == 0 && name[run_size] == '.';
    CLEANUP_FREE char *id = whole ? xstrdup(name) : xasprintf("%s.%s", logs->run->id, name);
    const char *service = NULL;
    const struct node *node = node_find_service((struct node *)&logs->root, id, &service);

    if (node && !service) {
        strvec_push(ids, id);
        return;
    }
    find_services(logs, record, id + run_size + 1, ids);
    if (!ids->len && node && node->parent && logs->args->follow && record_is_written(record))
        strvec_push(ids, id);
}

/* The path of what is called so, or has that path or id itself. */
static int find_step(const struct logs *logs, const struct record *record, char **ret,
                     struct err *err)
{
    CLEANUP_STRVEC struct strvec ids = {0};

    logs_find_named(logs, logs->args->step, &ids);
    if (!ids.len)
        find_placed(logs, record, &ids);
    if (ids.len != 1)
        return logs_not_one(logs, &ids, err);
    *ret = xstrdup(ids.items[0] + strlen(logs->run->id) + 1);
    return 0;
}

/* --- showing --- */

static void show_raw(struct logs *logs, const struct record_item *item)
{
    if (item->stream == RECORD_STDOUT || item->stream == RECORD_STDERR)
        output_queue_add(logs->queue, item->stream == RECORD_STDOUT ? STDOUT_FILENO : STDERR_FILENO,
                         item->data, item->size);
}

/* As `exec` showed it. */
static void show_plain(struct logs *logs, const struct record_item *item)
{
    CLEANUP_FREE char *id = xasprintf("%s.%s", logs->run->id, item->node);
    CLEANUP_FREE char *note = item->stream == RECORD_NOTE ? xstrndup(item->data, item->size) : NULL;
    struct node service = {.level = NODE_SERVICE};
    struct node *node =
        *item->node ? node_find_service(&logs->root, id, &service.name) : &logs->root;
    struct event event = {.type = note ? EVENT_NOTE : EVENT_LOG,
                          .node = service.name ? &service : node,
                          .time_ms = item->time_ms,
                          .stream = item->stream == RECORD_STDERR ? EVENT_STDERR : EVENT_STDOUT,
                          .data = item->data,
                          .size = item->size,
                          .continued = item->continued,
                          .text = note};

    if (!node)
        return;
    service.parent = node;
    logs->plain.sink.handle(&logs->plain.sink, &event);
}

static void skip_lines(struct logs *logs, struct record_item *item)
{
    struct record_line line;
    size_t at = 0;

    while (logs->skip > 0 && record_log_line(item, &at, &line))
        logs->skip--;
    logs->skip = 0;
    item->continued = item->continued && at == 0;
    item->data += at;
    item->size -= at;
}

void logs_show(struct logs *logs, struct record_item *item)
{
    skip_lines(logs, item);
    if (logs->raw)
        show_raw(logs, item);
    else if (item->size)
        show_plain(logs, item);
}

/* What is missing in one place may be told in parts. */
static void show_missing(struct logs *logs)
{
    if (!logs->missing)
        return;
    buf_addf(output_queue_begin(logs->queue), "runner: %llu bytes of output are missing here\n",
             (unsigned long long)logs->missing);
    output_queue_commit(logs->queue, STDERR_FILENO);
    logs->missing = 0;
}

int logs_wait_for_room(const struct ctx *ctx, struct logs *logs, struct err *err)
{
    struct pollfd room = {.fd = output_queue_room_fd(logs->queue), .events = POLLIN};

    return room.fd < 0 ? ctx_check(ctx, err) : ctx_poll(ctx, &room, 1, -1, err);
}

/* 1: there may be more later. */
static int show_some(const struct ctx *ctx, struct logs *logs, struct record_log *log,
                     struct err *err)
{
    struct record_item item;
    struct err why = ERR_INIT;

    for (;;) {
        enum record_got got;

        if (logs_wait_for_room(ctx, logs, err) < 0)
            return -1;
        got = record_log_next(log, &item, &why);
        if (got == RECORD_ITEM && item.stream == RECORD_MISSING) {
            logs->missing += item.missing_bytes;
            continue;
        }
        show_missing(logs);
        switch (got) {
        case RECORD_ITEM:
            logs_show(logs, &item);
            break;
        case RECORD_DAMAGED:
            buf_addf(output_queue_begin(logs->queue), "runner: %s\n", why.message);
            output_queue_commit(logs->queue, STDERR_FILENO);
            break;
        case RECORD_NONE_YET:
            return 1;
        case RECORD_END:
            return 0;
        }
    }
}

static int show_all(const struct ctx *ctx, struct logs *logs, struct record_log *log,
                    struct record_watch *watch, struct err *err)
{
    for (;;) {
        int more = show_some(ctx, logs, log, err);

        if (more <= 0)
            return more;
        if (!logs->args->follow)
            return 0;
        if (record_watch_wait(watch, ctx, -1, err) < 0)
            return -1;
    }
}

int logs_begin(struct logs *logs, const char *node, struct err *err)
{
    if (output_queue_new(&logs->queue, err) < 0)
        return -1;
    logs->raw = node && !logs->args->timestamps;
    sink_plain_init(&logs->plain, logs->queue, false, logs->args->timestamps);
    return 0;
}

static int show_log(const struct ctx *ctx, struct logs *logs, const struct history *history,
                    struct err *err)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;
    CLEANUP_FREE char *node = NULL;
    struct record_log_filter filter = {0};
    int result;

    if (record_open(history->runs, logs->run->id, &record, err) < 0)
        return -1;
    if (logs->args->step && find_step(logs, record, &node, err) < 0)
        return -1;
    filter.node = node;
    record_watch_open(record, &watch);
    record_log_open(record, &filter, &log);
    if (logs->args->tail &&
        record_log_seek_tail(log, (uint64_t)*logs->args->tail, &logs->skip, err) < 0)
        return -1;
    if (logs_begin(logs, node, err) < 0)
        return -1;
    result = show_all(ctx, logs, log, watch, err);
    if (output_queue_finish(logs->queue, result < 0 ? NULL : err) < 0)
        return -1;
    return result;
}

/* A run that has just begun has none yet: who follows it waits for that. */
static int get_tree(const struct ctx *ctx, struct logs *logs, struct history *history,
                    struct err *err)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;
    bool last = !logs->args->follow || state_is_final(logs->run->state);
    struct err why = ERR_INIT;

    for (;;) {
        if (history_tree(ctx, history, logs->run, &logs->root, &why) == 0)
            return 0;
        if (last || why.code != ERR_NOT_FOUND)
            return err_set(err, why.code, "%s", why.message);
        if (!record) {
            if (record_open(history->runs, logs->run->id, &record, err) < 0)
                return -1;
            record_watch_open(record, &watch);
        } else if (record_watch_wait(watch, ctx, -1, err) < 0) {
            return -1;
        }
        last = !record_is_written(record); /* what it wrote last may have come after the look */
    }
}

static int logs(const struct ctx *ctx, void *arg, struct err *err)
{
    CLEANUP_HISTORY struct history *history = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct logs logs = {.args = arg};
    int result = -1;

    if (logs.args->server)
        return logs_of_server(ctx, logs.args, err);
    if (cli_runs_open(ctx, logs.args->history, &history, err) < 0 ||
        cli_runs_get(ctx, history, logs.args->run, &runs, err) < 0)
        return -1;
    logs.run = &runs.items[0];
    if (get_tree(ctx, &logs, history, err) == 0)
        result = show_log(ctx, &logs, history, err);
    node_release(&logs.root);
    return result;
}

static int run(void *arguments, const struct strvec *operands)
{
    struct logs_args *args = arguments;

    if (operands->len < 1 || operands->len > 2) {
        fputs(
            "runner logs: takes a RUN, its id, the beginning of that, or \"latest\", and a STEP if "
            "only its output is wanted\n",
            stderr);
        return CLI_EXIT_USAGE;
    }
    args->run = operands->items[0];
    args->step = operands->len > 1 ? operands->items[1] : NULL;
    return cli_runs_run("logs", logs, args);
}

const struct cli_command cmd_logs = {
    .name = "logs",
    .operands = "RUN [STEP]",
    .summary = "show what a run has printed",
    .description =
        "RUN is an id, the beginning of one, or \"latest\". STEP is the name of a stage, job, "
        "step or service, or its place, such as 0.1.2 or 0.1.db; its output comes as it was, on "
        "standard output and standard error.",
    .options = options,
    .args_size = sizeof(struct logs_args),
    .run = run,
};
