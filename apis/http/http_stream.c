/* The connection is made by libcurl with CURLOPT_CONNECT_ONLY; the request and its answer are
 * written and parsed here, and what follows belongs to the two programs that talk. The easy handle
 * stays in a multi handle of its own, which keeps the connection alive and lets the connecting be
 * cancelled. Bytes that came behind the answer's headers are kept in `ahead`. */
#include "apis/http/http_stream.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "apis/http/http_internal.h"
#include "base/clock.h"
#include "base/logger.h"
#include "base/parse.h"

enum { HEAD_MAX_BYTES = 64 << 10, REFUSAL_MAX_BYTES = 64 << 10 };

struct http_stream {
    const struct libcurl *curl;
    CURLM *multi;
    CURL *easy;
    char *url;
    char *peer;
    int fd;
    struct buf ahead;
    size_t ahead_at;
    char error_text[CURL_ERROR_SIZE];
};

void http_stream_free(struct http_stream *stream)
{
    if (!stream)
        return;
    if (stream->easy && stream->multi)
        stream->curl->multi_remove_handle(stream->multi, stream->easy);
    if (stream->easy)
        stream->curl->easy_cleanup(stream->easy);
    if (stream->multi)
        stream->curl->multi_cleanup(stream->multi);
    buf_release(&stream->ahead);
    free(stream->url);
    free(stream->peer);
    free(stream);
}

static int connect_only(const struct ctx *ctx, const struct http_client *client,
                        struct http_stream *s, struct err *err)
{
    const struct libcurl *curl = s->curl;
    curl_socket_t fd = CURL_SOCKET_BAD;

    if (http_client_apply(client, s->easy, s->url, s->error_text, err) < 0)
        return -1;
    /* A proxy would take a plain request apart; a tunnel through it carries what follows. */
    if (curl->easy_setopt(s->easy, CURLOPT_CONNECT_ONLY, 1L) != CURLE_OK ||
        curl->easy_setopt(s->easy, CURLOPT_HTTPPROXYTUNNEL, 1L) != CURLE_OK ||
        curl->multi_add_handle(s->multi, s->easy) != CURLM_OK)
        return err_set(err, ERR_SYSTEM, "libcurl cannot connect to %s", s->peer);
    for (;;) {
        int running;
        int queued;
        CURLMsg *message;
        CURLMcode code = curl->multi_perform(s->multi, &running);

        if (code != CURLM_OK)
            return err_set(err, ERR_SYSTEM, "libcurl failed: %s", curl->multi_strerror(code));
        message = curl->multi_info_read(s->multi, &queued);
        if (message && message->msg == CURLMSG_DONE) {
            long os_errno = 0;

            curl->easy_getinfo(s->easy, CURLINFO_OS_ERRNO, &os_errno);
            if (message->data.result != CURLE_OK)
                return http_client_error(client, message->data.result, os_errno, s->error_text,
                                         err);
            break;
        }
        if (ctx_check(ctx, err) < 0 || http_multi_wait(ctx, curl, s->multi, NULL, 0, -1, err) < 0)
            return -1;
    }
    if (curl->easy_getinfo(s->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
        fd == CURL_SOCKET_BAD)
        return err_set(err, ERR_LOST, "the connection to %s broke", s->peer);
    s->fd = fd;
    return 0;
}

int http_stream_fd(const struct http_stream *stream)
{
    return stream->fd;
}

ssize_t http_stream_read(struct http_stream *s, void *data, size_t size, struct err *err)
{
    size_t got = 0;
    CURLcode code;

    if (s->ahead_at < s->ahead.len) {
        got = s->ahead.len - s->ahead_at;
        if (got > size)
            got = size;
        memcpy(data, s->ahead.data + s->ahead_at, got);
        s->ahead_at += got;
        if (s->ahead_at == s->ahead.len) {
            buf_release(&s->ahead);
            s->ahead_at = 0;
        }
        return (ssize_t)got;
    }
    code = s->curl->easy_recv(s->easy, data, size, &got);
    if (code == CURLE_AGAIN)
        return HTTP_STREAM_AGAIN;
    if (code != CURLE_OK)
        return err_set(err, ERR_LOST, "the stream from %s broke: %s", s->peer,
                       s->curl->easy_strerror(code));
    return (ssize_t)got;
}

ssize_t http_stream_write(struct http_stream *s, const void *data, size_t len, struct err *err)
{
    size_t put = 0;
    CURLcode code = s->curl->easy_send(s->easy, data, len, &put);

    if (code == CURLE_AGAIN || (code == CURLE_OK && put == 0))
        return HTTP_STREAM_AGAIN;
    if (code != CURLE_OK)
        return err_set(err, ERR_LOST, "the stream to %s broke: %s", s->peer,
                       s->curl->easy_strerror(code));
    return (ssize_t)put;
}

int http_stream_write_all(const struct ctx *ctx, struct http_stream *s, const void *data,
                          size_t len, struct err *err)
{
    const char *at = data;

    while (len) {
        ssize_t put = http_stream_write(s, at, len, err);
        struct pollfd fd = {.fd = s->fd, .events = POLLOUT};

        if (put == HTTP_STREAM_AGAIN) {
            if (ctx_poll(ctx, &fd, 1, -1, err) < 0)
                return -1;
            continue;
        }
        if (put < 0)
            return -1;
        at += put;
        len -= (size_t)put;
    }
    return 0;
}

int http_stream_shutdown_write(struct http_stream *s, struct err *err)
{
    if (shutdown(s->fd, SHUT_WR) < 0 && errno != ENOTCONN)
        return err_errno(err, "cannot close the stream to %s for writing", s->peer);
    return 0;
}

/* "host:port" of the base URL. */
static void add_host(struct buf *out, const char *base_url)
{
    const char *host = strstr(base_url, "://");

    host = host ? host + 3 : base_url;
    buf_add(out, host, strcspn(host, "/"));
}

static int send_request(const struct ctx *ctx, const struct http_client *client,
                        const struct http_request *r, struct http_stream *s, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    const char *authority = strstr(client->base_url, "://");
    const char *prefix = authority ? strchr(authority + 3, '/') : NULL;

    buf_addf(&text, "%s %s%s HTTP/1.1\r\nHost: ", r->method, prefix ? prefix : "", r->path);
    if (client->authority)
        buf_addstr(&text, client->authority);
    else
        add_host(&text, client->base_url);
    buf_addstr(&text, "\r\n");
    for (size_t i = 0; i < client->headers.len; i++)
        buf_addf(&text, "%s\r\n", client->headers.items[i]);
    for (const char *const *h = r->headers; h && *h; h++)
        buf_addf(&text, "%s\r\n", *h);
    if (r->body_len || strcmp(r->method, "POST") == 0)
        buf_addf(&text, "Content-Length: %zu\r\n", r->body_len);
    buf_addstr(&text, "\r\n");
    buf_add(&text, r->body, r->body_len);
    return http_stream_write_all(ctx, s, text.data, text.len, err);
}

/* Reads at least one byte more into buf; 1, 0 at the end, -1. */
static int read_more(const struct ctx *ctx, struct http_stream *s, struct buf *into,
                     struct err *err)
{
    char chunk[4096];

