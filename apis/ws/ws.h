/* WebSocket client connection (RFC 6455) over apis/http.
 *
 *     struct ws *ws;
 *     if (ws_open(ctx, http, &(struct ws_options){.path = "/x"}, &response, &ws, err) < 0)
 *         return -1;                        // no connection, or not a WebSocket server
 *     if (!ws)                              // refused: response has status and body
 *         ...
 *     for (;;) {
 *         switch (ws_recv(ws, &message, err)) {
 *         case WS_RECV_MESSAGE: ...; continue;
 *         case WS_RECV_AGAIN:
 *             if (ws_wait(ctx, ws, NULL, 0, -1, err) < 0) ...
 *             continue;
 *         case WS_RECV_CLOSED: ...          // message.close_code and data say why
 *         case WS_RECV_ERROR: ...
 *         }
 *     }
 *     (void)!ws_shutdown(ctx, ws, WS_CLOSE_NORMAL, "", err);
 *     ws_free(ws);
 *
 * Receiving and sending do not block. What is sent is queued and goes out with this and the next
 * calls; look at ws_queued() before sending more. ws_recv() also answers pings, sends its own and
 * notices a peer that is silent, so it must be called whenever ws_wait() returns.
 *
 * Threads: one at a time, any. Errors: http.h's; ERR_LOST for a connection that ended without a
 * Close frame or whose peer fell silent, ws_frame.h's for a peer that breaks the protocol (it is
 * then told so). */
#pragma once

#include "apis/http/http_stream.h"
#include "apis/ws/ws_frame.h"

struct ws;

struct ws_options {
    const char *path;           /* behind the client's base URL, with the query */
    const char *const *headers; /* more of the handshake; "Name: value", NULL-terminated, or NULL */
    const char *const *protocols; /* offered, best first; NULL-terminated, or NULL */
    size_t max_message;           /* 0: WS_MESSAGE_MAX_DEFAULT */
    size_t max_frame;             /* what is sent is cut into such; 0: it is not */
    bool any_text;                /* ws_frame.h */
    /* After so long without a byte from the other side it is sent a Ping, and after as long again
     * the connection is taken for lost; 0: never. Not for peers that stop reading while they are
     * busy. */
    int64_t ping_interval_ms;
};

/* Connects as `http` is configured and asks for the upgrade. *ret is NULL when the server answered
 * with another status than 101. ERR_PROTOCOL when it agreed but not as a WebSocket server, or to a
 * protocol that was not offered. *response must be initialised. */
int ws_open(const struct ctx *ctx, const struct http_client *http, const struct ws_options *options,
            struct http_response *response, struct ws **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Closes the connection at once. */
void ws_free(struct ws *ws);
static inline void ws_freep(struct ws **ws)
{
    ws_free(*ws);
}
#define CLEANUP_WS CLEANUP(ws_freep)

/* The protocol that the server chose; NULL: none. */
const char *ws_protocol(const struct ws *ws);

enum ws_recv_result { WS_RECV_ERROR = -1, WS_RECV_AGAIN, WS_RECV_MESSAGE, WS_RECV_CLOSED };

/* The next WS_TEXT or WS_BINARY message, valid until the next call. WS_RECV_CLOSED, again and
 * again, when the other side has sent a Close frame, which has been answered. */
enum ws_recv_result ws_recv(struct ws *ws, struct ws_message *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Queues a message and sends what the connection takes. ERR_CONFLICT after ws_close(). */
int ws_send(struct ws *ws, enum ws_opcode opcode, const void *data, size_t len, struct err *err)
    __attribute__((warn_unused_result));
/* Bytes that wait for the connection. */
size_t ws_queued(const struct ws *ws);
/* Queues a Close frame: nothing can be sent any more, ws_recv() goes on to WS_RECV_CLOSED. */
int ws_close(struct ws *ws, unsigned code, const char *reason, struct err *err)
    __attribute__((warn_unused_result));
/* ws_close(), and waits until the other side has closed too; messages that come are dropped. */
int ws_shutdown(const struct ctx *ctx, struct ws *ws, unsigned code, const char *reason,
                struct err *err) __attribute__((warn_unused_result));

/* For a poll of the caller's own, after ws_recv() said WS_RECV_AGAIN: the descriptor, what to wait
 * for, and how long at most (-1: for ever). */
int ws_fd(const struct ws *ws);
short ws_events(const struct ws *ws);
int ws_timeout_ms(const struct ws *ws);
/* That poll, with up to 15 descriptors of the caller's, whose revents it sets. Returns 1 when
 * something is ready or ws_recv() has to look after the connection, 0 after timeout_ms (< 0:
 * never), -1. */
int ws_wait(const struct ctx *ctx, struct ws *ws, struct pollfd *fds, size_t count, int timeout_ms,
            struct err *err) __attribute__((warn_unused_result));
