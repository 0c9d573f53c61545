#include "apis/idp/agent.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "apis/ws/ws.h"
#include "base/alloc.h"
#include "base/clock.h"

enum {
    /* An agent loses what comes before it is ready for a connection, which it does not tell: it is
     * given the time that its own client gives it, and is asked again. */
    AUTH_FIRST_MS = 10,
    AUTH_AGAIN_MS = 250, /* twice as long each time */
    AUTH_AGAIN_MAX_MS = 4000,
    FOREIGN_MAX = 15,
};

struct idp {
    struct http_client *http;
    struct ws *ws;
    char *peer;
    int64_t ping_ms; /* monotonic: of the next one */
};

void idp_free(struct idp *idp)
{
    if (!idp)
        return;
    ws_free(idp->ws);
    http_client_free(idp->http);
    free(idp->peer);
    free(idp);
}

static int send_text(struct idp *idp, const char *data, size_t len, struct err *err)
{
    idp->ping_ms = clock_monotonic_ms() + IDP_PING_MS;
    return ws_send(idp->ws, WS_TEXT, data, len, err);
}

static int send_byte(struct idp *idp, enum idp_type type, struct err *err)
{
    const char byte = (char)type;

    return send_text(idp, &byte, 1, err);
}

static int ping(struct idp *idp, struct err *err)
{
    if (clock_monotonic_ms() < idp->ping_ms)
        return 0;
    return send_byte(idp, IDP_PING, err);
}

