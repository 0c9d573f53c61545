/* What a handler sees of HTTP: requests, responses, streams. Nothing here knows the library that
 * moves the bytes.
 *
 * A request has been checked before a handler gets it: its method and path are those of the
 * handler's row (route.h), whoever sent it may send it, its body is not larger than the server
 * allows. A handler runs in a worker, may block as long as its context lasts, and fills in a
 * response that is 200 with nothing in it.
 *
 * A stream is an answer of unknown length, or a WebSocket connection: the connection takes pieces
 * from it when it can write. It only looks at them, so that what many want at the same moment is
 * there once. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/map.h"

/* --- requests --- */

struct web_request {
    const char *method;    /* "GET" */
    char *path;            /* decoded; begins with "/" */
    struct strmap query;   /* decoded; the last of a name counts */
    struct strmap headers; /* names in lower case: only those that are used somewhere */
    struct strmap params;  /* the parts of the path that the route names */
    struct buf body;
    bool has_body;
    bool secure; /* came through TLS */
    char *peer;  /* its address, "" for a Unix socket */
    char *user;  /* who sent it; NULL: nobody in particular */
};

#define WEB_REQUEST_INIT                                                                           \
    {                                                                                              \
        .body = BUF_INIT                                                                           \
    }

void web_request_release(struct web_request *request);
/* "" when it is not there. */
const char *web_query(const struct web_request *request, const char *name);
const char *web_header(const struct web_request *request, const char *name);
const char *web_param(const struct web_request *request, const char *name);
/* Who asks, for people: the user, or the address. */
const char *web_who(const struct web_request *request);

/* The value of a query parameter: one that is not there leaves *ret as it is. ERR_INVALID names the
 * parameter. Numbers are not negative and at most `max`. */
int web_query_int(const struct web_request *request, const char *name, int64_t max, int64_t *ret,
                  struct err *err) __attribute__((warn_unused_result));
/* RFC 3339, in milliseconds since the epoch. */
int web_query_time(const struct web_request *request, const char *name, int64_t *ret,
                   struct err *err) __attribute__((warn_unused_result));
/* The body, which is to be a JSON object; the caller's. NULL: ERR_INVALID. */
json_t *web_body_json(const struct web_request *request, struct err *err)
    __attribute__((warn_unused_result));

/* --- streams --- */

struct web_waker;

/* There may be more in the stream that the waker was given to: it will be asked. From any thread,
 * also when the connection is gone. */
void web_wake(struct web_waker *waker);
struct web_waker *web_waker_ref(struct web_waker *waker);
void web_waker_unref(struct web_waker *waker);

struct web_stream;

enum { WEB_END = -1, WEB_BROKEN = -2 };

struct web_piece {
    const char *data;
    size_t size;
};

/* Called by the thread of the loop: none may block. */
struct web_stream_ops {
    /* The connection is there; from now on `waker` (borrowed) wakes it. */
    void (*open)(struct web_stream *stream, struct web_waker *waker);
    /* 1: *ret is the next piece, there until the next call of this or of close(); of a WebSocket
     * connection it is one message. 0: not now, it will be woken; WEB_END: that was all;
     * WEB_BROKEN: something is missing, and the connection tells so by ending. */
    int (*next)(struct web_stream *stream, struct web_piece *ret);
    /* The connection is gone, or all is sent; the stream frees itself. */
    void (*close)(struct web_stream *stream);
    /* Of a WebSocket connection: a whole text message came. -1: no more is wanted. NULL else. */
    int (*message)(struct web_stream *stream, const char *text, size_t size);
};

/* The first member of what implements one. */
struct web_stream {
    const struct web_stream_ops *ops;
    unsigned idle_ms; /* when nothing was written for so long, `idle` is; 0: never */
    const char *idle;
};

/* --- responses --- */

struct web_response {
    int status;
    const char *content_type; /* NULL: application/json */
    struct strmap headers;    /* more of them */
    struct buf body;
    const char *constant; /* a body that lives for ever, in place of `body` */
    size_t constant_size;
    struct web_stream *stream; /* in place of a body */
    bool close;                /* the connection ends with this */
};

#define WEB_RESPONSE_INIT                                                                          \
    {                                                                                              \
        .status = 200, .body = BUF_INIT                                                            \
    }

void web_response_release(struct web_response *response);
/* Takes the value over. */
void web_response_json(struct web_response *response, int status, json_t *value);
/* {"message": …} */
void web_response_message(struct web_response *response, const char *message);
/* {"error": …} */
void web_response_error(struct web_response *response, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, with the status that suits the error. */
void web_response_err(struct web_response *response, const struct err *err);
