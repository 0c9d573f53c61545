/* Runs: many, one, and away with them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_text.h"
#include "event/json.h"
#include "history/row_json.h"
#include "record/record.h"
#include "server/inside.h"
#include "store/submissions.h"
#include "yaml/yaml_json.h"

enum { LIST_LIMIT = 100, BATCH_MAX = 10000 };

/* --- a run as JSON --- */

/* When it ended is told a second time, by how. */
static void set_end(json_t *object, const struct store_run *run)
{
    static const char *const keys[STATE_COUNT] = {
        [STATE_SUCCEEDED] = "succeed_at",
        [STATE_FAILED] = "failed_at",
        [STATE_CANCELLED] = "cancelled_at",
    };

    if (keys[run->state])
        json_set_time(object, keys[run->state], run->ended_ms);
}

json_t *server_run_to_json(struct server *server, const struct store_run *run)
{
    json_t *object = history_row_to_json(run);
    size_t position;

    if (run->client && *run->client)
        json_object_set_new(object, "client", json_safe_string(run->client));
    json_object_set_new(object, "priority", json_integer(run->priority));
    set_end(object, run);
    if (run->exit_status >= 0)
        json_object_set_new(object, "exit_code", json_integer(run->exit_status));
    position = run->state == STATE_PENDING ? queue_position(server->queue, run->id) : 0;
    if (position)
        json_object_set_new(object, "position", json_integer((json_int_t)position));
    return object;
}

/* Another process may have made it since the store was told of them. */
static bool is_new(const struct ctx *ctx, struct server *server, const char *id)
{
    CLEANUP_FREE char *dir = xasprintf("%s/%s", server->history->runs, id);

    if (access(dir, F_OK) < 0)
        return false;
    atomic_store(&server->refreshed_ms, INT64_MIN / 2);
    server_refresh(ctx, server);
    return true;
}

int server_get_run(const struct ctx *ctx, struct server *server, const char *id,
                   struct store_runs *ret, struct err *err)
{
    struct err why = ERR_INIT;

    /* What cannot be an id is not asked for; the beginning of one is none. */
    if (record_id_is_valid(id) && store_get(ctx, server->history->store, id, ret, &why) == 0 &&
        strcmp(ret->items[0].id, id) == 0)
        return 0;
    if (why.code == ERR_NOT_FOUND && is_new(ctx, server, id)) {
        err_clear(&why);
        if (store_get(ctx, server->history->store, id, ret, &why) == 0 &&
            strcmp(ret->items[0].id, id) == 0)
            return 0;
    }
    if (why.code == ERR_NONE || why.code == ERR_NOT_FOUND || why.code == ERR_INVALID)
        return err_set(err, ERR_NOT_FOUND, "there is no pipeline %.64s", id);
    return err_set(err, why.code, "%s", why.message);
}

/* The store hears of a run from its record, which is here or nowhere that can be seen. */
static bool is_elsewhere(const struct server *server, const struct store_run *run)
{
    CLEANUP_RECORD struct record *record = NULL;
    struct err why = ERR_INIT;

    return !state_is_final(run->state) && run->version > 0 &&
           record_open(server->history->runs, run->id, &record, &why) < 0 &&
           why.code == ERR_NOT_FOUND;
}

int server_get_followed(const struct ctx *ctx, struct server *server, const char *id,
                        struct store_runs *ret, struct err *err)
{
    if (server_get_run(ctx, server, id, ret, err) < 0)
        return -1;
    if (is_elsewhere(server, &ret->items[0]))
        return err_set(err, ERR_NOT_FOUND,
                       "pipeline %s is run by a server with another history: ask that for its log",
                       ret->items[0].id);
    return 0;
}

int server_read_file(const struct ctx *ctx, struct server *server, const char *id, struct buf *out,
                     struct err *err)
{
    CLEANUP_STORE_SUBMITTED struct store_submitted submitted = {0};
    CLEANUP_RECORD struct record *record = NULL;

    if (record_open(server->history->runs, id, &record, NULL) == 0 &&
        record_read_pipeline(record, out, NULL) == 0)
        return 0;
    if (store_read_submitted(ctx, server->history->store, id, &submitted, err) < 0)
        return -1;
    buf_addstr(out, submitted.file);
    return 0;
}

/* --- many --- */

static int read_states(const struct web_request *request, unsigned *ret, struct err *err)
{
    const char *at = web_query(request, "status");

    while (*at) {
        size_t len = strcspn(at, ",");
        CLEANUP_FREE char *name = xstrndup(at, len);
        int state = strcmp(name, "queued") == 0 ? STATE_PENDING : state_find(name);

        if (state < 0)
            return err_set(err, ERR_INVALID,
                           "status is pending, running, succeeded, failed or cancelled, or several "
                           "of them with commas, not \"%s\"",
                           name);
        *ret |= STORE_STATE(state);
        at += len + (at[len] == ',');
    }
    return 0;
}

static int read_query(const struct web_request *request, struct store_query *ret, struct err *err)
{
    *ret = (struct store_query){.search = web_query(request, "search"), .limit = LIST_LIMIT};
    if (read_states(request, &ret->states, err) < 0 ||
        web_query_time(request, "start_time", &ret->from_ms, err) < 0 ||
        web_query_time(request, "end_time", &ret->until_ms, err) < 0 ||
        web_query_int(request, "limit", STORE_LIST_MAX, &ret->limit, err) < 0 ||
        web_query_int(request, "offset", INT64_MAX / 2, &ret->offset, err) < 0)
        return -1;
    if (!ret->limit)
        ret->limit = LIST_LIMIT;
    /* Up to that moment, and not before it. */
    if (ret->until_ms)
        ret->until_ms++;
    return 0;
}

