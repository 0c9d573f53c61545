/* HTTP/1.1, HTTP/2 and WebSocket connections, moved by libwebsockets in one thread, the loop
 * (docs/adr/0047-libwebsockets-loaded-on-first-use.md). What is asked is decided elsewhere: the
 * transport hands requests to its user, and takes responses from whatever thread.
 *
 *     transport_new(&options, &transport, err)      listens; connections wait
 *     transport_start(transport, err)               they are served
 *     transport_refuse(transport)                   nobody new; those that are there go on
 *     transport_quiesce(ctx, transport, err)        until what was asked is answered
 *     transport_stop(transport)                     the loop ends
 *     transport_free(transport)                     when nobody is left who might answer
 *
 * The hooks are called by the loop's thread, and may not block. A request that was handed over is
 * answered once, with web_answer(), before the transport is freed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/ctx.h"
#include "server/web.h"

/* A request that waits for its response. */
struct web_call;

/* Takes the response over, and the call. From any thread. */
void web_answer(struct web_call *call, struct web_response *response);
/* Raised when nobody waits for the response any more; there until it is given. */
const struct ctx_signal *web_call_gone(const struct web_call *call);

/* Who is on the other side of a connection. */
struct web_peer {
    struct sockaddr_storage address;
    /* By the user: a request of it has been let in. Its connection does not count as a stranger's
     * from then on. */
    bool known;
};

struct transport_hooks {
    /* The head of a request is there: 0, go on; -1: the response is filled in. `upgrade`: it asks
     * to become a WebSocket connection. */
    int (*admit)(void *arg, struct web_request *request, struct web_peer *peer, bool upgrade,
                 struct web_response *response);
    /* All of it is there; takes it over (the struct is copied). */
    void (*request)(void *arg, struct web_request *request, struct web_call *call);
    /* A WebSocket connection is there, with the subprotocol that it has been given, "" if none;
     * takes the request over. */
    struct web_stream *(*connect)(void *arg, struct web_request *request, const char *subprotocol);
    /* A second has passed, about. */
    void (*tick)(void *arg);
    void *arg;
};

struct transport_options {
    const char *host; /* NULL: all addresses */
    unsigned port;    /* 0: any that is free */
    bool no_tcp;
    const char *unix_path; /* NULL: none */
    const char *tls_cert;  /* files; NULL: no TLS */
    const char *tls_key;
    size_t body_max;
    size_t message_max; /* of a WebSocket connection */
    unsigned connection_max;
    /* Of one address, as long as they are not known; 0: no limit. */
    unsigned stranger_max;
    const char *subprotocol; /* of WebSocket connections, beside none */
    struct transport_hooks hooks;
};

struct transport;

int transport_new(const struct transport_options *options, struct transport **ret, struct err *err)
    __attribute__((warn_unused_result));
/* The port that it listens on; 0: on none. */
unsigned transport_port(const struct transport *transport);
int transport_start(struct transport *transport, struct err *err)
    __attribute__((warn_unused_result));
void transport_refuse(struct transport *transport);
/* Streams do not count. */
int transport_quiesce(const struct ctx *ctx, struct transport *transport, struct err *err)
    __attribute__((warn_unused_result));
/* Nothing is served any more; wakes and answers may still come, until it is freed. NULL is fine. */
void transport_stop(struct transport *transport);
/* NULL is fine. */
void transport_free(struct transport *transport);
