/* Requests of HTTP/1.1 and HTTP/2; transport_answer.c has what is written to them.
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
    /* So much, and so long, is read of a body behind its refusal. */
    LINGER_BYTES = 64 << 20,
    LINGER_SECONDS = 10,
};

/* From here on until it is answered nothing is read. */
static void hand_over(struct transport *t, struct web_call *call)
{
    struct web_request request = call->request;

    transport_stop_reading(call);
    t->lws->set_timeout(call->wsi, NO_PENDING_TIMEOUT, 0);
    call->request = (struct web_request)WEB_REQUEST_INIT;
    call->state = CALL_WORKING;
    transport_watch(call);
    atomic_fetch_add(&call->refs, 1); /* web_answer() gives it back */
    t->options.hooks.request(t->options.hooks.arg, &request, call);
}

static bool is_ahead(const struct transport *t, struct lws *wsi);

/* A connection that is closed while something comes is reset, and takes with it what its peer has
 * not read yet: so what comes is dropped for a while (RFC 9112, section 9.6). */
static int linger(struct transport *t, struct web_call *call)
{
    struct lws *wsi = call->wsi;

    transport_log(call);
    call->state = CALL_LINGER;
    call->sent = 0;
    transport_count(call, false);
    t->lws->set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LINGER_SECONDS);
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
    return call->sent > LINGER_BYTES ||
                   clock_monotonic_ms() - call->written_ms > LINGER_SECONDS * 1000
               ? -1
               : 0;
}

/* What comes of a request that is refused is not taken. Of HTTP/1.1, -1 closes the connection once
 * the response has gone; one with a body that is still to come (`comes`) is read for a while. */
static int refuse(struct transport *t, struct web_call *call, bool comes)
{
    call->response.close = true;
    if (!transport_is_mux(t, call->wsi))
        return transport_write_refusal(t, call) < 0 || !comes ? -1 : linger(t, call);
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
    if (length <= 0 || transport_is_mux(t, call->wsi) || !transport_wants_continue(t, call->wsi))
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

    if (transport_is_mux(t, wsi) || !link || !link->used)
        return false;
    return tcp_bytes_read(t->lws->get_socket_fd(wsi), &bytes) < 0 ||
           bytes < link->used_bytes + HEAD_MIN;
}

/* Of a Unix socket nobody tells how far it has been read: there, each request has its own. */
static bool is_kept(const struct transport *t, struct lws *wsi)
{
    const struct link *link = transport_link(t, wsi);

    return transport_is_mux(t, wsi) || (link && link->peer.address.ss_family != AF_UNIX);
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
        return transport_is_mux(t, wsi) ? 0 : -1;
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
        return transport_is_mux(t, wsi) ? 0 : -1;
    if (call->state == CALL_BODY)
        hand_over(t, call);
    return call->state == CALL_LINGER ? -1 : 0;
}

/* --- becoming something else --- */

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
    if (!status && transport_admit(t, wsi, request, true, &call.response) < 0) {
        status = call.response.status;
    } else {
        status = status ? status : transport_check_handshake(t, wsi, &why);
        if (status)
            web_response_error(&call.response, status, "%s", why);
        if (status == 426)
            strmap_set(&call.response.headers, "sec-websocket-version", "13");
    }
    if (status) {
        transport_note(&call, request);
        (void)transport_write_refusal(t, &call);
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
    struct link *link = transport_is_mux(t, wsi) ? NULL : transport_link(t, wsi);

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
        return transport_write_some(t, wsi, transport_call(t, wsi));
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