    for (;;) {
        ssize_t got = http_stream_read(s, chunk, sizeof(chunk), err);
        struct pollfd fd = {.fd = s->fd, .events = POLLIN};

        if (got == HTTP_STREAM_AGAIN) {
            if (ctx_poll(ctx, &fd, 1, -1, err) < 0)
                return -1;
            continue;
        }
        if (got > 0)
            buf_add(into, chunk, (size_t)got);
        return got < 0 ? -1 : got > 0;
    }
}

/* Parses "HTTP/1.1 200 OK\r\nName: value\r\n…" of len bytes. */
static int parse_head(const char *text, size_t len, struct http_response *response, struct err *err)
{
    const char *end = text + len;
    const char *line;

    if (len < 12 || strncmp(text, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)text[9]) ||
        !isdigit((unsigned char)text[10]) || !isdigit((unsigned char)text[11]))
        return err_set(err, ERR_PROTOCOL, "the answer is not HTTP: %.*s",
                       (int)strcspn(text, "\r\n"), text);
    response->status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
    strmap_release(&response->headers);
    line = memchr(text, '\n', len);
    while (line && ++line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const char *last = stop ? stop : end;
        const char *colon = memchr(line, ':', (size_t)(last - line));
        CLEANUP_FREE char *name = NULL;

        if (colon) {
            name = xstrndup(line, (size_t)(colon - line));
            for (char *c = name; *c; c++)
                *c = (char)tolower((unsigned char)*c);
            for (colon++; colon < last && isspace((unsigned char)*colon);)
                colon++;
            while (last > colon && isspace((unsigned char)last[-1]))
                last--;
            strmap_setf(&response->headers, name, "%.*s", (int)(last - colon), colon);
        }
        line = stop;
    }
    return 0;
}

/* Reads the head of the final answer; what follows it goes to s->ahead. */
static int read_head(const struct ctx *ctx, struct http_stream *s, struct http_response *response,
                     struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    for (;;) {
        char *blank = memmem(text.data, text.len, "\r\n\r\n", 4);
        int more;

        if (blank) {
            size_t len = (size_t)(blank - text.data) + 2;

            if (parse_head(text.data, len, response, err) < 0)
                return err_wrap(err, "%s", s->peer);
            buf_consume(&text, len + 2);
            if (response->status >= 200 || response->status == 101)
                break;
            continue;
        }
        if (text.len > HEAD_MAX_BYTES)
            return err_set(err, ERR_PROTOCOL, "%s: the answer's headers do not end", s->peer);
        more = read_more(ctx, s, &text, err);
        if (more < 0)
            return -1;
        if (!more)
            return err_set(err, ERR_LOST, "%s closed the connection without an answer", s->peer);
    }
    buf_add(&s->ahead, text.data, text.len);
    return 0;
}

