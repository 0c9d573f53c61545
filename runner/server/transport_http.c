/* Requests and responses of HTTP/1.1 and HTTP/2.
 *
 * A connection of HTTP/1.1 is not read while a request of it is with a worker, or a stream has
 * nothing to say: what comes behind would otherwise be taken for more of the body, or have the loop
 * spin. So it is the sweep (transport.c) that notices when a client goes that only listens. Nor can
 * such a connection be written to, so that it is read again as soon as something is to be, and can
 * be (transport_write.c).
 *
 * What has been read of the next request before the one ahead of it is answered, the library keeps
 * aside. A head that comes from there it has not put away yet when it looks there for the body, so
 * that it takes that for it, and goes round for ever or reads what has been freed. It tells nobody
 * where a head comes from. But as long as it keeps something it does not read: if nothing has been
 * read since the request ahead was answered, all of the head was there before. Such a request is
 * refused when it has a body; it would come from nobody who waits for answers. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/tcp_read.h"
#include "server/transport_inside.h"

enum {
    /* A body that takes longer than this, and a second for each so many bytes, is not waited for.
     */
    BODY_GRACE_MS = 20 * 1000,
    BODY_BYTES_PER_SECOND = 4096,
    /* No head is shorter. What has been read grows by one when the stream ends. */
    HEAD_MIN = 16,
    /* So much, and so long, is read of a body behind its refusal. Where nothing comes the library
     * waits as it does for any body. */
    LINGER_BYTES = 64 << 20,
    LINGER_MS = 10 * 1000,
};

static bool is_mux(const struct transport *t, struct lws *wsi)
{
    return t->lws->get_network_wsi(wsi) != wsi;
}

static void stop_reading(const struct web_call *call)
{
    const struct transport *t = call->transport;

    if (!call->is_socket && !is_mux(t, call->wsi))
        t->lws->rx_flow_control(call->wsi, 0);
}

/* From here on until it is answered nothing is read. */
static void hand_over(struct transport *t, struct web_call *call)
{
    struct web_request request = call->request;

    stop_reading(call);
    t->lws->set_timeout(call->wsi, NO_PENDING_TIMEOUT, 0);
    call->request = (struct web_request)WEB_REQUEST_INIT;
    call->state = CALL_WORKING;
    transport_watch(call);
    atomic_fetch_add(&call->refs, 1); /* web_answer() gives it back */
    t->options.hooks.request(t->options.hooks.arg, &request, call);
}

static bool is_ahead(const struct transport *t, struct lws *wsi);
static int write_refusal(struct transport *t, struct web_call *call);

/* A connection that is closed while something comes is reset, and takes with it what its peer has
 * not read yet: so what comes is dropped for a while (RFC 9112, section 9.6). */
static int linger(struct transport *t, struct web_call *call)
{
    struct lws *wsi = call->wsi;

    transport_log(call);
    call->state = CALL_LINGER;
    call->sent = 0;
    transport_count(call, false);
    web_response_release(&call->response);
    buf_release(&call->request.body);
    /* TLS has its own end, which the library writes when it closes. */
    if (!t->lws->is_ssl(wsi) && !t->lws->send_pipe_choked(wsi))
        shutdown(t->lws->get_socket_fd(wsi), SHUT_WR);
    return 0;
}

static int drop(struct web_call *call, size_t size)
{
    call->sent += size;
    return call->sent > LINGER_BYTES || clock_monotonic_ms() - call->written_ms > LINGER_MS ? -1
                                                                                            : 0;
}

/* What comes of a request that is refused is not taken. Of HTTP/1.1, -1 closes the connection once
 * the response has gone; one with a body that is still to come (`comes`) is read for a while. */
static int refuse(struct transport *t, struct web_call *call, bool comes)
{
    call->response.close = true;
    if (!is_mux(t, call->wsi))
        return write_refusal(t, call) < 0 || !comes ? -1 : linger(t, call);
    call->state = CALL_HEADERS;
    transport_want_write(call);
    return 0;
}

static char *too_large(const struct transport *t)
{
    return xasprintf("the body of a request may have %zu bytes; see --max-body",
                     t->options.body_max);
}

/* --- requests --- */

static int begin_body(struct transport *t, struct web_call *call, int64_t length)
{
    static const char proceed[] = "HTTP/1.1 100 Continue\r\n\r\n";
    size_t size = sizeof(proceed) - 1;

    call->state = CALL_BODY;
    call->request.has_body = length >= 0;
    if (length <= 0 || is_mux(t, call->wsi) || !transport_wants_continue(t, call->wsi))
        return 0;
    memcpy(t->out + LWS_PRE, proceed, size);
    return t->lws->write(call->wsi, t->out + LWS_PRE, size, LWS_WRITE_HTTP_HEADERS) < 0 ? -1 : 0;
}

