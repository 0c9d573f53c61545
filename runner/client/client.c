#include "client/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "client/inside.h"
#include "client/rest.h"

enum {
    CONNECT_MS = 20000,
    PING_MS = 15000,
    /* In all, some minutes. */
    TRIES = 12,
    /* A connection that has been there for so long has come to something, though nobody spoke. */
    STEADY_MS = 30000,
    MESSAGE_MAX = 256 << 20,
};

/* --- sending --- */

static int send_object(struct client *c, json_t *object, struct err *err)
{
    CLEANUP_FREE char *text = json_dumps(object, JSON_COMPACT);

    json_decref(object);
    if (!text)
        return err_set(err, ERR_INVALID, "what is to be submitted is not UTF-8");
    return ws_send(c->ws, WS_TEXT, text, strlen(text), err);
}

static json_t *frame(const char *type, const char *payload)
{
    json_t *object = json_object();

    json_object_set_new(object, "type", json_string(type));
    json_object_set_new(object, "payload", json_string(payload));
    return object;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text)
        json_object_set_new(object, key, json_string(text));
}

static void set_map(json_t *object, const char *key, const struct strmap *map)
{
    json_t *values = json_object();

    strmap_foreach (entry, map)
        json_object_set_new(values, entry->key, json_string(entry->value));
    json_object_set_new(object, key, values);
}

static int send_run(struct client *c, const char *text, struct err *err)
{
    const struct client_options *o = c->options;
    json_t *run = frame("run", text);

    if (ws_protocol(c->ws)) {
        if (o->detach)
            json_object_set_new(run, "detach", json_true());
        if (o->priority)
            json_object_set_new(run, "priority", json_integer(o->priority));
        set_text(run, "name", o->name);
        set_text(run, "engine", o->engine);
        set_text(run, "image", o->image);
        set_text(run, "timeout", o->timeout);
        if (o->env && o->env->len)
            set_map(run, "env", o->env);
        if (o->inputs && o->inputs->len)
            set_map(run, "inputs", o->inputs);
    }
    return send_object(c, run, err);
}

static int send_follow(struct client *c, struct err *err)
{
    json_t *follow = frame("follow", c->end->id);

    set_text(follow, "position", c->position);
    c->following = false;
    c->cancels = 0;
    return send_object(c, follow, err);
}

static int send_cancel(struct client *c, struct err *err)
{
    json_t *cancel = frame("cancel", c->end->id ? c->end->id : "");

    if (c->hurrying)
        json_object_set_new(cancel, "hurry", json_true());
    c->cancels++;
    return send_object(c, cancel, err);
}

/* --- what people want --- */

/* A connection that does not take it is found to be lost, and it is sent with the next one. */
static void want_cancel(struct client *c, bool hurry)
{
    c->ask_fd = -1;
    c->cancelling = true;
    c->hurrying = c->hurrying || hurry;
    c->end->cancelled_here = true;
    if (c->ws && ws_protocol(c->ws))
        (void)!send_cancel(c, NULL);
}

void client_attend(struct client *c)
{
    const struct client_handler *h = c->handler;
    int answer;

    if (!c->hurrying && atomic_load(&c->options->hurry->cause) != CTX_CAUSE_NONE) {
        want_cancel(c, true);
    } else if (!c->asked && ctx_done(c->options->interrupt)) {
        c->asked = true;
        c->ask_fd = h->ask ? h->ask(h->arg) : -1;
        if (c->ask_fd < 0)
            want_cancel(c, false);
    } else if (c->ask_fd >= 0) {
        answer = h->answer(h->arg);
        if (answer > 0)
            want_cancel(c, false);
        else if (answer == 0)
            c->ask_fd = -1;
    }
}

int client_wait(struct client *c, bool with_ws, int ms, struct err *err)
{
    struct pollfd fds[3];
    size_t count = 0;
    int ready;

    if (!c->asked)
        fds[count++] =
            (struct pollfd){.fd = c->options->interrupt->cancel.event_fd, .events = POLLIN};
    if (!c->hurrying)
        fds[count++] = (struct pollfd){.fd = c->options->hurry->event_fd, .events = POLLIN};
    if (c->ask_fd >= 0)
        fds[count++] = (struct pollfd){.fd = c->ask_fd, .events = POLLIN};
    ready = with_ws ? ws_wait(&c->work, c->ws, fds, count, ms, err)
                    : ctx_poll(&c->work, fds, count, ms, err);
    if (ready < 0)
        return -1;
    for (size_t i = 0; i < count && ready; i++) {
        if (fds[i].revents) {
            client_attend(c);
            return with_ws;
        }
    }
    return with_ws || !ready;
}

