#include "apis/http/http_internal.h"

#include <errno.h>
#include <limits.h>
#include <strings.h>

enum { CONNECT_TIMEOUT_MS = 10000, FOREIGN_MAX = 32 };

/* A peer that vanished is noticed after 30 + 9 × 10 seconds (Linux: nine probes). */
#define KEEPALIVE_IDLE_S     30L
#define KEEPALIVE_INTERVAL_S 10L

/* Whether the host of a URL is this machine. No proxy is asked for it, as Go's programs have it. */
static bool is_loopback(const char *base_url)
{
    static const char *const names[] = {"localhost", "[::1]"};
    const char *host = strstr(base_url, "://") + 3;
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strlen(names[i]) == len && strncasecmp(names[i], host, len) == 0)
            return true;
    }
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len;
}

/* TLS names and checks the host of the URL: that becomes server_name, and the host which was there
 * stays what is connected to and what the Host header says. */
static int set_server_name(struct http_client *c, const char *server_name, struct err *err)
{
    const char *rest = strstr(c->base_url, "://") + 3;
    const size_t scheme_len = (size_t)(rest - c->base_url);
    const size_t authority_len = strcspn(rest, "/");
    const char *port = *rest == '[' ? memchr(rest, ']', authority_len) : rest;
    CLEANUP_FREE char *target = NULL;
    char *url;

    port = port ? memchr(port, ':', authority_len - (size_t)(port - rest)) : NULL;
    c->authority = xstrndup(rest, authority_len);
    target = xasprintf("::%s%s", c->authority, port ? "" : ":");
    url = xasprintf("%.*s%s%.*s%s", (int)scheme_len, c->base_url, server_name,
                    port ? (int)(rest + authority_len - port) : 0, port ? port : "",
                    rest + authority_len);
    free(c->base_url);
    c->base_url = url;
    c->connect_to = c->curl->slist_append(NULL, target);
    return c->connect_to ? 0 : err_set(err, ERR_SYSTEM, "libcurl cannot make a list");
}

int http_client_new(const struct http_client_options *o, struct http_client **ret, struct err *err)
{
    const struct libcurl *curl = libcurl_load(err);
    CLEANUP_HTTP_CLIENT struct http_client *client = NULL;

    if (!curl)
        return -1;
    if (strncmp(o->base_url, "http://", 7) != 0 && strncmp(o->base_url, "https://", 8) != 0)
        return err_set(err, ERR_INVALID, "\"%s\" is not an http:// or https:// URL", o->base_url);
    client = xcalloc(1, sizeof(*client));
    client->curl = curl;
    client->base_url = xstrdup(o->base_url);
    client->unix_socket = xstrdup_null(o->unix_socket);
    client->local = o->unix_socket || is_loopback(o->base_url);
    client->proxy = xstrdup_null(o->proxy);
    client->peer = xstrdup(o->peer ? o->peer : o->unix_socket ? o->unix_socket : o->base_url);
    client->ca_file = xstrdup_null(o->tls.ca_file);
    client->ca_pem = xstrdup_null(o->tls.ca_pem);
    client->cert_file = xstrdup_null(o->tls.cert_file);
    client->cert_pem = xstrdup_null(o->tls.cert_pem);
    client->key_file = xstrdup_null(o->tls.key_file);
    client->key_pem = xstrdup_null(o->tls.key_pem);
    client->insecure = o->tls.insecure;
    client->connect_timeout_ms =
        o->connect_timeout_ms > 0 ? o->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    client->stall_timeout_s = o->stall_timeout_s;
    for (const char *const *h = o->headers; h && *h; h++)
        strvec_push(&client->headers, *h);
    if (o->tls.server_name && set_server_name(client, o->tls.server_name, err) < 0)
        return -1;
    client->multi = curl->multi_init();
    if (!client->multi)
        return err_set(err, ERR_SYSTEM, "libcurl cannot make a multi handle");
    *ret = steal_ptr(&client);
    return 0;
}

