/* Submitting, cancelling, and what waits. */
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "server/inside.h"
#include "server/submit.h"

enum { QUEUE_LIMIT = 1000 };

/* --- submitting --- */

static void answer_id(struct web_response *response, const char *id)
{
    web_response_json(response, 202, json_pack("{s:s}", "id", id));
    strmap_setf(&response->headers, "location", "/api/v1/pipelines/%s", id);
}

static void answer_connection(struct server *server, const struct web_request *request,
                              struct web_response *response)
{
    const char *host = web_header(request, "host");
    CLEANUP_FREE char *url = xasprintf("%s://%s%s", request->secure ? "wss" : "ws",
                                       *host ? host : "localhost", server->options.path);

    web_response_json(response, 200,
                      json_pack("{s:o, s:s}", "ws_url", json_safe_string(url), "message",
                                "use WebSocket to execute pipeline"));
}

static void refuse_file(struct web_response *response, struct submitted *submitted,
                        const struct err *err)
{
    web_response_json(response, 422,
                      json_pack("{s:s, s:O}", "error", err->message, "diagnostics",
                                submitted->diagnostics));
}

static int run_detached(const struct ctx *ctx, struct server *server,
                        const struct web_request *request, const json_t *body, const char *file,
                        struct web_response *response, struct err *err)
{
    struct submitted submitted = {0};
    int result = server_submit(ctx, server, file, body, true, web_who(request), &submitted, err);

    if (result == 0) {
        answer_id(response, submitted.id);
    } else if (submitted.diagnostics) {
        refuse_file(response, &submitted, err);
        result = 0;
    }
    submitted_release(&submitted);
    return result;
}

SERVER_HANDLER(queue_run)
{
    json_t *body = web_body_json(request, err);
    const json_t *file = json_object_get(body, "config");
    struct err large = ERR_INIT;
    int result = -1;

    if (body &&
        (!json_is_string(file) || strlen(json_string_value(file)) != json_string_length(file)))
        err_set(err, ERR_INVALID, "config is the text of a pipeline file");
    else if (body && queue_check_size(json_string_length(file), &large) < 0) {
        web_response_error(response, 413, "%s", large.message);
        result = 0;
    } else if (body && !json_is_true(json_object_get(body, "detach"))) {
        answer_connection(server, request, response);
        result = 0;
    } else if (body)
        result = run_detached(ctx, server, request, body, json_string_value(file), response, err);
    json_decref(body);
    return result;
}

SERVER_HANDLER(queue_run_again)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    char id[OWN_RUN_ID_SIZE];

    if (server_get_run(ctx, server, web_param(request, "id"), &runs, err) < 0 ||
        queue_rerun(ctx, server->queue, runs.items[0].id, web_who(request), runs.items[0].priority,
                    id, err) < 0)
        return -1;
    answer_id(response, id);
    return 0;
}

/* --- cancelling --- */

static int cancel_one(const struct ctx *ctx, struct server *server,
                      const struct web_request *request, const char *id, const json_t *body,
                      struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    const json_t *reason = json_object_get(body, "reason");
    const struct queue_cancel cancel = {
        .reason = json_string_value(reason),
        .by = web_who(request),
        .hurry = json_is_true(json_object_get(body, "hurry")),
    };

    if (reason && !json_is_null(reason) &&
        (!json_is_string(reason) || json_string_length(reason) > SERVER_REASON_BYTES))
        return err_set(err, ERR_INVALID, "reason is a text of at most %d bytes",
                       SERVER_REASON_BYTES);
    server_refresh(ctx, server);
    if (server_get_run(ctx, server, id, &runs, err) < 0)
        return -1;
    return queue_cancel(ctx, server->queue, runs.items[0].id, &cancel, err);
}

/* An empty body is none. */
static int read_body(const struct web_request *request, json_t **ret, struct err *err)
{
    *ret = NULL;
    if (!request->body.len)
        return 0;
    *ret = web_body_json(request, err);
    return *ret ? 0 : -1;
}