/* libwebsockets gives those of them that have no length one of 100 MB. */
static bool may_have_body(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

/* Whether the library waits for one. */
static bool has_body(const struct web_call *call, int64_t length)
{
    return length == -1 ? call->request.method && may_have_body(call->request.method) : length != 0;
}

/* Whether its head had been read before the request ahead of it was answered. */
static bool is_ahead(const struct transport *t, struct lws *wsi)
{
    const struct link *link = transport_link(t, wsi);
    uint64_t bytes;

    if (is_mux(t, wsi) || !link || !link->used)
        return false;
    return tcp_bytes_read(t->lws->get_socket_fd(wsi), &bytes) < 0 ||
           bytes < link->used_bytes + HEAD_MIN;
}

/* Of a Unix socket nobody tells how far it has been read: there, each request has its own. */
static bool is_kept(const struct transport *t, struct lws *wsi)
{
    const struct link *link = transport_link(t, wsi);

    return is_mux(t, wsi) || (link && link->peer.address.ss_family != AF_UNIX);
}

/* 0, and the request may go on; -1: the response is filled in. */
static int look_at_head(struct transport *t, struct web_call *call, int64_t length)
{
    struct lws *wsi = call->wsi;
    struct web_response *response = &call->response;
    const char *why = NULL;
    CLEANUP_FREE char *large = NULL;
    int status = transport_read_head(t, wsi, &call->request, &why);

    call->head = call->request.method && strcmp(call->request.method, "HEAD") == 0;
    if (!status && has_body(call, length) && is_ahead(t, wsi)) {
        why = "a request with a body may not be sent before the one ahead of it is answered";
        status = 400;
    } else if (!status && transport_is_chunked(t, wsi)) {
        why = "the request needs a Content-Length";
        status = 411;
    } else if (!status && length == -2) {
        why = "the Content-Length of the request makes no sense";
        status = 400;
    }
    if (!status && transport_admit(t, wsi, &call->request, false, response) < 0)
        return -1;
    if (!status && length > (int64_t)t->options.body_max) {
        why = large = too_large(t);
        status = 413;
    }
    if (status)
        web_response_error(response, status, "%s", why);
    response->close = response->close || status;
    return status ? -1 : 0;
}

/* Whether there is a body behind the head, and the library takes it for one. */
static bool has_more(const struct transport *t, const struct web_call *call, int64_t length)
{
    return (length > 0 || (length == -1 && transport_is_chunked(t, call->wsi))) &&
           !is_ahead(t, call->wsi);
}

static int begin(struct transport *t, struct lws *wsi)
{
    struct web_call *call = transport_call_new(t, wsi);
    int64_t length = transport_content_length(t, wsi);
    bool refused;

    call->ends = transport_is_old(t, wsi) || !is_kept(t, wsi);
    transport_count(call, true);
    refused = look_at_head(t, call, length) < 0;
    transport_note(call, &call->request);
    if (refused) {
        if (has_body(call, length))
            return refuse(t, call, has_more(t, call, length));
        call->state = CALL_HEADERS;
        transport_want_write(call);
        return 0;
    }
    if (length > 0 || (length == 0 && may_have_body(call->request.method)))
        return begin_body(t, call, length);
    /* What comes behind would be waited for as that body. */
    call->ends |= length == -1 && may_have_body(call->request.method);
    hand_over(t, call);
    return 0;
}

static bool is_too_slow(const struct web_call *call)
{
    int64_t passed = clock_monotonic_ms() - call->began_ms;

    return passed > BODY_GRACE_MS + (int64_t)call->request.body.len * 1000 / BODY_BYTES_PER_SECOND;
}

/* What comes behind a response that ends the connection is nobody's. */
static int take_body(struct transport *t, struct lws *wsi, const void *data, size_t size)
{
    struct web_call *call = transport_call(t, wsi);
    CLEANUP_FREE char *large = NULL;

    if (!call)
        return is_mux(t, wsi) ? 0 : -1;
    if (call->state == CALL_LINGER)
        return drop(call, size);
    if (call->state != CALL_BODY || !size)
        return 0;
    if (size > t->options.body_max - call->request.body.len) {
        large = too_large(t);
        web_response_error(&call->response, 413, "%s", large);
        return refuse(t, call, true);
    }
    if (is_too_slow(call)) {
        web_response_error(&call->response, 408, "the body of the request comes too slowly");
        return refuse(t, call, false);
    }
    buf_add(&call->request.body, data, size);
    return 0;
}

/* It is there; or more has come behind it, which waits until the response has gone, if one is to
 * go. */
static int take_end(struct transport *t, struct lws *wsi)
{
    struct web_call *call = transport_call(t, wsi);

    if (!call)
        return is_mux(t, wsi) ? 0 : -1;
    if (call->state == CALL_BODY)
        hand_over(t, call);
    return call->state == CALL_LINGER ? -1 : 0;
}

/* --- responses --- */

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
        call->chunked = !is_mux(t, call->wsi) && !call->ends;
        return call->chunked ? add_header(t, call->wsi, "transfer-encoding", "chunked", at, end)
                             : 0;
    }
    snprintf(number, sizeof(number), "%zu", content_size(response));
    return add_header(t, call->wsi, "content-length", number, at, end);
}