/* --- what the server says --- */

void client_set_end(struct client *c, const char *status, const char *error)
{
    c->over = true;
    free(c->end->status);
    free(c->end->error);
    c->end->status = xstrdup_null(status);
    c->end->error = error && *error ? xstrdup(error) : NULL;
}

static void take_done(struct client *c, const json_t *message)
{
    const char *status = json_at_string(message, "status");
    const char *error = json_at_string(message, "payload");

    c->end->has_exit_code = json_at(message, "exit_code") != NULL;
    c->end->exit_code = (int)json_at_int(message, "exit_code");
    client_set_end(c, *status ? status : *error ? "failed" : "succeeded", error);
}

static int take_id(struct client *c, const char *id, struct err *err)
{
    if (c->end->id)
        return 0;
    c->end->id = xstrdup(id);
    if (c->options->detach) {
        c->end->submitted = true;
        c->over = true;
        return 0;
    }
    return c->handler->id(c->handler->arg, id, err);
}

/* The first one before the id is about the submission. Later ones may be answers to cancellations
 * that came too late, but for one more of them: then the run cannot be followed. */
static void take_error(struct client *c, const json_t *message)
{
    const char *text = json_at_string(message, "payload");
    const json_t *diagnostics = json_at(message, "diagnostics");

    if (json_array_size(diagnostics)) {
        json_decref(c->end->diagnostics);
        c->end->diagnostics = json_deep_copy(diagnostics);
    }
    if (!c->end->id || (!c->following && !c->cancels)) {
        client_set_end(c, NULL, *text ? text : "the server refuses, and does not say why");
        return;
    }
    c->cancels -= c->cancels > 0;
    c->handler->say(c->handler->arg, text);
}

static void take_text(struct client *c, enum client_text kind, const json_t *message)
{
    const char *payload = json_at_string(message, "payload");
    const json_t *node = json_at(message, "node");
    CLEANUP_BUF struct buf bytes = BUF_INIT;
    struct client_output output = {.kind = kind,
                                   .node = json_string_value(node),
                                   .time_ms = json_at_int(message, "time"),
                                   .data = payload,
                                   .size = json_string_length(json_at(message, "payload")),
                                   .continued = json_at_bool(message, "continued")};

    if (json_at_bool(message, "base64")) {
        if (base64_decode(&bytes, payload, NULL) < 0)
            return;
        output.data = bytes.data;
        output.size = bytes.len;
    }
    c->handler->output(c->handler->arg, &output);
}

static void take_event(struct client *c, const json_t *message)
{
    const json_t *payload = json_at(message, "payload");
    json_t *event = json_loadb(json_string_value(payload) ? json_string_value(payload) : "",
                               json_string_length(payload), JSON_ALLOW_NUL, NULL);

    if (event)
        c->handler->event(c->handler->arg, event);
    else
        c->handler->say(c->handler->arg, "an event of the run cannot be read");
    json_decref(event);
}

/* Whether it is of the run that is followed: a connection may have others. */
static bool is_ours(const struct client *c, const json_t *message)
{
    const char *run = json_at_string(message, "run");

    return !*run || (c->end->id && strcmp(run, c->end->id) == 0);
}

static int take_message(struct client *c, const json_t *message, struct err *err)
{
    const char *type = json_at_string(message, "type");
    const char *payload = json_at_string(message, "payload");
    const char *position = json_at_string(message, "position");

    if (strcmp(type, "id") == 0)
        return take_id(c, payload, err);
    if (!is_ours(c, message))
        return 0;
    if (strcmp(type, "stdout") == 0)
        take_text(c, CLIENT_STDOUT, message);
    else if (strcmp(type, "stderr") == 0)
        take_text(c, CLIENT_STDERR, message);
    else if (strcmp(type, "note") == 0)
        take_text(c, CLIENT_NOTE, message);
    else if (strcmp(type, "event") == 0)
        take_event(c, message);
    else if (strcmp(type, "missing") == 0)
        c->handler->missing(c->handler->arg, strtoull(payload, NULL, 10));
    else if (strcmp(type, "done") == 0)
        take_done(c, message);
    else if (strcmp(type, "error") == 0)
        take_error(c, message);
    if (*position) {
        c->following = true;
        free(c->position);
        c->position = xstrdup(position);
    }
    return 0;
}

