/* WebSocket connections: whole text messages in, chunks of a stream as text messages out. */
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "server/transport_inside.h"

/* RFC 6455, section 7.4.1 */
enum { CLOSE_UNSUPPORTED = 1003, CLOSE_NOT_UTF8 = 1007, CLOSE_POLICY = 1008, CLOSE_TOO_BIG = 1009 };

/* HTTP/1.1 has been asked by transport_http.c already; a stream of HTTP/2 is here. */
static int filter(struct transport *t, struct lws *wsi)
{
    struct link *link = transport_link(t, wsi);
    struct web_response response = WEB_RESPONSE_INIT;
    struct web_request request = WEB_REQUEST_INIT;
    struct web_call *call;
    const char *why;

    if (link && link->upgrade && t->lws->get_network_wsi(wsi) == wsi) {
        request = *link->upgrade;
        free(steal_ptr(&link->upgrade));
    } else {
        if (!link || transport_read_head(t, wsi, &request, &why) ||
            transport_admit(t, wsi, &request, true, &response) < 0) {
            web_request_release(&request);
            web_response_release(&response);
            return -1;
        }
    }
    call = transport_call_new(t, wsi);
    call->is_socket = true;
    call->request = request;
    transport_note(call, &call->request);
    return 0;
}

static int establish(struct transport *t, struct lws *wsi)
{
    struct web_call *call = transport_call(t, wsi);
    struct web_request request;

    if (!call)
        return -1;
    request = call->request;
    call->request = (struct web_request)WEB_REQUEST_INIT;
    call->response.stream =
        t->options.hooks.connect(t->options.hooks.arg, &request, t->lws->get_protocol(wsi)->name);
    if (!call->response.stream)
        return -1;
    call->status = 101;
    transport_stream_begin(call);
    transport_want_write(call);
    return 0;
}

static int refuse_message(struct transport *t, struct lws *wsi, int status, const char *why)
{
    t->lws->close_reason(wsi, (enum lws_close_status)status, (unsigned char *)(uintptr_t)why,
                         strlen(why));
    return -1;
}

static int receive(struct transport *t, struct lws *wsi, const char *data, size_t size)
{
    struct web_call *call = transport_call(t, wsi);
    struct web_stream *stream;
    int result;

    if (!call || call->state != CALL_STREAM)
        return -1;
    if (t->lws->frame_is_binary(wsi))
        return refuse_message(t, wsi, CLOSE_UNSUPPORTED, "messages are text");
    if (size > t->options.message_max - call->message.len) {
        CLEANUP_FREE char *why =
            xasprintf("a message may have %zu bytes; see --max-body", t->options.message_max);

        return refuse_message(t, wsi, CLOSE_TOO_BIG, why);
    }
    buf_add(&call->message, data, size);
    if (!t->lws->is_final_fragment(wsi))
        return 0;
    if (!utf8_valid(call->message.data, call->message.len))
        return refuse_message(t, wsi, CLOSE_NOT_UTF8, "the message is not UTF-8");
    stream = call->response.stream;
    result = stream->ops->message(stream, call->message.data, call->message.len);
    buf_release(&call->message);
    call->message = (struct buf)BUF_INIT;
    if (result < 0)
        return refuse_message(t, wsi, CLOSE_POLICY, "more is asked than can be answered");
    return 0;
}

/* One message, or a part of one that is long. */
static int write_message(struct transport *t, struct lws *wsi, struct web_call *call)
{
    size_t left = call->piece.size - call->piece_sent;
    size_t size = left < TRANSPORT_WRITE_MAX ? left : TRANSPORT_WRITE_MAX;
    int how = call->piece_sent ? LWS_WRITE_CONTINUATION : LWS_WRITE_TEXT;

    if (size < left)
        how |= LWS_WRITE_NO_FIN;
    memcpy(t->out + LWS_PRE, call->piece.data + call->piece_sent, size);
    call->written += size;
    transport_pass_piece(call, size);
    t->lws->set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, TRANSPORT_WRITE_SECONDS);
    return t->lws->write(wsi, t->out + LWS_PRE, size, (enum lws_write_protocol)how) < 0 ? -1 : 0;
}

static int write_some(struct transport *t, struct lws *wsi)
{
    struct web_call *call = transport_call(t, wsi);
    int got;

    if (!call || call->state != CALL_STREAM)
        return 0;
    while ((got = transport_next_piece(call)) > 0) {
        if (write_message(t, wsi, call) < 0)
            return -1;
        if (t->lws->send_pipe_choked(wsi)) {
            transport_want_write(call);
            return 0;
        }
    }
    if (got < 0)
        return -1;
    t->lws->set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    return 0;
}

int transport_socket(struct transport *t, struct lws *wsi, enum lws_callback_reasons reason,
                     void *in, size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return filter(t, wsi);
    case LWS_CALLBACK_ESTABLISHED:
        return establish(t, wsi);
    case LWS_CALLBACK_RECEIVE:
        return receive(t, wsi, in, len);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return write_some(t, wsi);
    case LWS_CALLBACK_CLOSED:
        transport_call_detach(t, transport_call(t, wsi));
        return 0;
    default:
        return 0;
    }
}
