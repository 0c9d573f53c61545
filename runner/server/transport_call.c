/* Calls: their life, their references, and how other threads wake them. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/transport_inside.h"

/* Wakers are calls; the other name keeps producers from knowing them. */
static struct web_call *call_of(struct web_waker *waker)
{
    return (struct web_call *)(void *)waker;
}

static struct web_waker *waker_of(struct web_call *call)
{
    return (struct web_waker *)(void *)call;
}

bool transport_is_mux(const struct transport *t, struct lws *wsi)
{
    return t->lws->get_network_wsi(wsi) != wsi;
}

struct link *transport_link(const struct transport *t, struct lws *wsi)
{
    void *thing = t->lws->get_opaque_user_data(t->lws->get_network_wsi(wsi));

    return thing && *(enum transport_kind *)thing == TRANSPORT_LINK ? thing : NULL;
}

struct web_call *transport_call(const struct transport *t, struct lws *wsi)
{
    void *thing = t->lws->get_opaque_user_data(wsi);

    if (!thing)
        return NULL;
    switch (*(enum transport_kind *)thing) {
    case TRANSPORT_LINK:
        return ((struct link *)thing)->call;
    case TRANSPORT_CALL:
        return thing;
    default:
        return NULL;
    }
}

static void set_call(const struct transport *t, struct lws *wsi, struct web_call *call)
{
    void *thing = t->lws->get_opaque_user_data(wsi);

    if (thing && *(enum transport_kind *)thing == TRANSPORT_LINK)
        ((struct link *)thing)->call = call;
    else
        t->lws->set_opaque_user_data(wsi, call);
}

struct web_call *transport_call_new(struct transport *t, struct lws *wsi)
{
    struct web_call *call = xcalloc(1, sizeof(*call));

    call->kind = TRANSPORT_CALL;
    call->transport = t;
    call->wsi = wsi;
    call->began_ms = clock_monotonic_ms();
    call->gone.event_fd = -1;
    call->request = (struct web_request)WEB_REQUEST_INIT;
    call->response = (struct web_response)WEB_RESPONSE_INIT;
    call->message = (struct buf)BUF_INIT;
    atomic_init(&call->refs, 1);
    set_call(t, wsi, call);
    return call;
}

void transport_call_unref(struct web_call *call)
{
    if (!call || atomic_fetch_sub(&call->refs, 1) != 1)
        return;
    web_request_release(&call->request);
    web_response_release(&call->response);
    buf_release(&call->message);
    free(call);
}

static void signal_if_quiet(struct transport *t)
{
    if (t->refusing && !t->active)
        eventfd_write(t->quiet_fd, 1);
}

void transport_count(struct web_call *call, bool active)
{
    struct transport *t = call->transport;

    pthread_mutex_lock(&t->mu);
    if (active != call->is_counted) {
        call->is_counted = active;
        t->active += active ? 1u : -1u;
        signal_if_quiet(t);
    }
    pthread_mutex_unlock(&t->mu);
}

void transport_watch(struct web_call *call)
{
    struct transport *t = call->transport;

    call->is_watched = true;
    call->prev_watched = NULL;
    call->next_watched = t->watched;
    if (t->watched)
        t->watched->prev_watched = call;
    t->watched = call;
}

static void unwatch(struct web_call *call)
{
    struct transport *t = call->transport;

    if (!call->is_watched)
        return;
    call->is_watched = false;
    if (call->prev_watched)
        call->prev_watched->next_watched = call->next_watched;
    else
        t->watched = call->next_watched;
    if (call->next_watched)
        call->next_watched->prev_watched = call->prev_watched;
    call->next_watched = call->prev_watched = NULL;
}

void transport_stream_begin(struct web_call *call)
{
    struct web_stream *stream = call->response.stream;

    call->state = CALL_STREAM;
    call->written_ms = clock_monotonic_ms();
    transport_watch(call);
    transport_count(call, false);
    if (stream->ops->open)
        stream->ops->open(stream, waker_of(call));
}

/* What a stream holds is given back here, by the loop, whoever has the last reference. A response
 * that a worker is about to give is seen to when it comes. */
void transport_call_detach(struct transport *t, struct web_call *call)
{
    if (!call || !call->wsi)
        return;
    transport_log(call);
    set_call(t, call->wsi, NULL);
    call->wsi = NULL;
    unwatch(call);
    if (call->state == CALL_WORKING) {
        ctx_signal_raise(&call->gone, CTX_CAUSE_USER);
    } else {
        web_response_release(&call->response);
        transport_count(call, false);
    }
    transport_call_unref(call);
}

int transport_next_piece(struct web_call *call)
{
    struct web_stream *stream = call->response.stream;
    int got;

    if (call->piece.size)
        return 1;
    if (call->stream_end)
        return call->stream_end;
    do {
        got = stream->ops->next(stream, &call->piece);
    } while (got > 0 && !call->piece.size);
    call->piece_sent = 0;
    call->stream_end = got < 0 ? got : 0;
    return got;
}

void transport_pass_piece(struct web_call *call, size_t size)
{
    call->piece_sent += size;
    if (call->piece_sent == call->piece.size)
        call->piece = (struct web_piece){0};
}

/* --- from other threads --- */

/* Needs the lock. The list has a reference. */
static void push_ready(struct transport *t, struct web_call *call)
{
    bool first = !t->ready && !t->stopping;

    if (call->is_ready)
        return;
    call->is_ready = true;
    call->next_ready = NULL;
    *t->ready_end = call;
    t->ready_end = &call->next_ready;
    atomic_fetch_add(&call->refs, 1);
    if (first)
        t->lws->cancel_service(t->context);
}

static struct web_call *pop_ready(struct transport *t, bool *ret_answered)
{
    struct web_call *call;

    pthread_mutex_lock(&t->mu);
    call = t->ready;
    if (call) {
        t->ready = call->next_ready;
        if (!t->ready)
            t->ready_end = &t->ready;
        call->is_ready = false;
        *ret_answered = call->is_answered;
    }
    pthread_mutex_unlock(&t->mu);
    return call;
}

void web_wake(struct web_waker *waker)
{
    struct web_call *call = call_of(waker);
    struct transport *t = call->transport;

    pthread_mutex_lock(&t->mu);
    push_ready(t, call);
    pthread_mutex_unlock(&t->mu);
}

struct web_waker *web_waker_ref(struct web_waker *waker)
{
    atomic_fetch_add(&call_of(waker)->refs, 1);
    return waker;
}

void web_waker_unref(struct web_waker *waker)
{
    if (waker)
        transport_call_unref(call_of(waker));
}

void web_answer(struct web_call *call, struct web_response *response)
{
    struct transport *t = call->transport;

    call->response = *response;
    *response = (struct web_response)WEB_RESPONSE_INIT;
    pthread_mutex_lock(&t->mu);
    call->is_answered = true;
    push_ready(t, call);
    pthread_mutex_unlock(&t->mu);
    transport_call_unref(call);
}

const struct ctx_signal *web_call_gone(const struct web_call *call)
{
    return &call->gone;
}

static void serve(struct web_call *call, bool answered)
{
    if (call->state == CALL_WORKING && answered) {
        call->state = CALL_HEADERS;
        unwatch(call);
        if (!call->wsi) {
            web_response_release(&call->response);
            transport_count(call, false);
        }
    }
    if (call->wsi && call->state != CALL_WORKING)
        transport_want_write(call);
}

void transport_serve_ready(struct transport *t)
{
    struct web_call *call;
    bool answered;

    while ((call = pop_ready(t, &answered))) {
        serve(call, answered);
        transport_call_unref(call);
    }
}