static int take_frame(struct client *c, const struct ws_message *frame, struct err *err)
{
    json_t *message = json_loadb(frame->data, frame->len, JSON_ALLOW_NUL, NULL);
    int result;

    if (!json_is_object(message)) {
        json_decref(message);
        return err_set(err, ERR_PROTOCOL, "%s sends what is no JSON object",
                       c->options->target->name);
    }
    result = take_message(c, message, err);
    json_decref(message);
    return result;
}

/* --- the connection --- */

static int refused(const struct client *c, const struct http_response *response, struct err *err)
{
    const struct client_target *target = c->options->target;

    if (response->status == 401 || response->status == 403 || response->status >= 429)
        return client_rest_refused(target, response, err);
    err_set(err, ERR_PROTOCOL,
            "%s is no server of pipelines at %s: it answers with the HTTP status %d", target->name,
            target->path, response->status);
    if (err)
        err->errnum = response->status;
    return -1;
}

static int open_ws(const struct ctx *ctx, struct client *c, struct err *err)
{
    static const char *const protocols[] = {CLIENT_PROTOCOL, NULL};
    const struct ws_options options = {.path = c->options->target->path,
                                       .protocols = protocols,
                                       .max_message = MESSAGE_MAX,
                                       .ping_interval_ms = PING_MS};
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;

    ws_free(steal_ptr(&c->ws));
    if (ws_open(ctx, c->http, &options, &response, &c->ws, err) < 0)
        return -1;
    if (!c->ws)
        return refused(c, &response, err);
    c->connected_ms = clock_monotonic_ms();
    return 0;
}

/* One attempt; `until` ends it, too. */
static int connect_once(const struct ctx *until, struct client *c, struct err *err)
{
    struct err own = ERR_INIT;
    CLEANUP_CTX struct ctx ctx;

    ctx_init(&ctx, until);
    ctx_set_timeout(&ctx, CONNECT_MS, "the connection's");
    if (open_ws(&ctx, c, &own) == 0)
        return 0;
    if (own.code == ERR_TIMEOUT && !ctx_done(until))
        return err_set(err, ERR_UNAVAILABLE, "%s does not answer within %d s",
                       c->options->target->name, CONNECT_MS / 1000);
    if (err)
        *err = own;
    return -1;
}

static void say_lost(struct client *c, const struct err *why, int64_t delay_ms)
{
    CLEANUP_FREE char *text =
        xasprintf("%s; trying again in %.1f s", why->message, (double)delay_ms / 1000);

    c->handler->say(c->handler->arg, text);
}

/* The time before the next attempt, in which people may want something. -1: no more attempts. */
static int pause_for(struct client *c, int64_t ms, struct err *err)
{
    int waited = 0;

    while (waited == 0) {
        waited = client_wait(c, false, (int)ms, err);
        if (c->hurrying)
            return -1;
    }
    return waited < 0 ? -1 : 0;
}

static void begin_retries(struct client *c)
{
    retry_init(&c->retry, &(struct retry_policy){.attempts = TRIES});
}

/* Through a connection that is new. */
static int resume(struct client *c, struct err *err)
{
    if (!ws_protocol(c->ws))
        return err_set(err, ERR_PROTOCOL, "%s does not speak " CLIENT_PROTOCOL " any more",
                       c->options->target->name);
    c->handler->say(c->handler->arg, "connected again");
    return send_follow(c, err) < 0 || (c->cancelling && send_cancel(c, err) < 0) ? -1 : 0;
}

/* The connection is lost; the run is not. */
static int reconnect(struct client *c, struct err *err)
{
    struct ctx until;

    ctx_init(&until, &c->work);
    until.also = c->options->hurry;
    if (c->following || clock_monotonic_ms() - c->connected_ms > STEADY_MS)
        begin_retries(c);
    ws_free(steal_ptr(&c->ws));
    while (retry_left(&c->retry) && !c->hurrying) {
        int64_t delay_ms = retry_next_delay_ms(&c->retry, -1);
        struct err why = ERR_INIT;

        c->retry.attempt++;

        say_lost(c, err, delay_ms);
        if (pause_for(c, delay_ms, &why) < 0)
            break;
        if (connect_once(&until, c, err) == 0 && resume(c, err) == 0)
            return 0;
        if (!retry_is_transient(err))
            break;
    }
    return err_wrap(err, "run %s goes on without being shown", c->end->id);
}

