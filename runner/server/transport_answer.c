/* Responses: headers, content of a known length, and streams, as they are written. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/tcp_read.h"
#include "server/transport_inside.h"

static int add_header(const struct transport *t, struct lws *wsi, const char *name,
                      const char *value, unsigned char **at, unsigned char *end)
{
    CLEANUP_FREE char *with_colon = xasprintf("%s:", name);

    return t->lws->add_http_header_by_name(wsi, (const unsigned char *)with_colon,
                                           (const unsigned char *)value, (int)strlen(value), at,
                                           end);
}

static size_t content_size(const struct web_response *response)
{
    return response->constant ? response->constant_size : response->body.len;
}

static const char *content(const struct web_response *response)
{
    return response->constant ? response->constant : response->body.data;
}

static bool has_content(const struct web_response *response)
{
    return response->status != 204 && response->status != 304;
}

static int add_length(struct transport *t, struct web_call *call, unsigned char **at,
                      unsigned char *end)
{
    const struct web_response *response = &call->response;
    char number[24];

    if (!has_content(response))
        return 0;
    if (response->stream) {
        call->chunked = !transport_is_mux(t, call->wsi) && !call->ends;
        return call->chunked ? add_header(t, call->wsi, "transfer-encoding", "chunked", at, end)
                             : 0;
    }
    snprintf(number, sizeof(number), "%zu", content_size(response));
    return add_header(t, call->wsi, "content-length", number, at, end);
}

/* RFC 9110, section 6.6.1 */
static int add_date(const struct transport *t, struct lws *wsi, unsigned char **at,
                    unsigned char *end)
{
    char date[CLOCK_HTTP_SIZE];

    clock_http(clock_wall_ms(), date);
    return add_header(t, wsi, "date", date, at, end);
}

static int add_headers(struct transport *t, struct web_call *call, unsigned char **at,
                       unsigned char *end)
{
    const struct web_response *response = &call->response;
    struct lws *wsi = call->wsi;

    call->status = response->status;
    if (t->lws->add_http_header_status(wsi, (unsigned)response->status, at, end) ||
        add_date(t, wsi, at, end))
        return -1;
    if (has_content(response) &&
        add_header(t, wsi, "content-type",
                   response->content_type ? response->content_type
                                          : "application/json; charset=utf-8",
                   at, end))
        return -1;
    strmap_foreach (h, &response->headers) {
        if (add_header(t, wsi, h->key, h->value, at, end))
            return -1;
    }
    if (add_header(t, wsi, "x-content-type-options", "nosniff", at, end) ||
        (!strmap_has(&response->headers, "cache-control") &&
         add_header(t, wsi, "cache-control", "no-store", at, end)) ||
        ((response->close || call->ends) && !transport_is_mux(t, wsi) &&
         add_header(t, wsi, "connection", "close", at, end)))
        return -1;
    return add_length(t, call, at, end) || t->lws->finalize_http_header(wsi, at, end) ? -1 : 0;
}

/* How far the connection has been read; false: nobody can tell. */
static bool remember(const struct transport *t, struct lws *wsi)
{
    struct link *link = transport_link(t, wsi);

    link->used = true;
    return tcp_bytes_read(t->lws->get_socket_fd(wsi), &link->used_bytes) == 0;
}

/* -1 closes the connection, or the stream of HTTP/2, once what was written has gone. */
static int finish(struct transport *t, struct web_call *call)
{
    struct lws *wsi = call->wsi;
    bool close = call->response.close || call->ends;
    bool mux = transport_is_mux(t, wsi);

    transport_call_detach(t, call);
    if (!mux && (close || !remember(t, wsi)))
        return -1;
    if (t->lws->http_transaction_completed(wsi))
        return -1;
    (void)transport_rest_if_choked(t, wsi);
    /* It waits for a body that has no length; transport_write_some() ends that. */
    if (mux && close)
        t->lws->callback_on_writable(wsi);
    return 0;
}

static int write_out(struct transport *t, struct web_call *call, size_t size,
                     enum lws_write_protocol how)
{
    call->written_ms = clock_monotonic_ms();
    call->written += size;
    t->lws->set_timeout(call->wsi, PENDING_TIMEOUT_USER_REASON_BASE, TRANSPORT_WRITE_SECONDS);
    return t->lws->write(call->wsi, t->out + LWS_PRE, size, how) < 0 ? -1 : 0;
}

/* How much may be written now; 0: nothing, for which HTTP/2 has the peer to thank. */
static size_t allowance(const struct transport *t, struct lws *wsi)
{
    long long allowed = (long long)t->lws->get_peer_write_allowance(wsi);

    if (!transport_is_mux(t, wsi) || allowed < 0 || allowed > TRANSPORT_WRITE_MAX)
        return TRANSPORT_WRITE_MAX;
    return (size_t)allowed;
}

static bool is_end(const struct web_call *call)
{
    return call->head || !has_content(&call->response) ||
           (!call->response.stream && call->sent == content_size(&call->response));
}

