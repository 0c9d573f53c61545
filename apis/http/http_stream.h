/* Two-way byte stream over a connection that an HTTP request has taken over: `Upgrade` answered
 * with 101, or with 200 by servers that hijack without saying so (docker attach and exec).
 *
 *     struct http_stream *stream;
 *     if (http_stream_open(ctx, client, &request, &response, &stream, err) < 0)
 *         return -1;                      // no answer at all
 *     if (!stream)                        // refused: response has status and body
 *         ...
 *     for (;;) {
 *         ssize_t got = http_stream_read(stream, data, sizeof(data), err);
 *         if (got == HTTP_STREAM_AGAIN) {                       // only now poll: TLS buffers
 *             struct pollfd fd = {.fd = http_stream_fd(stream), .events = POLLIN};
 *             if (ctx_poll(ctx, &fd, 1, -1, err) < 0) ...
 *         } else if (got <= 0)
 *             break;
 *     }
 *     http_stream_free(stream);
 *
 * Reading and writing do not block; a peer that is not read may stop reading too, so whoever
 * writes much writes with http_stream_write() and reads in the same loop.
 *
 * Threads: a stream has a connection of its own and is bound to no client: it may be handed to
 * another thread between calls, but two threads never use it at once. */
#pragma once

#include "apis/http/http.h"

struct http_stream;

#define HTTP_STREAM_AGAIN (-2)

/* Connects as `client` is configured and sends the request, whose headers the caller gives in full
 * but for Host and Content-Length ("Connection: Upgrade", "Upgrade: tcp"); request->body is sent,
 * read, write and keep are ignored (all headers are kept). *ret is NULL when the connection was not
 * handed over: the status then is neither 101 nor 200 and the body (cut at 64 KiB) says why, or it
 * is 200 with a body of its own, which is not read. An HTTP proxy has to allow CONNECT. *response
 * must be initialised. */
int http_stream_open(const struct ctx *ctx, const struct http_client *client,
                     const struct http_request *request, struct http_response *response,
                     struct http_stream **ret, struct err *err) __attribute__((warn_unused_result));
/* Closes the connection. */
void http_stream_free(struct http_stream *stream);
static inline void http_stream_freep(struct http_stream **stream)
{
    http_stream_free(*stream);
}
#define CLEANUP_HTTP_STREAM CLEANUP(http_stream_freep)

/* To poll for POLLIN after a read, or POLLOUT after a write, that said HTTP_STREAM_AGAIN. */
int http_stream_fd(const struct http_stream *stream);
/* Bytes read (> 0), 0 at the end, HTTP_STREAM_AGAIN, or -1 (ERR_LOST). That the peer has died or
 * something between has closed the connection may look like the end, also over TLS, where libcurl
 * does not ask for a close_notify: whether all has come is for another call to tell. */
ssize_t http_stream_read(struct http_stream *stream, void *data, size_t size, struct err *err)
    __attribute__((warn_unused_result));
/* Bytes written (> 0), HTTP_STREAM_AGAIN, or -1 (ERR_LOST). len > 0. */
ssize_t http_stream_write(struct http_stream *stream, const void *data, size_t len, struct err *err)
    __attribute__((warn_unused_result));
/* Waits until all is written. */
int http_stream_write_all(const struct ctx *ctx, struct http_stream *stream, const void *data,
                          size_t len, struct err *err) __attribute__((warn_unused_result));
/* Tells the other side that nothing more will be written; reading goes on. Over TLS this closes the
 * TCP direction without a close_notify. */
int http_stream_shutdown_write(struct http_stream *stream, struct err *err);