static int add_headers(struct transport *t, struct web_call *call, unsigned char **at,
                       unsigned char *end)
{
    const struct web_response *response = &call->response;
    struct lws *wsi = call->wsi;

    call->status = response->status;
    if (t->lws->add_http_header_status(wsi, (unsigned)response->status, at, end))
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
        ((response->close || call->ends) && !is_mux(t, wsi) &&
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
    bool mux = is_mux(t, wsi);

    transport_call_detach(t, call);
    if (!mux && (close || !remember(t, wsi)))
        return -1;
    if (t->lws->http_transaction_completed(wsi))
        return -1;
    (void)transport_rest_if_choked(t, wsi);
    /* It waits for a body that has no length; write_some() ends that. */
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

    if (!is_mux(t, wsi) || allowed < 0 || allowed > TRANSPORT_WRITE_MAX)
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
    if (!bare && !call->response.stream && !is_mux(t, call->wsi)) {
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
        if (!is_mux(t, call->wsi))
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
        stop_reading(call);
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
static int write_some(struct transport *t, struct lws *wsi, struct web_call *call)
{
    if (!call)
        return is_mux(t, wsi) ? -1 : 0;
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

/* --- becoming something else --- */

/* At once; -1: it could not be. The connection is then to be closed. */
static int write_refusal(struct transport *t, struct web_call *call)
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

/* `to` is the value of Upgrade, in the library's table. What is neither of the two that it knows it
 * has refused by itself, and may have given the table back before it asks. To become HTTP/2 in the
 * midst of a connection has been dropped by RFC 9113, and the library does not get far with it: as
 * others do, that wish is overlooked, and what is asked is answered by HTTP/1.1. */
static int confirm_upgrade(struct transport *t, struct lws *wsi, char *to)
{
    /* No length: there is no table. */
    bool known = t->lws->hdr_total_length(wsi, WSI_TOKEN_UPGRADE) > 0 &&
                 (strcasecmp(to, "websocket") == 0 || strcasecmp(to, "h2c") == 0);
    struct link *link = transport_link(t, wsi);
    struct web_request *request = xcalloc(1, sizeof(*request));
    struct web_call call = {.transport = t, .wsi = wsi, .response = WEB_RESPONSE_INIT};
    const char *why = NULL;
    int status, result = 0;

    *request = (struct web_request)WEB_REQUEST_INIT;
    if (!known) {
        result = -1;
        goto out;
    }
    if (strcasecmp(to, "h2c") == 0) {
        *to = '\0';
        goto out;
    }
    status = transport_read_head(t, wsi, request, &why);
    if (status)
        web_response_error(&call.response, status, "%s", why);
    else if (transport_admit(t, wsi, request, true, &call.response) < 0)
        status = call.response.status;
    if (status) {
        transport_note(&call, request);
        (void)write_refusal(t, &call);
        transport_log(&call);
        result = -1;
    } else {
        link->upgrade = steal_ptr(&request);
    }
out:
    if (request)
        web_request_release(request);
    free(request);
    web_response_release(&call.response);
    return result;
}

static void forget_writing(struct transport *t, struct lws *wsi)
{
    struct link *link = is_mux(t, wsi) ? NULL : transport_link(t, wsi);

    if (link)
        transport_forget_writing(t, link, wsi);
}

static void forget(struct transport *t, struct lws *wsi)
{
    void *thing = t->lws->get_opaque_user_data(wsi);

    transport_call_detach(t, transport_call(t, wsi));
    if (!thing)
        return;
    t->lws->set_opaque_user_data(wsi, NULL);
    if (*(enum transport_kind *)thing == TRANSPORT_LINK)
        transport_free_link(t, thing);
}

int transport_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t len)
{
    struct transport *t = transport_of(wsi);

    (void)user;
    if (!t)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return begin(t, wsi);
    case LWS_CALLBACK_HTTP_BODY:
        return take_body(t, wsi, in, len);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return take_end(t, wsi);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return write_some(t, wsi, transport_call(t, wsi));
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return confirm_upgrade(t, wsi, in);
    case LWS_CALLBACK_CLOSED_HTTP:
        forget_writing(t, wsi);
        transport_call_detach(t, transport_call(t, wsi));
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        forget(t, wsi);
        return 0;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        transport_serve_ready(t);
        return 0;
    /* CONNECT would have it become something raw. */
    case LWS_CALLBACK_RAW_ADOPT:
    case LWS_CALLBACK_RAW_RX:
    case LWS_CALLBACK_RAW_WRITEABLE:
        return -1;
    default:
        return transport_socket(t, wsi, reason, in, len);
    }
}