/* Headers; with them, on HTTP/1.1, the beginning of the content, which for most is all of it. */
static int write_headers(struct transport *t, struct web_call *call)
{
    unsigned char *start = t->out + LWS_PRE;
    unsigned char *at = start;
    unsigned char *end = start + TRANSPORT_HEADERS_MAX;
    bool bare = call->head || !has_content(&call->response);
    size_t more = 0;

    if (add_headers(t, call, &at, end))
        return -1;
    if (!bare && !call->response.stream && !transport_is_mux(t, call->wsi)) {
        more = content_size(&call->response);
        more = more < TRANSPORT_WRITE_MAX ? more : TRANSPORT_WRITE_MAX;
        memcpy(at, content(&call->response), more);
        call->sent = more;
    }
    if (write_out(t, call, (size_t)(at - start) + more, LWS_WRITE_HTTP_HEADERS) < 0)
        return -1;
    call->state = CALL_CONTENT;
    if (!bare && call->response.stream)
        transport_stream_begin(call);
    if (is_end(call)) {
        if (!transport_is_mux(t, call->wsi))
            return finish(t, call);
        if (write_out(t, call, 0, LWS_WRITE_HTTP_FINAL) < 0)
            return -1;
        return finish(t, call);
    }
    transport_want_write(call);
    return 0;
}

static int write_content(struct transport *t, struct web_call *call)
{
    size_t left = content_size(&call->response) - call->sent;
    size_t size = allowance(t, call->wsi);
    bool last;

    size = size < left ? size : left;
    last = size == left;
    if (size) {
        memcpy(t->out + LWS_PRE, content(&call->response) + call->sent, size);
        call->sent += size;
        if (write_out(t, call, size, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
            return -1;
    }
    if (last)
        return finish(t, call);
    transport_want_write(call);
    return 0;
}

/* Puts what there is behind `at`, as much as fits; *ret_end: that was all. */
static size_t gather(struct web_call *call, unsigned char *at, size_t room, bool *ret_end)
{
    size_t size = 0;
    int got = 1;

    while (size < room && (got = transport_next_piece(call)) > 0) {
        size_t take = call->piece.size - call->piece_sent;

        take = take < room - size ? take : room - size;
        memcpy(at + size, call->piece.data + call->piece_sent, take);
        transport_pass_piece(call, take);
        size += take;
    }
    *ret_end = got == WEB_END;
    return size;
}

/* In the form of RFC 9112, section 7.1: its length takes seven bytes before it. */
static size_t frame_chunk(unsigned char *start, size_t size, bool end)
{
    char length[8];
    size_t at = 0;

    if (size) {
        snprintf(length, sizeof(length), "%05x\r\n", (unsigned)size & 0xfffffu);
        memcpy(start, length, 7);
        memcpy(start + 7 + size, "\r\n", 2);
        at = 7 + size + 2;
    }
    if (end) {
        memcpy(start + at, "0\r\n\r\n", 5);
        at += 5;
    }
    return at;
}

static int write_stream(struct transport *t, struct web_call *call)
{
    unsigned char *start = t->out + LWS_PRE;
    size_t room = allowance(t, call->wsi);
    size_t size;
    bool end;

    if (!room) {
        transport_want_write(call);
        return 0;
    }
    size = gather(call, start + (call->chunked ? 7 : 0), room, &end);
    if (call->chunked)
        size = frame_chunk(start, size, end);
    if (call->stream_end == WEB_BROKEN && !size)
        return -1;
    if (!size && !end) {
        t->lws->set_timeout(call->wsi, NO_PENDING_TIMEOUT, 0);
        transport_stop_reading(call);
        return 0;
    }
    if (write_out(t, call, size, end && !call->chunked ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
        return -1;
    if (end)
        return finish(t, call);
    transport_want_write(call);
    return 0;
}

/* A stream of HTTP/2 whose response is written has nothing more to do. */
int transport_write_some(struct transport *t, struct lws *wsi, struct web_call *call)
{
    if (!call)
        return transport_is_mux(t, wsi) ? -1 : 0;
    switch (call->state) {
    case CALL_HEADERS:
        return write_headers(t, call);
    case CALL_CONTENT:
        return write_content(t, call);
    case CALL_STREAM:
        return write_stream(t, call);
    default:
        return 0;
    }
}

/* At once; -1: it could not be. The connection is then to be closed. */
int transport_write_refusal(struct transport *t, struct web_call *call)
{
    unsigned char *start = t->out + LWS_PRE;
    unsigned char *at = start;
    size_t size = call->head ? 0 : content_size(&call->response);

    call->response.close = true;
    if (size > TRANSPORT_WRITE_MAX || add_headers(t, call, &at, start + TRANSPORT_HEADERS_MAX))
        return -1;
    memcpy(at, content(&call->response), size);
    size += (size_t)(at - start);
    return write_out(t, call, size, LWS_WRITE_HTTP_HEADERS);
}
