/* One request: an easy handle in the client's multi handle, with its callbacks.
 *
 * libcurl is told nothing of deadlines; whoever waits looks at the ctx and frees the call. Bytes of
 * a successful answer go to the request's `write`, those of a refusal into the response, so that
 * the caller can read the message. */
#include "apis/http/http_internal.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/logger.h"
#include "base/parse.h"

struct http_call {
    struct http_client *client;
    struct http_call *next;
    struct http_call **link; /* what points at this call in client->calls */
    CURL *easy;              /* NULL once done */
    char *url;
    struct curl_slist *headers;
    struct http_request request;
    struct http_response response;
    size_t max_body;
    int64_t since_ms; /* monotonic */
    bool started;
    bool done;
    struct err err; /* why it failed; code ERR_NONE: it did not */
    char error_text[CURL_ERROR_SIZE];
};

void http_response_release(struct http_response *response)
{
    buf_release(&response->body);
    strmap_release(&response->headers);
    response->status = 0;
}

static bool success(int status)
{
    return status >= 200 && status <= 299;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    size_t len = size * count;

    call->client->moved = true;
    if (call->request.write && success(call->response.status))
        return call->request.write(call->request.write_arg, data, len, &call->err) < 0 ? 0 : len;
    if (len > call->max_body - call->response.body.len) {
        err_set(&call->err, ERR_LIMIT, "%s: the answer to %s is larger than %zu bytes",
                call->client->peer, call->request.path, call->max_body);
        return 0;
    }
    buf_add(&call->response.body, data, len);
    return len;
}

static void keep_header(struct http_call *call, const char *data, size_t len)
{
    const char *colon = memchr(data, ':', len);
    size_t name_len;

    if (!colon || !call->request.keep)
        return;
    name_len = (size_t)(colon - data);
    for (const char *const *name = call->request.keep; *name; name++) {
        if (strlen(*name) == name_len && strncasecmp(*name, data, name_len) == 0) {
            const char *value = colon + 1;
            const char *end = data + len;

            while (value < end && isspace((unsigned char)*value))
                value++;
            while (end > value && isspace((unsigned char)end[-1]))
                end--;
            strmap_setf(&call->response.headers, *name, "%.*s", (int)(end - value), value);
        }
    }
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    size_t len = size * count;
    long status = 0;

    if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        strmap_release(&call->response.headers);
        return len;
    }
    if (len > 2 || call->started) {
        keep_header(call, data, len);
        return len;
    }
    call->client->curl->easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200) {
        call->response.status = (int)status;
        call->started = true;
        call->client->moved = true;
    }
    return len;
}