/* A machine that has gone takes nothing: the kernel then ends the connection. */
static void limit_silence(const struct idp *idp)
{
    const unsigned ms = IDP_SILENCE_MS;

    /* Of a proxy's connection, which may be no TCP of ours, it cannot be asked. */
    (void)!setsockopt(ws_fd(idp->ws), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

/* --- the connection --- */

/* Nothing has been asked of it by then that could be lost. */
static int unavailable(struct err *err)
{
    if (err && err->code == ERR_LOST)
        err->code = ERR_UNAVAILABLE;
    return -1;
}

/* What has not been done when the agent's time is over, it has not done. */
static int judge(const struct ctx *above, const struct idp_options *o, int wait_ms,
                 const char *what, const struct err *own, struct err *err)
{
    if (ctx_done(above))
        return ctx_check(above, err);
    if (own->code == ERR_TIMEOUT)
        return err_set(err, ERR_UNAVAILABLE, "%s has not answered %s within %d ms", o->peer, what,
                       wait_ms);
    if (err)
        *err = *own;
    return unavailable(err);
}

static int shake_hands(const struct ctx *ctx, const struct idp_options *o, struct idp *idp,
                       struct err *err)
{
    const struct http_client_options http = {.base_url = o->base_url,
                                             .peer = o->peer,
                                             .tls = o->tls};
    const struct ws_options ws = {.path = o->path ? o->path : "/", .any_text = true};
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;

    idp->peer = xstrdup(o->peer);
    if (http_client_new(&http, &idp->http, err) < 0)
        return -1;
    if (ws_open(ctx, idp->http, &ws, &response, &idp->ws, err) < 0)
        return -1;
    if (!idp->ws)
        return err_set(err, response.status >= 500 ? ERR_UNAVAILABLE : ERR_PROTOCOL,
                       "%s is no IDP agent, or not at this path: it answers with the HTTP status "
                       "%d",
                       o->peer, response.status);
    limit_silence(idp);
    idp->ping_ms = clock_monotonic_ms() + IDP_PING_MS;
    return 0;
}

static int wait_of(const struct idp_options *o)
{
    return o->auth_wait_ms ? o->auth_wait_ms : IDP_AUTH_WAIT_MS;
}

static int connect_agent(const struct ctx *above, const struct idp_options *o, struct idp *idp,
                         struct err *err)
{
    struct err own = ERR_INIT;
    CLEANUP_CTX struct ctx ctx;

    ctx_init(&ctx, above);
    ctx_set_timeout(&ctx, wait_of(o), "the agent's");
    if (shake_hands(&ctx, o, idp, &own) == 0)
        return 0;
    return judge(above, o, wait_of(o), "the request for a WebSocket", &own, err);
}

/* What the agent says, on one line, and not the secret. */
static void add_words(struct buf *out, const struct idp_message *message, const char *secret)
{
    size_t secret_len = secret ? strlen(secret) : 0;
    const char *at = message->data;
    const char *end = at + message->len;

    while (end > at && (end[-1] == '\n' || end[-1] == '\r'))
        end--;
    while (at < end) {
        if (secret_len && (size_t)(end - at) >= secret_len && memcmp(at, secret, secret_len) == 0) {
            buf_addstr(out, "******");
            at += secret_len;
        } else {
            buf_addch(out, *at++);
        }
    }
}

static int denied(const struct idp_options *o, const struct idp_message *message, struct err *err)
{
    CLEANUP_BUF struct buf words = BUF_INIT;

    add_words(&words, message, o->client_secret);
    return err_set(err, ERR_DENIED, "%s refuses the client_id and client_secret of the URL: %s",
                   o->peer, words.len ? words.data : "it does not say why");
}

/* 1 when the agent has accepted, 0 when it has said nothing yet. */
static int read_answer(const struct idp_options *o, struct idp *idp, struct err *err)
{
    struct idp_message message;

    for (;;) {
        switch (idp_read(idp, &message, err)) {
        case IDP_READ_ERROR:
            return -1;
        case IDP_READ_AGAIN:
            return 0;
        case IDP_READ_MESSAGE:
            if (message.type == IDP_AUTH_OK)
                return 1;
            if (message.type == IDP_AUTH_FAILED)
                return denied(o, &message, err);
        }
    }
}

static int await_answer(const struct ctx *ctx, const struct idp_options *o, struct idp *idp,
                        const struct buf *request, struct err *err)
{
    int64_t due_ms = clock_monotonic_ms() + AUTH_FIRST_MS;
    int pause_ms = AUTH_AGAIN_MS;

    for (;;) {
        int answer = read_answer(o, idp, err);
        int64_t left = due_ms - clock_monotonic_ms();

        if (answer)
            return answer < 0 ? -1 : 0;
        if (left <= 0) {
            if (send_text(idp, request->data, request->len, err) < 0)
                return -1;
            left = pause_ms;
            due_ms = clock_monotonic_ms() + left;
            pause_ms = pause_ms * 2 < AUTH_AGAIN_MAX_MS ? pause_ms * 2 : AUTH_AGAIN_MAX_MS;
        }
        if (idp_wait(ctx, idp, NULL, 0, true, (int)left, err) < 0)
            return -1;
    }
}

static int authenticate(const struct ctx *above, const struct idp_options *o, struct idp *idp,
                        struct err *err)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    struct err own = ERR_INIT;
    CLEANUP_CTX struct ctx ctx;
    int result;

    ctx_init(&ctx, above);
    ctx_set_timeout(&ctx, wait_of(o), "the agent's");
    result = idp_auth_add(&request, o->client_id, o->client_secret, &own);
    if (result == 0)
        result = await_answer(&ctx, o, idp, &request, &own);
    explicit_bzero(request.data, request.len);
    return result == 0 ? 0 : judge(above, o, wait_of(o), "the authentication", &own, err);
}

int idp_open(const struct ctx *ctx, const struct idp_options *options, struct idp **ret,
             struct err *err)
{
    CLEANUP_IDP struct idp *idp = xcalloc(1, sizeof(*idp));

    if (connect_agent(ctx, options, idp, err) < 0 || authenticate(ctx, options, idp, err) < 0)
        return -1;
    *ret = steal_ptr(&idp);
    return 0;
}

/* --- what goes --- */

int idp_run(struct idp *idp, const struct idp_command *command, struct err *err)
{
    CLEANUP_BUF struct buf message = BUF_INIT;
    int result = idp_command_add(&message, command, err);

    if (result == 0)
        result = send_text(idp, message.data, message.len, err);
    explicit_bzero(message.data, message.len);
    return result;
}

int idp_cancel(struct idp *idp, struct err *err)
{
    return send_byte(idp, IDP_CANCEL, err);
}

/* --- what comes --- */

enum idp_read idp_read(struct idp *idp, struct idp_message *ret, struct err *err)
{
    struct ws_message message = {.data = ""};

    for (;;) {
        int got;

        switch (ws_recv(idp->ws, &message, err)) {
        case WS_RECV_ERROR:
            return IDP_READ_ERROR;
        case WS_RECV_AGAIN:
            return ping(idp, err) < 0 ? IDP_READ_ERROR : IDP_READ_AGAIN;
        case WS_RECV_CLOSED:
            err_set(err, ERR_LOST, "%s has closed the connection%s%s", idp->peer,
                    message.len ? ": " : "", message.data);
            return IDP_READ_ERROR;
        case WS_RECV_MESSAGE:
            got = idp_parse(message.data, message.len, ret, err);
            if (got)
                return got < 0 ? IDP_READ_ERROR : IDP_READ_MESSAGE;
        }
    }
}

int idp_wait(const struct ctx *ctx, struct idp *idp, struct pollfd *fds, size_t count, bool read,
             int timeout_ms, struct err *err)
{
    int64_t left = idp->ping_ms - clock_monotonic_ms();
    int ping_ms = left < 0 ? 0 : left > IDP_PING_MS ? IDP_PING_MS : (int)left;
    bool ping_first = timeout_ms < 0 || ping_ms < timeout_ms;
    int wait_ms = ping_first ? ping_ms : timeout_ms;
    int ready;

    if (read) {
        ready = ws_wait(ctx, idp->ws, fds, count, wait_ms, err);
    } else {
        ready = ctx_poll(ctx, fds, count, wait_ms, err);
    }
    if (ready < 0 || ping(idp, err) < 0)
        return -1;
    return ready > 0 || ping_first;
}
