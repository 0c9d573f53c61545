/* What clients of WebSocket connections ask for. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json_at.h"
#include "base/json_text.h"
#include "server/socket_inside.h"
#include "server/submit.h"

/* --- run --- */

static void tell_refusal(struct socket *socket, struct submitted *submitted, const struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    json_t *diagnostics = submitted->diagnostics;

    submitted->diagnostics = NULL;
    buf_addstr(&text, err->message);
    if (submitted->lines && *submitted->lines)
        buf_addf(&text, "\n%s", submitted->lines);
    while (text.len && text.data[text.len - 1] == '\n')
        buf_truncate(&text, text.len - 1);
    socket_send_error(socket, NULL, diagnostics, text.data);
}

/* The run is known to the client before anything of it comes. */
static void tell_submission(struct socket *socket, const struct submitted *submitted)
{
    struct err err = ERR_INIT;

    if (!submitted->detached)
        clients_add(&socket->server->clients, submitted->id);
    pthread_mutex_lock(&socket->mu);
    free(socket->last);
    socket->last = xstrdup(submitted->id);
    pthread_mutex_unlock(&socket->mu);
    if (socket->is_v2)
        socket_send(socket, json_pack("{s:s, s:s}", "type", "id", "payload", submitted->id));
    if (socket_follow(socket, submitted->id, (struct record_position){0}, !submitted->detached,
                      &err) < 0)
        socket_send_error(socket, submitted->id, NULL, err.message);
}

static void run(const struct ctx *ctx, struct socket *socket, const json_t *message)
{
    struct submitted submitted = {0};
    const char *file = json_at_string(message, "payload");
    struct err err = ERR_INIT;
    int result;

    result = server_submit(ctx, socket->server, file, socket->is_v2 ? message : NULL, false,
                           web_who(&socket->request), &submitted, &err);
    if (result < 0)
        tell_refusal(socket, &submitted, &err);
    else
        tell_submission(socket, &submitted);
    submitted_release(&submitted);
}

/* --- what only runner.v2 has --- */

static void follow(const struct ctx *ctx, struct socket *socket, const json_t *message)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    const char *id = json_at_string(message, "payload");
    const char *text = json_at_string(message, "position");
    struct record_position position = {0};
    struct err err = ERR_INIT;

    if ((*text && record_position_parse(text, &position, &err) < 0) ||
        server_get_followed(ctx, socket->server, id, &runs, &err) < 0 ||
        socket_follow(socket, runs.items[0].id, position, false, &err) < 0)
        socket_send_error(socket, id, NULL, err.message);
}

static void unfollow(const struct ctx *ctx, struct socket *socket, const json_t *message)
{
    const char *id = json_at_string(message, "payload");

    (void)ctx;
    if (socket_unfollow(socket, id) < 0)
        socket_send_error(socket, id, NULL, "this pipeline is not followed here");
}

static void cancel(const struct ctx *ctx, struct socket *socket, const json_t *message)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    CLEANUP_FREE char *id = json_at_dup(message, "payload");
    const struct queue_cancel how = {
        .reason = json_at_string(message, "reason"),
        .by = web_who(&socket->request),
        .hurry = json_at_bool(message, "hurry"),
    };
    struct err err = ERR_INIT;

    if (strlen(how.reason) > SERVER_REASON_BYTES) {
        err_set(&err, ERR_INVALID, "reason is a text of at most %d bytes", SERVER_REASON_BYTES);
        socket_send_error(socket, id, NULL, err.message);
        return;
    }
    if (!*id) {
        free(id);
        pthread_mutex_lock(&socket->mu);
        id = xstrdup(socket->last ? socket->last : "");
        pthread_mutex_unlock(&socket->mu);
    }
    if (server_get_run(ctx, socket->server, id, &runs, &err) < 0 ||
        queue_cancel(ctx, socket->server->queue, runs.items[0].id, &how, &err) < 0)
        socket_send_error(socket, id, NULL, err.message);
}

static void ping(const struct ctx *ctx, struct socket *socket, const json_t *message)
{
    (void)ctx;
    socket_send(socket, json_pack("{s:s, s:o}", "type", "ping", "payload",
                                  json_safe_string(json_at_string(message, "payload"))));
}

/* --- all of them --- */

static const struct {
    const char *type;
    void (*handle)(const struct ctx *ctx, struct socket *socket, const json_t *message);
    bool only_v2;
} types[] = {
    {"run", run, false},      {"follow", follow, true}, {"unfollow", unfollow, true},
    {"cancel", cancel, true}, {"ping", ping, true},
};

static void dispatch(const struct ctx *ctx, struct socket *socket, const json_t *message)
{
    const char *type = json_at_string(message, "type");
    const json_t *payload = json_object_get(message, "payload");
    CLEANUP_FREE char *why = NULL;

    if (!json_is_string(payload) ||
        strlen(json_string_value(payload)) != json_string_length(payload)) {
        socket_send_error(socket, NULL, NULL,
                          "a message is {\"type\": TEXT, \"payload\": TEXT}, without NUL");
        return;
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (strcmp(types[i].type, type) == 0 && (socket->is_v2 || !types[i].only_v2)) {
            types[i].handle(ctx, socket, message);
            return;
        }
    }
    why = xasprintf("unsupported action type: %.64s", type);
    socket_send_error(socket, NULL, NULL, why);
}

void socket_handle(struct socket *socket, const char *text, size_t size)
{
    json_error_t error;
    json_t *message = json_loadb(text, size, 0, &error);
    CLEANUP_FREE char *why = NULL;
    struct ctx ctx;

    if (!json_is_object(message)) {
        why = xasprintf("a message is a JSON object, and this is none: %s", error.text);
        socket_send_error(socket, NULL, NULL, message ? "a message is a JSON object" : why);
        json_decref(message);
        return;
    }
    ctx_init(&ctx, &socket->server->ctx);
    ctx_set_timeout(&ctx, SERVER_REQUEST_MS, "the request");
    dispatch(&ctx, socket, message);
    ctx_release(&ctx);
    json_decref(message);
}