SERVER_HANDLER(runs_list)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct store_query query;
    json_t *data;

    if (read_query(request, &query, err) < 0)
        return -1;
    server_refresh(ctx, server);
    if (store_list(ctx, server->history->store, &query, &runs, err) < 0)
        return -1;
    data = json_array();
    vec_foreach (struct store_run *, run, &runs)
        json_array_append_new(data, server_run_to_json(server, run));
    web_response_json(response, 200,
                      json_pack("{s:o, s:I, s:I, s:I}", "data", data, "total",
                                (json_int_t)runs.total, "limit", (json_int_t)query.limit, "offset",
                                (json_int_t)query.offset));
    return 0;
}

/* --- one --- */

/* What the file says of the whole pipeline, as far as it is plain values. */
static json_t *config_of(const char *text, size_t size)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_YAML_TREE struct yaml_tree *tree = yaml_tree_parse(text, size, NULL, &diags);
    const struct yaml_node *root = tree ? yaml_tree_root(tree) : NULL;
    json_t *config = json_object();

    if (!root || root->kind != YAML_KIND_MAPPING)
        return config;
    for (uint32_t i = 0; i < root->len; i++) {
        if (root->pairs[i].value->kind == YAML_KIND_SCALAR)
            json_object_set_new(config, root->pairs[i].key->text,
                                yaml_node_to_json(root->pairs[i].value));
    }
    return config;
}

static void set_file(const struct ctx *ctx, struct server *server, const char *id, json_t *object)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (server_read_file(ctx, server, id, &text, NULL) < 0)
        return;
    json_object_set_new(object, "yaml", json_safe_string(text.data));
    json_object_set_new(object, "config", config_of(text.data, text.len));
}

static void set_stages(const struct ctx *ctx, struct server *server, const struct store_run *run,
                       json_t *object)
{
    struct node root = {0};

    if (history_tree(ctx, server->history, run, &root, NULL) == 0) {
        json_t *tree = node_tree_to_json(&root, run->id);

        json_object_set(object, "stages", json_object_get(tree, "stages"));
        json_decref(tree);
    }
    if (!json_object_get(object, "stages"))
        json_object_set_new(object, "stages", json_array());
    node_release(&root);
}

/* With what its record says at this moment: who has just seen it end finds it ended. */
static int get_current(const struct ctx *ctx, struct server *server, const char *id,
                       struct store_runs *ret, struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs before = {0};

    server_refresh(ctx, server);
    if (server_get_run(ctx, server, id, &before, err) < 0)
        return -1;
    if (!state_is_final(before.items[0].state))
        (void)!history_follow(ctx, server->history, id, NULL);
    return server_get_run(ctx, server, id, ret, err);
}

SERVER_HANDLER(runs_get)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    json_t *object;

    if (get_current(ctx, server, web_param(request, "id"), &runs, err) < 0)
        return -1;
    object = server_run_to_json(server, &runs.items[0]);
    set_stages(ctx, server, &runs.items[0], object);
    set_file(ctx, server, runs.items[0].id, object);
    web_response_json(response, 200, object);
    return 0;
}

/* --- away --- */

SERVER_HANDLER(runs_delete)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};

    if (get_current(ctx, server, web_param(request, "id"), &runs, err) < 0 ||
        history_remove(ctx, server->history, &runs.items[0], err) < 0)
        return -1;
    web_response_message(response, "pipeline deleted");
    return 0;
}

json_t *server_read_ids(const json_t *body, struct err *err)
{
    json_t *ids = json_object_get(body, "ids");
    json_t *id;
    size_t i;

    if (!json_is_array(ids) || json_array_size(ids) > BATCH_MAX) {
        err_set(err, ERR_INVALID, "ids is a list of at most %d ids of pipelines", BATCH_MAX);
        return NULL;
    }
    json_array_foreach (ids, i, id) {
        if (!json_is_string(id)) {
            err_set(err, ERR_INVALID, "ids is a list of ids, which are strings");
            return NULL;
        }
    }
    return ids;
}

SERVER_HANDLER(runs_batch_delete)
{
    json_t *body = web_body_json(request, err);
    json_t *ids = body ? server_read_ids(body, err) : NULL;
    json_int_t deleted = 0, failed = 0, not_found = 0;
    json_t *id;
    size_t i;

    if (!ids) {
        json_decref(body);
        return -1;
    }
    server_refresh(ctx, server);
    json_array_foreach (ids, i, id) {
        CLEANUP_STORE_RUNS struct store_runs runs = {0};
        struct err why = ERR_INIT;

        if (server_get_run(ctx, server, json_string_value(id), &runs, &why) < 0)
            (*(why.code == ERR_NOT_FOUND ? &not_found : &failed))++;
        else if (history_remove(ctx, server->history, &runs.items[0], &why) < 0)
            failed++;
        else
            deleted++;
    }
    web_response_json(response, 200,
                      json_pack("{s:s, s:I, s:I, s:I, s:I}", "message", "batch delete completed",
                                "deleted", deleted, "failed", failed, "not_found", not_found,
                                "total", (json_int_t)json_array_size(ids)));
    json_decref(body);
    return 0;
}