/* 0: connected again. */
static int lost(struct client *c, struct err *err)
{
    if (!ws_protocol(c->ws))
        return -1;
    if (!c->end->id)
        return err_wrap(err, "the server has not confirmed the run; it may have been submitted");
    return reconnect(c, err);
}

/* What is too large once is so the next time. */
static int closed(const struct client *c, const struct ws_message *message, struct err *err)
{
    if (message->close_code == WS_CLOSE_TOO_LARGE)
        return err_set(err, ERR_LIMIT, "%s takes nothing as large as this pipeline%s%s",
                       c->options->target->name, *message->data ? ": " : "", message->data);
    return err_set(err, ERR_LOST, "%s has closed the connection (%u%s%s)", c->options->target->name,
                   message->close_code, *message->data ? ": " : "", message->data);
}

/* Takes what there is: 1: something, 0: not now, -1: the connection is lost. */
static int receive(struct client *c, struct err *err)
{
    struct ws_message message;

    switch (ws_recv(c->ws, &message, err)) {
    case WS_RECV_MESSAGE:
        return take_frame(c, &message, err) < 0 ? -1 : 1;
    case WS_RECV_AGAIN:
        return 0;
    case WS_RECV_CLOSED:
        return closed(c, &message, err);
    case WS_RECV_ERROR:
        break;
    }
    return -1;
}

/* Until the end is known. */
static int follow(struct client *c, struct err *err)
{
    while (!c->over) {
        int got;

        c->handler->wait_for_room(c->handler->arg);
        client_attend(c);
        got = receive(c, err);
        if (got < 0) {
            if (!err_is_away(err) || lost(c, err) < 0)
                return -1;
        } else if (got == 0 && client_wait(c, true, -1, err) < 0 &&
                   (!err_is_away(err) || lost(c, err) < 0)) {
            return -1;
        }
    }
    return 0;
}

/* --- all of it --- */

static int submit(struct client *c, struct err *err)
{
    CLEANUP_FREE char *marked = NULL;

    if (ws_protocol(c->ws))
        return send_run(c, c->options->text, err) < 0 ? -1 : follow(c, err);
    if (c->options->name || c->options->engine || c->options->image || c->options->timeout ||
        c->options->priority || c->options->env->len || c->options->inputs->len)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s does not speak " CLIENT_PROTOCOL
                       ": it takes a file, and nothing beside it",
                       c->options->target->name);
    marked = client_marked(c->options->text);
    if (send_run(c, marked, err) < 0 || follow(c, err) < 0)
        return -1;
    /* It says when the run is queued, and has not said that it was refused. */
    return c->end->status ? client_follow_classic(c, marked, err) : 0;
}

static int follow_id(struct client *c, struct err *err)
{
    if (!ws_protocol(c->ws))
        return err_set(err, ERR_UNSUPPORTED,
                       "%s does not speak " CLIENT_PROTOCOL ": its runs cannot be followed",
                       c->options->target->name);
    return take_id(c, c->options->follow, err) < 0 || send_follow(c, err) < 0 ? -1 : follow(c, err);
}

int client_run(const struct client_options *options, const struct client_handler *handler,
               struct client_end *ret, struct err *err)
{
    struct client c = {.options = options, .handler = handler, .end = ret, .ask_fd = -1};
    int result = -1;

    *ret = (struct client_end){0};
    ctx_init_cleanup(&c.work, INT64_MAX);
    begin_retries(&c);
    if (client_rest_open(options->target, &c.http, err) == 0 &&
        connect_once(options->interrupt, &c, err) == 0)
        result = options->follow ? follow_id(&c, err) : submit(&c, err);
    if (c.ws && result == 0)
        (void)!ws_close(c.ws, WS_CLOSE_NORMAL, "", NULL);
    ws_free(c.ws);
    http_client_free(c.http);
    ctx_release(&c.work);
    free(c.position);
    return result;
}

void client_end_release(struct client_end *end)
{
    free(end->id);
    free(end->status);
    free(end->error);
    json_decref(end->diagnostics);
    *end = (struct client_end){0};
}
