#include "apis/ws/ws.h"

#include <string.h>

#include "apis/ws/ws_handshake.h"
#include "base/clock.h"
#include "base/vec.h"

enum { READ_BYTES = 16 << 10, WRITE_BYTES = 16 << 10, FOREIGN_MAX = 15 };

struct ws {
    struct http_stream *stream;
    struct ws_decoder decoder;
    struct buf out; /* what is to be sent behind `flight` */
    size_t out_at;
    /* What is being sent. TLS wants a write that it could not end repeated with the same bytes at
     * the same place, which `out` does not promise. */
    char flight[WRITE_BYTES];
    size_t flight_at;
    size_t flight_len;
    char *protocol;
    char *peer;
    size_t max_frame;
    int64_t ping_interval_ms;
    int64_t heard_ms;  /* monotonic: when the last byte came */
    bool pinged;       /* since then, */
    int64_t pinged_ms; /* at that time */
    bool close_sent;
    bool close_received;
    unsigned close_code; /* the other side's */
    char close_reason[WS_CONTROL_MAX];
};

void ws_free(struct ws *ws)
{
    if (!ws)
        return;
    http_stream_free(ws->stream);
    ws_decoder_release(&ws->decoder);
    buf_release(&ws->out);
    free(ws->protocol);
    free(ws->peer);
    free(ws);
}

static void add_headers(const struct ws_options *o, const char *key, struct strvec *out)
{
    strvec_push(out, "Connection: Upgrade");
    strvec_push(out, "Upgrade: websocket");
    strvec_push(out, "Sec-WebSocket-Version: 13");
    strvec_pushf(out, "Sec-WebSocket-Key: %s", key);
    if (o->protocols && o->protocols[0]) {
        CLEANUP_BUF struct buf line = BUF_INIT;

        buf_addstr(&line, "Sec-WebSocket-Protocol: ");
        for (const char *const *p = o->protocols; *p; p++)
            buf_addf(&line, "%s%s", p == o->protocols ? "" : ", ", *p);
        strvec_push(out, line.data);
    }
    for (const char *const *h = o->headers; h && *h; h++)
        strvec_push(out, *h);
}

int ws_open(const struct ctx *ctx, const struct http_client *http, const struct ws_options *o,
            struct http_response *response, struct ws **ret, struct err *err)
{
    CLEANUP_WS struct ws *ws = xcalloc(1, sizeof(*ws));
    CLEANUP_STRVEC struct strvec headers = {0};
    struct http_request request = {.method = "GET", .path = o->path};
    const char *protocol = NULL;
    char key[WS_KEY_SIZE];

    ws->out = (struct buf)BUF_INIT;
    ws_decoder_init(&ws->decoder, WS_CLIENT, o->max_message);
    ws->decoder.any_text = o->any_text;
    ws->peer = xstrdup(http_client_peer(http));
    ws->max_frame = o->max_frame;
    ws->ping_interval_ms = o->ping_interval_ms;
    ws_key_new(key);
    add_headers(o, key, &headers);
    request.headers = (const char *const *)headers.items;
    if (http_stream_open(ctx, http, &request, response, &ws->stream, err) < 0)
        return -1;
    if (!ws->stream || response->status != 101) {
        *ret = NULL;
        return 0;
    }
    if (ws_handshake_check(response, key, o->protocols, &protocol, err) < 0)
        return err_wrap(err, "%s", ws->peer);
    ws->protocol = xstrdup_null(protocol);
    ws->heard_ms = clock_monotonic_ms();
    *ret = steal_ptr(&ws);
    return 0;
}

const char *ws_protocol(const struct ws *ws)
{
    return ws->protocol;
}

int ws_fd(const struct ws *ws)
{
    return http_stream_fd(ws->stream);
}

size_t ws_queued(const struct ws *ws)
{
    return ws->flight_len - ws->flight_at + ws->out.len - ws->out_at;
}

short ws_events(const struct ws *ws)
{
    return (short)(POLLIN | (ws_queued(ws) ? POLLOUT : 0));
}

/* When silence has to be acted on; INT64_MAX: never. */
static int64_t silence_limit_ms(const struct ws *ws)
{
    if (ws->ping_interval_ms <= 0)
        return INT64_MAX;
    /* The other side has its time to answer however late this one came to ask. */
    return (ws->pinged ? ws->pinged_ms : ws->heard_ms) + ws->ping_interval_ms;
}