/* Reads until `text` has len bytes; 1, 0 at the end, -1. */
static int read_until(const struct ctx *ctx, struct http_stream *s, struct buf *text, size_t len,
                      struct err *err)
{
    int more = 1;

    while (more > 0 && text->len < len)
        more = read_more(ctx, s, text, err);
    return more;
}

/* Reads until `text` begins with a chunk's size and takes that off; 1, 0 at the end, -1. */
static int read_chunk_size(const struct ctx *ctx, struct http_stream *s, struct buf *text,
                           size_t *ret, struct err *err)
{
    char *line_end;
    char *stop;

    while (!(line_end = memmem(text->data, text->len, "\r\n", 2)) && text->len < HEAD_MAX_BYTES) {
        int more = read_more(ctx, s, text, err);

        if (more <= 0)
            return more;
    }
    *ret = strtoul(text->data, &stop, 16);
    if (!line_end || stop == text->data)
        return err_set(err, ERR_PROTOCOL, "%s: the answer is not chunked as it says", s->peer);
    buf_consume(text, (size_t)(line_end - text->data) + 2);
    return 1;
}

/* A body of chunks, up to REFUSAL_MAX_BYTES of it, or what there is of it. */
static int read_chunked(const struct ctx *ctx, struct http_stream *s, struct buf *body,
                        struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    while (body->len < REFUSAL_MAX_BYTES) {
        size_t size;
        size_t left = REFUSAL_MAX_BYTES - body->len;
        int more = read_chunk_size(ctx, s, &text, &size, err);

        if (more <= 0 || !size)
            return more < 0 ? -1 : 0;
        if (size > left)
            size = left;
        more = read_until(ctx, s, &text, size + 2, err);
        buf_add(body, text.data, text.len < size ? text.len : size);
        if (more <= 0)
            return more;
        buf_consume(&text, size + 2);
    }
    return 0;
}

/* A refusal's body: as long as its headers say, or what there is until the end. */
static int read_refusal(const struct ctx *ctx, struct http_stream *s,
                        struct http_response *response, struct err *err)
{
    const char *coding = strmap_get(&response->headers, "transfer-encoding");
    const char *length = strmap_get(&response->headers, "content-length");
    int64_t want = REFUSAL_MAX_BYTES;

    if (response->status == 204 || response->status == 304)
        return 0;
    if (coding && strcasestr(coding, "chunked"))
        return read_chunked(ctx, s, &response->body, err);
    if (length && (parse_int64(length, &want, err) < 0 || want < 0 || want > REFUSAL_MAX_BYTES))
        want = REFUSAL_MAX_BYTES;
    return read_until(ctx, s, &response->body, (size_t)want, err) < 0 ? -1 : 0;
}

int http_stream_open(const struct ctx *ctx, const struct http_client *client,
                     const struct http_request *request, struct http_response *response,
                     struct http_stream **ret, struct err *err)
{
    CLEANUP_HTTP_STREAM struct http_stream *s = xcalloc(1, sizeof(*s));
    const int64_t started_ms = clock_monotonic_ms();
    bool taken_over;

    s->curl = client->curl;
    s->ahead = (struct buf)BUF_INIT;
    s->url = xstrdup(client->base_url);
    s->peer = xstrdup(client->peer);
    s->multi = s->curl->multi_init();
    s->easy = s->curl->easy_init();
    http_response_release(response);
    if (!s->multi || !s->easy)
        return err_set(err, ERR_SYSTEM, "libcurl cannot make a handle");
    if (ctx_check(ctx, err) < 0 || connect_only(ctx, client, s, err) < 0 ||
        send_request(ctx, client, request, s, err) < 0 || read_head(ctx, s, response, err) < 0)
        return -1;
    log_debug("http", "%s: %s %.*s: %d after %lld ms", client->peer, request->method,
              (int)strcspn(request->path, "?"), request->path, response->status,
              (long long)(clock_monotonic_ms() - started_ms));
    /* A 200 whose body has an end is an ordinary answer, of a server that does not hijack. */
    taken_over = response->status == 101 ||
                 (response->status == 200 && !strmap_has(&response->headers, "content-length") &&
                  !strmap_has(&response->headers, "transfer-encoding"));
    if (!taken_over) {
        /* Whatever a 200 has to say, maybe without an end, is not why it did not hand over. */
        if (response->status != 200 && read_refusal(ctx, s, response, err) < 0)
            return -1;
        *ret = NULL;
        return 0;
    }
    *ret = steal_ptr(&s);
    return 0;
}
