#include "cli/server_runs.h"

#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "cli/runs.h"

/* More than one is as bad as many. */
enum { MATCHES_MAX = 50 };

int server_runs_open(const char *address, struct server_runs *ret, struct err *err)
{
    struct server_runs server = {0};

    if (client_target_parse(address, NULL, NULL, NULL, &server.target, err) < 0)
        return -1;
    if (client_rest_open(&server.target, &server.http, err) < 0) {
        client_target_release(&server.target);
        return -1;
    }
    *ret = server;
    return 0;
}

void server_runs_close(struct server_runs *server)
{
    http_client_free(server->http);
    client_target_release(&server->target);
    *server = (struct server_runs){0};
}

/* --- rows --- */

static const char *text_of(struct store_runs *runs, const json_t *record, const char *key)
{
    const char *text = json_at_string(record, key);

    return arena_strndup(&runs->arena, text, strlen(text));
}

static int64_t time_of(const json_t *record, const char *key)
{
    int64_t ms;

    return clock_parse_rfc3339(json_at_string(record, key), &ms) < 0 ? 0 : ms;
}

/* false: a state that this program does not know. */
static bool add_run(struct store_runs *runs, const json_t *record)
{
    const char *status = json_at_string(record, "status");
    int state = strcmp(status, "queued") == 0 ? STATE_PENDING : state_find(status);
    int reason = reason_find(json_at_string(record, "reason"));
    struct store_run run = {.state = (enum state)state,
                            .reason = reason < 0 ? REASON_NONE : (enum reason)reason,
                            .owner = "",
                            .directory = ""};

    if (state < 0)
        return false;
    run.id = text_of(runs, record, "id");
    run.name = text_of(runs, record, "name");
    run.origin = text_of(runs, record, "origin");
    run.error = text_of(runs, record, "error");
    run.client = text_of(runs, record, "client");
    run.submitted_ms = time_of(record, "submitted_at");
    run.started_ms = time_of(record, "started_at");
    run.ended_ms = time_of(record, "ended_at");
    run.exit_status = json_at(record, "exit_code") ? json_at_int(record, "exit_code") : -1;
    run.log_bytes = json_at_int(record, "log_bytes");
    run.priority = json_at_int(record, "priority");
    vec_push(runs, run);
    return true;
}

/* --- asking --- */

static void add_states(struct buf *path, unsigned states)
{
    bool first = true;

    for (int state = 0; state < STATE_COUNT; state++) {
        if (!(states & STORE_STATE(state)))
            continue;
        buf_addf(path, "%s%s", first ? "&status=" : ",", state_name((enum state)state));
        first = false;
    }
}

static void add_time(struct buf *path, const char *key, int64_t time_ms)
{
    char text[CLOCK_RFC3339_SIZE];

    if (!time_ms)
        return;
    clock_rfc3339(time_ms, text);
    buf_addf(path, "&%s=%s", key, text);
}

int server_runs_list(const struct ctx *ctx, struct server_runs *server,
                     const struct store_query *query, struct store_runs *ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    json_t *answer = NULL;
    const json_t *data;

    buf_addf(&path, "/pipelines?limit=%lld&offset=%lld", (long long)query->limit,
             (long long)query->offset);
    if (query->search && *query->search) {
        buf_addstr(&path, "&search=");
        http_escape(&path, query->search);
    }
    add_states(&path, query->states);
    add_time(&path, "start_time", query->from_ms);
    if (client_rest(ctx, &server->target, server->http, "GET", path.data, NULL, &answer, err) < 0)
        return -1;
    data = json_at(answer, "data");
    for (size_t i = 0; i < json_array_size(data); i++)
        ret->left_out += !add_run(ret, json_array_get(data, i));
    ret->total = json_at_int(answer, "total");
    json_decref(answer);
    return 0;
}

static int get_record(const struct ctx *ctx, struct server_runs *server, const char *id,
                      json_t **ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    buf_addstr(&path, "/pipelines/");
    http_escape(&path, id);
    return client_rest(ctx, &server->target, server->http, "GET", path.data, NULL, ret, err);
}

/* The id that a name stands for, of those that the server has. */
static int find_id(const struct ctx *ctx, struct server_runs *server, const char *name, char **ret,
                   struct err *err)
{
    bool latest = strcmp(name, CLI_RUN_LATEST) == 0;
    const struct store_query query = {.search = latest ? NULL : name,
                                      .limit = latest ? 1 : MATCHES_MAX};
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    const char *found = NULL;

    if (server_runs_list(ctx, server, &query, &runs, err) < 0)
        return -1;
    vec_foreach (const struct store_run *, run, &runs) {
        if (!latest && strncmp(run->id, name, strlen(name)) != 0)
            continue;
        if (found)
            return err_set(err, ERR_INVALID, "%s has several runs whose ids begin with %s: %s, %s",
                           server->target.name, name, found, run->id);
        found = run->id;
    }
    if (!found)
        return err_set(err, ERR_NOT_FOUND, latest ? "%s has no runs" : "%s has no run %s",
                       server->target.name, name);
    *ret = xstrdup(found);
    return 0;
}

int server_runs_get(const struct ctx *ctx, struct server_runs *server, const char *name,
                    struct store_runs *ret, json_t **ret_record, struct err *err)
{
    CLEANUP_FREE char *id = NULL;
    json_t *record = NULL;

    if (find_id(ctx, server, name, &id, err) < 0 || get_record(ctx, server, id, &record, err) < 0)
        return -1;
    if (!add_run(ret, record)) {
        json_decref(record);
        return err_set(err, ERR_PROTOCOL, "%s says of run %s what this runner does not understand",
                       server->target.name, id);
    }
    if (ret_record)
        *ret_record = record;
    else
        json_decref(record);
    return 0;
}

int server_runs_cancel(const struct ctx *ctx, struct server_runs *server, const char *id,
                       const char *reason, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    json_t *body = json_object();
    int result;

    if (reason)
        json_object_set_new(body, "reason", json_string(reason));
    buf_addstr(&path, "/pipelines/");
    http_escape(&path, id);
    buf_addstr(&path, "/cancel");
    result = client_rest(ctx, &server->target, server->http, "POST", path.data, body, NULL, err);
    json_decref(body);
    return result;
}

int server_runs_delete(const struct ctx *ctx, struct server_runs *server, const char *id,
                       struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    buf_addstr(&path, "/pipelines/");
    http_escape(&path, id);
    return client_rest(ctx, &server->target, server->http, "DELETE", path.data, NULL, NULL, err);
}