int ws_timeout_ms(const struct ws *ws)
{
    const int64_t limit = silence_limit_ms(ws);
    const int64_t left = limit == INT64_MAX ? 0 : limit - clock_monotonic_ms();

    if (limit == INT64_MAX)
        return -1;
    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static void load_flight(struct ws *ws)
{
    const size_t waiting = ws->out.len - ws->out_at;

    ws->flight_at = 0;
    ws->flight_len = waiting < sizeof(ws->flight) ? waiting : sizeof(ws->flight);
    memcpy(ws->flight, ws->out.data + ws->out_at, ws->flight_len);
    ws->out_at += ws->flight_len;
    if (ws->out_at > ws->out.len / 2) {
        buf_consume(&ws->out, ws->out_at);
        ws->out_at = 0;
    }
}

static int flush(struct ws *ws, struct err *err)
{
    while (ws_queued(ws)) {
        ssize_t put;

        if (ws->flight_at == ws->flight_len)
            load_flight(ws);
        put = http_stream_write(ws->stream, ws->flight + ws->flight_at,
                                ws->flight_len - ws->flight_at, err);
        if (put == HTTP_STREAM_AGAIN)
            return 0;
        if (put < 0)
            return -1;
        ws->flight_at += (size_t)put;
    }
    return 0;
}

int ws_send(struct ws *ws, enum ws_opcode opcode, const void *data, size_t len, struct err *err)
{
    if (ws->close_sent)
        return err_set(err, ERR_CONFLICT, "the WebSocket to %s is closed for sending", ws->peer);
    ws_message_add(&ws->out, WS_CLIENT, opcode, data, len, ws->max_frame);
    return flush(ws, err);
}

int ws_close(struct ws *ws, unsigned code, const char *reason, struct err *err)
{
    if (ws->close_sent)
        return 0;
    ws_close_add(&ws->out, WS_CLIENT, code, reason);
    ws->close_sent = true;
    return flush(ws, err);
}

static int watch_silence(struct ws *ws, struct err *err)
{
    if (clock_monotonic_ms() < silence_limit_ms(ws))
        return 0;
    if (ws->pinged)
        return err_set(err, ERR_LOST, "%s has not answered for %lld ms", ws->peer,
                       (long long)(2 * ws->ping_interval_ms));
    ws->pinged = true;
    ws->pinged_ms = clock_monotonic_ms();
    /* The silence after a Close frame is as deadly, but no Ping may follow that. */
    return ws->close_sent ? 0 : ws_send(ws, WS_PING, NULL, 0, err);
}

/* Deals with what is not for the caller: 1 when the message is for it. */
static int take(struct ws *ws, const struct ws_message *message, struct err *err)
{
    switch (message->opcode) {
    case WS_PING:
        return ws->close_sent ? 0 : ws_send(ws, WS_PONG, message->data, message->len, err);
    case WS_PONG:
        return 0;
    case WS_CLOSE:
        ws->close_received = true;
        ws->close_code = message->close_code;
        snprintf(ws->close_reason, sizeof(ws->close_reason), "%s", message->data);
        /* The other side may be gone already, which takes nothing from what it said. */
        (void)!ws_close(ws, message->close_code, "", NULL);
        return 0;
    default:
        return 1;
    }
}

/* Gives out what has come: 1 with a message, 0, -1. */
static int next(struct ws *ws, struct ws_message *ret, struct err *err)
{
    for (;;) {
        int got = ws_decoder_next(&ws->decoder, ret, err);

        if (got < 0) {
            (void)!ws_close(ws, ws_decoder_close_code(&ws->decoder), "", NULL);
            return err_wrap(err, "%s", ws->peer);
        }
        if (got == 0)
            return 0;
        got = take(ws, ret, err);
        if (got)
            return got;
    }
}

enum ws_recv_result ws_recv(struct ws *ws, struct ws_message *ret, struct err *err)
{
    char chunk[READ_BYTES];

    for (;;) {
        ssize_t got;
        int message = next(ws, ret, err);

        if (message)
            return message < 0 ? WS_RECV_ERROR : WS_RECV_MESSAGE;
        if (ws->close_received) {
            *ret = (struct ws_message){.opcode = WS_CLOSE,
                                       .data = ws->close_reason,
                                       .len = strlen(ws->close_reason),
                                       .close_code = ws->close_code};
            return WS_RECV_CLOSED;
        }
        got = http_stream_read(ws->stream, chunk, sizeof(chunk), err);
        if (got == HTTP_STREAM_AGAIN)
            return watch_silence(ws, err) < 0 || flush(ws, err) < 0 ? WS_RECV_ERROR : WS_RECV_AGAIN;
        if (got < 0)
            return WS_RECV_ERROR;
        if (got == 0) {
            err_set(err, ERR_LOST, "%s ended the WebSocket without closing it", ws->peer);
            return WS_RECV_ERROR;
        }
        ws->heard_ms = clock_monotonic_ms();
        ws->pinged = false;
        ws_decoder_feed(&ws->decoder, chunk, (size_t)got);
    }
}

int ws_wait(const struct ctx *ctx, struct ws *ws, struct pollfd *fds, size_t count, int timeout_ms,
            struct err *err)
{
    struct pollfd all[FOREIGN_MAX + 1] = {{.fd = ws_fd(ws), .events = ws_events(ws)}};
    const int own_ms = ws_timeout_ms(ws);
    const bool own_first = own_ms >= 0 && (timeout_ms < 0 || own_ms < timeout_ms);
    int ready;

    if (count > FOREIGN_MAX)
        return err_set(err, ERR_LIMIT, "ws: %zu descriptors are too many to wait for", count);
    if (count)
        memcpy(all + 1, fds, count * sizeof(*fds));
    ready = ctx_poll(ctx, all, count + 1, own_first ? own_ms : timeout_ms, err);
    if (ready < 0)
        return -1;
    if (count)
        memcpy(fds, all + 1, count * sizeof(*fds));
    return ready > 0 || own_first;
}

int ws_shutdown(const struct ctx *ctx, struct ws *ws, unsigned code, const char *reason,
                struct err *err)
{
    struct ws_message message;

    if (ws_close(ws, code, reason, err) < 0)
        return -1;
    for (;;) {
        switch (ws_recv(ws, &message, err)) {
        case WS_RECV_CLOSED:
            return 0;
        case WS_RECV_ERROR:
            return -1;
        case WS_RECV_MESSAGE:
            break;
        case WS_RECV_AGAIN:
            if (ws_wait(ctx, ws, NULL, 0, -1, err) < 0)
                return -1;
            break;
        }
    }
}