static size_t on_read(char *data, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    ssize_t got = call->request.read(call->request.read_arg, data, size * count, &call->err);

    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static CURL *take_easy(struct http_client *client)
{
    if (client->idle.len)
        return client->idle.items[--client->idle.len];
    return client->curl->easy_init();
}

static void give_easy(struct http_call *call)
{
    struct http_client *client = call->client;

    if (!call->easy)
        return;
    client->curl->multi_remove_handle(client->multi, call->easy);
    client->curl->easy_reset(call->easy);
    vec_push(&client->idle, call->easy);
    call->easy = NULL;
    if (call->link) {
        *call->link = call->next;
        if (call->next)
            call->next->link = call->link;
        call->link = NULL;
    }
}

static int add_header(struct http_call *call, const char *line)
{
    struct curl_slist *list = call->client->curl->slist_append(call->headers, line);

    if (list)
        call->headers = list;
    return list ? 0 : -1;
}

static bool has_header(const struct http_request *request, const char *prefix)
{
    for (const char *const *h = request->headers; h && *h; h++) {
        if (strncasecmp(*h, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}

static int set_headers(struct http_call *call)
{
    const struct http_client *client = call->client;

    /* libcurl would add a form's Content-Type, and wait for "100 Continue" before large bodies. */
    if (add_header(call, "Expect:") < 0)
        return -1;
    if (!has_header(&call->request, "Content-Type:") && add_header(call, "Content-Type:") < 0)
        return -1;
    if (client->authority) {
        CLEANUP_FREE char *host = xasprintf("Host: %s", client->authority);

        if (add_header(call, host) < 0)
            return -1;
    }
    for (size_t i = 0; i < client->headers.len; i++) {
        if (add_header(call, client->headers.items[i]) < 0)
            return -1;
    }
    for (const char *const *h = call->request.headers; h && *h; h++) {
        if (add_header(call, *h) < 0)
            return -1;
    }
    return 0;
}

#define SET(option, value) curl->easy_setopt(call->easy, option, value) != CURLE_OK

static int set_body(struct http_call *call)
{
    const struct libcurl *curl = call->client->curl;
    const struct http_request *r = &call->request;

    if (r->read)
        /* A stream cannot be sent twice, which a kept connection that died would ask for. */
        return SET(CURLOPT_UPLOAD, 1L) || SET(CURLOPT_FRESH_CONNECT, 1L) ||
                       SET(CURLOPT_READFUNCTION, on_read) || SET(CURLOPT_READDATA, call) ||
                       SET(CURLOPT_UPLOAD_BUFFERSIZE, 262144L) ||
                       SET(CURLOPT_INFILESIZE_LARGE,
                           (curl_off_t)(r->read_size > 0 ? r->read_size : -1))
                   ? -1
                   : 0;
    if (r->body || strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0 ||
        strcmp(r->method, "PATCH") == 0)
        return SET(CURLOPT_POST, 1L) || SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len) ||
                       SET(CURLOPT_POSTFIELDS, r->body ? r->body : "")
                   ? -1
                   : 0;
    return strcmp(r->method, "HEAD") == 0 && SET(CURLOPT_NOBODY, 1L) ? -1 : 0;
}

static int prepare(struct http_call *call, struct err *err)
{
    const struct libcurl *curl = call->client->curl;

    if (http_client_apply(call->client, call->easy, call->url, call->error_text, err) < 0)
        return -1;
    if (set_headers(call) < 0 || set_body(call) < 0 || SET(CURLOPT_HTTPHEADER, call->headers) ||
        (call->request.once && SET(CURLOPT_FRESH_CONNECT, 1L)) ||
        SET(CURLOPT_CUSTOMREQUEST, call->request.method) || SET(CURLOPT_PRIVATE, call) ||
        SET(CURLOPT_WRITEFUNCTION, on_body) || SET(CURLOPT_WRITEDATA, call) ||
        SET(CURLOPT_HEADERFUNCTION, on_header) || SET(CURLOPT_HEADERDATA, call))
        return err_set(err, ERR_SYSTEM, "libcurl refused the request %s %s", call->request.method,
                       call->request.path);
    return 0;
}
#undef SET

/* Without the query, in which a registry or a daemon may be told what nobody else should read. */
static void log_end(const struct http_call *call, const char *how)
{
    log_debug("http", "%s: %s %.*s: %d %s after %lld ms", call->client->peer, call->request.method,
              (int)strcspn(call->request.path, "?"), call->request.path, call->response.status, how,
              (long long)(clock_monotonic_ms() - call->since_ms));
}

static void finish(struct http_call *call, CURLcode code)
{
    long os_errno = 0;

    call->client->moved = true;
    call->done = true;
    if (code != CURLE_OK) {
        call->client->curl->easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &os_errno);
        if (call->err.code == ERR_NONE)
            http_client_error(call->client, code, os_errno, call->error_text, &call->err);
    } else if (!call->started) { /* libcurl is content with some of the headers */
        err_set(&call->err, ERR_LOST, "the connection to %s broke: the answer's headers do not end",
                call->client->peer);
    }
    log_end(call, call->err.code == ERR_NONE ? "done" : "failed");
    give_easy(call);
}

static int drive(struct http_client *client, struct err *err)
{
    const struct libcurl *curl = client->curl;
    int running;
    int queued;
    CURLMsg *message;
    CURLMcode code = curl->multi_perform(client->multi, &running);

    if (code != CURLM_OK)
        return err_set(err, ERR_SYSTEM, "libcurl failed: %s", curl->multi_strerror(code));
    while ((message = curl->multi_info_read(client->multi, &queued))) {
        char *call = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        finish((struct http_call *)(void *)call, message->data.result);
    }
    return 0;
}

int http_start(struct http_client *client, const struct http_request *request,
               struct http_call **ret, struct err *err)
{
    CLEANUP_HTTP_CALL struct http_call *call = xcalloc(1, sizeof(*call));

    call->client = client;
    call->request = *request;
    call->response = (struct http_response)HTTP_RESPONSE_INIT;
    call->max_body = request->max_body ? request->max_body : HTTP_MAX_BODY_DEFAULT;
    call->url = xasprintf("%s%s", client->base_url, request->path);
    call->request.path = call->url + strlen(client->base_url);
    call->easy = take_easy(client);
    if (!call->easy)
        return err_set(err, ERR_SYSTEM, "libcurl cannot make a handle");
    if (prepare(call, err) < 0)
        return -1;
    if (client->curl->multi_add_handle(client->multi, call->easy) != CURLM_OK)
        return err_set(err, ERR_SYSTEM, "libcurl cannot start a transfer");
    call->since_ms = clock_monotonic_ms();
    call->link = &client->calls;
    call->next = client->calls;
    if (call->next)
        call->next->link = &call->next;
    client->calls = call;
    if (drive(client, err) < 0)
        return -1;
    *ret = steal_ptr(&call);
    return 0;
}

void http_call_free(struct http_call *call)
{
    if (!call)
        return;
    if (call->easy && call->since_ms)
        log_end(call, "given up");
    give_easy(call);
    call->client->curl->slist_free_all(call->headers);
    http_response_release(&call->response);
    free(call->url);
    free(call);
}

bool http_call_started(const struct http_call *call)
{
    return call->started || call->done;
}

bool http_call_done(const struct http_call *call)
{
    return call->done;
}

const struct http_response *http_call_response(const struct http_call *call)
{
    return &call->response;
}

int http_call_result(const struct http_call *call, struct err *err)
{
    if (call->err.code == ERR_NONE)
        return 0;
    if (err)
        *err = call->err;
    return -1;
}

int http_client_poll(const struct ctx *ctx, struct http_client *client, struct pollfd *fds,
                     size_t count, int timeout_ms, struct err *err)
{
    int64_t end = timeout_ms < 0 ? INT64_MAX : clock_monotonic_ms() + timeout_ms;

    for (;;) {
        int64_t left = end == INT64_MAX ? -1 : end - clock_monotonic_ms();
        int ready;

        if (ctx_check(ctx, err) < 0 || drive(client, err) < 0)
            return -1;
        if (client->moved && !count) {
            client->moved = false;
            return 1;
        }
        if (client->moved)
            left = 0;
        if (end != INT64_MAX && left < 0)
            left = 0;
        ready = http_multi_wait(ctx, client->curl, client->multi, fds, count, (int)left, err);
        if (ready < 0)
            return -1;
        if (client->moved || ready > 0) {
            client->moved = false;
            return 1;
        }
        if (left == 0)
            return ctx_check(ctx, err);
    }
}

static int wait_until(const struct ctx *ctx, struct http_call *call,
                      bool (*reached)(const struct http_call *), struct err *err)
{
    struct http_client *client = call->client;

    for (;;) {
        if (drive(client, err) < 0)
            return -1;
        /* `moved` stays set: what happened meanwhile to other calls is news to their owner. */
        if (reached(call))
            return http_call_result(call, err);
        if (ctx_check(ctx, err) < 0 ||
            http_multi_wait(ctx, client->curl, client->multi, NULL, 0, -1, err) < 0)
            return -1;
    }
}

int http_call_wait_started(const struct ctx *ctx, struct http_call *call, struct err *err)
{
    return wait_until(ctx, call, http_call_started, err);
}

int http_call_wait(const struct ctx *ctx, struct http_call *call, struct err *err)
{
    return wait_until(ctx, call, http_call_done, err);
}

/* Whether the answer came although the ctx had ended. */
static bool settles(struct http_call *call, int64_t settle_ms)
{
    CLEANUP_CTX struct ctx late;

    ctx_init_cleanup(&late, settle_ms);
    return settle_ms > 0 && !http_call_done(call) && http_call_wait(&late, call, NULL) == 0;
}

int http_perform(const struct ctx *ctx, struct http_client *client,
                 const struct http_request *request, struct http_response *response,
                 struct err *err)
{
    CLEANUP_HTTP_CALL struct http_call *call = NULL;

    http_response_release(response);
    if (ctx_check(ctx, err) < 0 || http_start(client, request, &call, err) < 0 ||
        (http_call_wait(ctx, call, err) < 0 && !settles(call, request->settle_ms)))
        return -1;
    *response = call->response;
    call->response = (struct http_response)HTTP_RESPONSE_INIT;
    return 0;
}

int64_t http_response_retry_after_ms(const struct http_response *response)
{
    const char *text = strmap_get(&response->headers, "retry-after");
    struct tm when = {0};
    int64_t seconds;

    if (!text)
        return -1;
    if (parse_int64(text, &seconds, NULL) == 0)
        return seconds < 0 ? -1 : seconds > INT32_MAX ? INT32_MAX * INT64_C(1000) : seconds * 1000;
    if (!strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &when))
        return -1;
    seconds = (int64_t)timegm(&when) * 1000 - clock_wall_ms();
    return seconds > 0 ? seconds : 0;
}