static void free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    vec_foreach (CURL **, easy, &client->idle)
        client->curl->easy_cleanup(*easy);
    vec_release(&client->idle);
    if (client->multi)
        client->curl->multi_cleanup(client->multi);
    strvec_release(&client->headers);
    free(client->base_url);
    free(client->unix_socket);
    free(client->proxy);
    free(client->authority);
    client->curl->slist_free_all(client->connect_to);
    free(client->peer);
    free(client->ca_file);
    free(client->ca_pem);
    free(client->cert_file);
    free(client->cert_pem);
    free(client->key_file);
    free_secret(client->key_pem);
    free(client);
}

const char *http_client_peer(const struct http_client *client)
{
    return client->peer;
}

static CURLcode set_blob(const struct libcurl *curl, CURL *easy, CURLoption option, char *pem)
{
    struct curl_blob blob = {.data = pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY};

    return curl->easy_setopt(easy, option, &blob);
}

static CURLcode apply_tls(const struct http_client *c, CURL *easy)
{
    const struct libcurl *curl = c->curl;
    const struct {
        CURLoption option;
        const char *value;
    } files[] = {
        {CURLOPT_CAINFO, c->ca_file},
        {CURLOPT_SSLCERT, c->cert_file},
        {CURLOPT_SSLKEY, c->key_file},
    };
    const struct {
        CURLoption option;
        char *value;
    } pems[] = {
#if LIBCURL_VERSION_NUM >= 0x074d00
        {CURLOPT_CAINFO_BLOB, c->ca_pem},
#endif
        {CURLOPT_SSLCERT_BLOB, c->cert_pem},
        {CURLOPT_SSLKEY_BLOB, c->key_pem},
    };
    CURLcode code = CURLE_OK;

#if LIBCURL_VERSION_NUM < 0x074d00
    if (c->ca_pem)
        return CURLE_NOT_BUILT_IN;
#endif
    for (size_t i = 0; code == CURLE_OK && i < sizeof(files) / sizeof(*files); i++) {
        if (files[i].value)
            code = curl->easy_setopt(easy, files[i].option, files[i].value);
    }
    for (size_t i = 0; code == CURLE_OK && i < sizeof(pems) / sizeof(*pems); i++) {
        if (pems[i].value)
            code = set_blob(curl, easy, pems[i].option, pems[i].value);
    }
    if (code == CURLE_OK && c->insecure) {
        code = curl->easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        if (code == CURLE_OK)
            code = curl->easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return code;
}

int http_client_apply(const struct http_client *c, CURL *easy, const char *url, char *error_text,
                      struct err *err)
{
    const struct libcurl *curl = c->curl;
    const char *proxy = c->proxy ? c->proxy : c->local ? "" : NULL;
    CURLcode code;

#define SET(option, value) (code = curl->easy_setopt(easy, option, value)) != CURLE_OK
    if (SET(CURLOPT_URL, url) || SET(CURLOPT_ERRORBUFFER, error_text) ||
        SET(CURLOPT_NOSIGNAL, 1L) || SET(CURLOPT_PATH_AS_IS, 1L) ||
        SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) ||
        SET(CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_timeout_ms) ||
        SET(CURLOPT_TCP_KEEPALIVE, 1L) || SET(CURLOPT_BUFFERSIZE, 65536L) ||
        SET(CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S) ||
        SET(CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S) ||
        (c->stall_timeout_s && (SET(CURLOPT_LOW_SPEED_LIMIT, 1L) ||
                                SET(CURLOPT_LOW_SPEED_TIME, (long)c->stall_timeout_s))) ||
        (c->unix_socket && SET(CURLOPT_UNIX_SOCKET_PATH, c->unix_socket)) ||
        (c->connect_to && SET(CURLOPT_CONNECT_TO, c->connect_to)) ||
        (proxy && SET(CURLOPT_PROXY, proxy)) || (c->proxy && SET(CURLOPT_NOPROXY, "")) ||
        (code = apply_tls(c, easy)) != CURLE_OK)
        return err_set(err, ERR_UNSUPPORTED, "libcurl refused an option: %s",
                       curl->easy_strerror(code));
#undef SET
#if LIBCURL_VERSION_NUM >= 0x075700
    /* Not to wait for a name lookup when cancelled; a library that does not know it is fine. */
    (void)curl->easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    return 0;
}