SERVER_HANDLER(queue_cancel_run)
{
    json_t *body;
    int result;

    if (read_body(request, &body, err) < 0)
        return -1;
    result = cancel_one(ctx, server, request, web_param(request, "id"), body, err);
    json_decref(body);
    if (result == 0)
        web_response_message(response, "pipeline cancelled");
    else if (err->code == ERR_CONFLICT)
        web_response_error(response, 400, "%s", err->message);
    return result < 0 && err->code == ERR_CONFLICT ? 0 : result;
}

SERVER_HANDLER(queue_batch_cancel)
{
    json_t *body = web_body_json(request, err);
    json_t *ids = body ? server_read_ids(body, err) : NULL;
    json_int_t cancelled = 0, failed = 0, not_found = 0;
    json_t *id;
    size_t i;

    if (!ids) {
        json_decref(body);
        return -1;
    }
    json_array_foreach (ids, i, id) {
        struct err why = ERR_INIT;

        if (cancel_one(ctx, server, request, json_string_value(id), body, &why) == 0)
            cancelled++;
        else
            (*(why.code == ERR_NOT_FOUND ? &not_found : &failed))++;
    }
    web_response_json(response, 200,
                      json_pack("{s:s, s:I, s:I, s:I, s:I}", "message", "batch cancel completed",
                                "cancelled", cancelled, "failed", failed, "not_found", not_found,
                                "total", (json_int_t)json_array_size(ids)));
    json_decref(body);
    return 0;
}

/* --- looking --- */

SERVER_HANDLER(queue_show)
{
    CLEANUP_QUEUE_ITEMS struct queue_items items = {0};
    int64_t limit = QUEUE_LIMIT, offset = 0;
    json_t *data;

    if (web_query_int(request, "limit", QUEUE_LIMIT, &limit, err) < 0 ||
        web_query_int(request, "offset", INT64_MAX / 2, &offset, err) < 0)
        return -1;
    queue_list(server->queue, (size_t)offset, (size_t)(limit ? limit : QUEUE_LIMIT), &items);
    data = json_array();
    vec_foreach (struct queue_item *, item, &items) {
        CLEANUP_STORE_RUNS struct store_runs runs = {0};
        json_t *object;

        if (store_get(ctx, server->history->store, item->id, &runs, NULL) < 0)
            continue; /* has just ended, and been deleted */
        object = server_run_to_json(server, &runs.items[0]);
        json_object_set_new(object, "status", json_string(item->running ? "running" : "pending"));
        if (item->position)
            json_object_set_new(object, "position", json_integer((json_int_t)item->position));
        json_set_time(object, "created_at", item->submitted_ms);
        json_array_append_new(data, object);
    }
    web_response_json(response, 200,
                      json_pack("{s:o, s:I}", "data", data, "total", (json_int_t)items.total));
    return 0;
}

SERVER_HANDLER(queue_show_stats)
{
    struct queue_stats stats = {0};

    (void)request;
    if (queue_stats(ctx, server->queue, &stats, err) < 0)
        return -1;
    web_response_json(response, 200,
                      json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "total",
                                (json_int_t)stats.total, "pending", (json_int_t)stats.pending,
                                "running", (json_int_t)stats.running, "succeeded",
                                (json_int_t)stats.succeeded, "failed", (json_int_t)stats.failed,
                                "cancelled", (json_int_t)stats.cancelled, "skipped",
                                (json_int_t)stats.skipped, "max_concurrent",
                                (json_int_t)stats.max_concurrent, "current_concurrent",
                                (json_int_t)stats.current_concurrent));
    return 0;
}

SERVER_HANDLER(queue_remove)
{
    struct err why = ERR_INIT;

    if (cancel_one(ctx, server, request, web_param(request, "id"), NULL, &why) == 0) {
        web_response_message(response, "cancelled");
        return 0;
    }
    if (why.code == ERR_CONFLICT)
        return err_set(err, ERR_NOT_FOUND, "pipeline %.64s is not in the queue",
                       web_param(request, "id"));
    return err_set(err, why.code, "%s", why.message);
}
