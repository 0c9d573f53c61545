/* HTTP client over TCP, TLS and unix sockets.
 *
 *     struct http_client *client;
 *     if (http_client_new(&(struct http_client_options){.base_url = "http://docker",
 *                                                       .unix_socket = path}, &client, err) < 0)
 *         return -1;
 *     CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
 *     struct http_request request = {.method = "GET", .path = "/_ping"};
 *     if (http_perform(ctx, client, &request, &response, err) < 0) ...
 *     if (response.status != 200) ...           // a status is a result, not an error
 *     http_client_free(client);
 *
 * The proxies that http_proxy, https_proxy, all_proxy and no_proxy name are used, but not for unix
 * sockets and loopback addresses; a proxy among the options is used always. Connections are kept
 * and used again. A request that must run beside others is started with http_start() and moves
 * forward whenever any function of its client waits: http_perform(), http_call_wait() or
 * http_client_poll(), which also watches foreign descriptors. Its callbacks are called from there.
 *
 * Threads: a client and its calls belong to one thread at a time; make one per thread. The process
 * must ignore SIGPIPE.
 * Errors: ERR_UNAVAILABLE (no connection), ERR_DENIED (TLS client certificate refused), ERR_LOST
 * (broken before the answer was complete), ERR_TIMEOUT and ERR_CANCELLED (the ctx), ERR_LIMIT
 * (answer too large), ERR_PROTOCOL (not HTTP), and whatever a callback set. After any of them but
 * ERR_UNAVAILABLE the request may have had its effect. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/map.h"

#define HTTP_MAX_BODY_DEFAULT ((size_t)16 << 20)

/* Every string may be NULL. A *_file is a path, a *_pem the text itself. */
struct http_tls {
    const char *ca_file;
    const char *ca_pem;
    const char *cert_file;
    const char *cert_pem;
    const char *key_file;
    const char *key_pem;
    const char *server_name; /* what the certificate is for, when that is not base_url's host */
    bool insecure;           /* neither the certificate nor the host name is checked */
};

struct http_client_options {
    const char *base_url;    /* "https://host:6443/prefix"; no slash at the end */
    const char *unix_socket; /* NULL: the host of base_url is connected to */
    const char *proxy; /* "http://…", "https://…", "socks5://…"; NULL: what the environment says */
    const char *peer; /* for messages, "Docker at unix:///…"; NULL: base_url */
    struct http_tls tls;
    const char *const *headers; /* sent with every request, "Name: value"; NULL-terminated */
    int connect_timeout_ms;     /* 0: 10 s */
    int stall_timeout_s;        /* a request that moves no byte for so long fails; 0: none does */
};

struct http_client;

/* Everything in options is copied. No I/O but loading libcurl. */
int http_client_new(const struct http_client_options *options, struct http_client **ret,
                    struct err *err) __attribute__((warn_unused_result));
/* Calls that were not freed are aborted, but still have to be freed, before this. */
void http_client_free(struct http_client *client);
static inline void http_client_freep(struct http_client **client)
{
    http_client_free(*client);
}
#define CLEANUP_HTTP_CLIENT CLEANUP(http_client_freep)
/* What messages call the other side. */
const char *http_client_peer(const struct http_client *client);

/* Gives up to size bytes of the request's body; 0 at its end, -1 to fail the request with *err.
 * Must not block for long: nothing else of the client moves meanwhile. */
typedef ssize_t http_read_fn(void *arg, char *data, size_t size, struct err *err);
/* Takes bytes of a successful answer's body; -1 fails the request with *err. May not call into the
 * client. */
typedef int http_write_fn(void *arg, const char *data, size_t len, struct err *err);

/* Borrowed until the call is freed (http_perform: until it returns), except method, path and
 * headers, which are copied. */
struct http_request {
    const char *method;
    const char *path;           /* behind base_url, with the query; begins with a slash */
    const char *const *headers; /* "Name: value"; NULL-terminated, or NULL */
    const void *body;           /* in memory; NULL: none (body_len 0) or see read */
    size_t body_len;
    http_read_fn *read; /* streams the body instead */
    void *read_arg;
    int64_t read_size;    /* its length when known, else 0: chunked */
    http_write_fn *write; /* streams the body of a 2xx answer; NULL: into response.body */
    void *write_arg;
    size_t max_body;         /* cap of response.body; 0: HTTP_MAX_BODY_DEFAULT */
    const char *const *keep; /* lower-case names of headers to keep; NULL-terminated */
    /* libcurl repeats a request by itself when a kept connection turns out dead, and cannot know
     * whether the server has acted already. `once` prevents that by a connection of its own. */
    bool once;
    /* Of http_perform(): when ctx ends under way, the answer is waited for that much longer,
     * because breaking off would not undo what the server does. 0: no longer. */
    int64_t settle_ms;
};

struct http_response {
    int status;
    struct buf body;       /* also of a non-2xx answer to a request with `write` */
    struct strmap headers; /* those of request.keep that came, lower-case names */
};

#define HTTP_RESPONSE_INIT                                                                         \
    {                                                                                              \
        .body = BUF_INIT                                                                           \
    }
#define CLEANUP_HTTP_RESPONSE CLEANUP(http_response_release)
void http_response_release(struct http_response *response);
/* Milliseconds that a kept "retry-after" header asks for; -1: none or not understood. */
int64_t http_response_retry_after_ms(const struct http_response *response);

/* Sends the request and waits for the whole answer. *response must be initialised; what an earlier
 * use left in it is dropped. */
int http_perform(const struct ctx *ctx, struct http_client *client,
                 const struct http_request *request, struct http_response *response,
                 struct err *err) __attribute__((warn_unused_result));

/* A request under way. */
struct http_call;

/* Begins a request; nothing is waited for. */
int http_start(struct http_client *client, const struct http_request *request,
               struct http_call **ret, struct err *err) __attribute__((warn_unused_result));
/* Aborts the request if it still runs. Before http_client_free(). */
void http_call_free(struct http_call *call);
static inline void http_call_freep(struct http_call **call)
{
    http_call_free(*call);
}
#define CLEANUP_HTTP_CALL CLEANUP(http_call_freep)

/* The answer's status line and headers are in (or the call failed: http_call_result() tells). */
bool http_call_started(const struct http_call *call);
/* The answer is complete, or the call failed. */
bool http_call_done(const struct http_call *call);
/* Wait for that; -1 when the ctx ended or the call failed. A call outlives a ctx that ended. */
int http_call_wait_started(const struct ctx *ctx, struct http_call *call, struct err *err)
    __attribute__((warn_unused_result));
int http_call_wait(const struct ctx *ctx, struct http_call *call, struct err *err)
    __attribute__((warn_unused_result));
/* Of a call that is done: 0, or -1 with its error. */
int http_call_result(const struct http_call *call, struct err *err)
    __attribute__((warn_unused_result));
/* Owned by the call; the status is 0 before http_call_started(). */
const struct http_response *http_call_response(const struct http_call *call);

/* Drives all calls of the client until one of them has moved on (headers in, body bytes delivered,
 * done), a foreign descriptor is ready, or timeout_ms passed (< 0: never). Returns 1, or 0 on
 * timeout; -1 when the ctx ended or waiting failed, never for a failed call. */
int http_client_poll(const struct ctx *ctx, struct http_client *client, struct pollfd *fds,
                     size_t count, int timeout_ms, struct err *err)
    __attribute__((warn_unused_result));

/* Adds text percent-encoded for use in a path segment or a query (RFC 3986: all but unreserved). */
void http_escape(struct buf *out, const char *text);