int http_client_error(const struct http_client *c, CURLcode code, long os_errno,
                      const char *error_text, struct err *err)
{
    const char *text = error_text[0] ? error_text : c->curl->easy_strerror(code);

    switch (code) {
    case CURLE_COULDNT_CONNECT:
        err_set(err, ERR_UNAVAILABLE, "cannot connect to %s: %s", c->peer,
                os_errno ? strerror((int)os_errno) : text);
        if (err)
            err->errnum = (int)os_errno;
        return -1;
    case CURLE_OPERATION_TIMEDOUT: /* that of connecting, or of a stall */
        if (strstr(text, "too slow"))
            return err_set(err, ERR_LOST, "the connection to %s has carried nothing for %d s",
                           c->peer, c->stall_timeout_s);
        return err_set(err, ERR_UNAVAILABLE, "cannot connect to %s: no answer within %d ms",
                       c->peer, c->connect_timeout_ms);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
        return err_set(err, ERR_UNAVAILABLE, "cannot connect to %s: %s", c->peer, text);
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        /* With TLS 1.3 a server refuses the client's certificate after the handshake. */
        if (strstr(text, " alert "))
            return err_set(err, ERR_DENIED, "%s refused the TLS client certificate: %s", c->peer,
                           text);
        return err_set(err, ERR_LOST, "the connection to %s broke: %s", c->peer, text);
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_FAIL_REWIND:
        return err_set(err, ERR_LOST, "the connection to %s broke: %s", c->peer, text);
    default:
        return err_set(err, ERR_PROTOCOL, "%s: %s", c->peer, text);
    }
}

int http_multi_wait(const struct ctx *ctx, const struct libcurl *curl, CURLM *multi,
                    struct pollfd *fds, size_t count, int timeout_ms, struct err *err)
{
    struct curl_waitfd waits[FOREIGN_MAX + CTX_FDS_MAX];
    int signals[CTX_FDS_MAX];
    size_t signal_count = ctx_fds(ctx, signals);
    int timeout = ctx_remaining_ms(ctx, timeout_ms);
    CURLMcode code;
    int ready;

    if (count > FOREIGN_MAX)
        return err_set(err, ERR_LIMIT, "http: %zu descriptors are too many to wait for", count);
    for (size_t i = 0; i < count; i++) {
        short events = 0;

        if (fds[i].events & POLLIN)
            events |= CURL_WAIT_POLLIN;
        if (fds[i].events & POLLOUT)
            events |= CURL_WAIT_POLLOUT;
        waits[i] = (struct curl_waitfd){.fd = fds[i].fd, .events = events};
    }
    for (size_t i = 0; i < signal_count; i++)
        waits[count + i] = (struct curl_waitfd){.fd = signals[i], .events = CURL_WAIT_POLLIN};
    code = curl->multi_poll(multi, waits, (unsigned)(count + signal_count),
                            timeout < 0 ? INT_MAX : timeout, NULL);
    if (code != CURLM_OK)
        return err_set(err, ERR_SYSTEM, "waiting failed: %s", curl->multi_strerror(code));
    if (!count)
        return 0;
    /* libcurl does not pass POLLHUP and POLLERR on: ask again, without waiting. */
    ready = poll(fds, count, 0);
    if (ready < 0 && errno != EINTR)
        return err_errno(err, "poll failed");
    return ready < 0 ? 0 : ready;
}

void http_escape(struct buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-._~", c))
            buf_addch(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}
