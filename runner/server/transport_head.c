/* The head of a request, out of libwebsockets' table of headers. */
#include <arpa/inet.h>
#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "base/percent.h"
#include "base/utf8.h"
#include "server/transport_inside.h"

/* Before a colon; more of them are not looked for. */
enum { SPACES_MAX = 4 };

static const struct {
    enum lws_token_indexes token;
    const char *name;
} methods[] = {
    {WSI_TOKEN_GET_URI, "GET"},         {WSI_TOKEN_POST_URI, "POST"},
    {WSI_TOKEN_DELETE_URI, "DELETE"},   {WSI_TOKEN_HEAD_URI, "HEAD"},
    {WSI_TOKEN_OPTIONS_URI, "OPTIONS"}, {WSI_TOKEN_PUT_URI, "PUT"},
    {WSI_TOKEN_PATCH_URI, "PATCH"},
};

/* What handlers and the server look at. */
static const struct {
    enum lws_token_indexes token;
    const char *name;
} headers[] = {
    {WSI_TOKEN_HTTP_COLON_AUTHORITY, "host"},
    {WSI_TOKEN_HOST, "host"},
    {WSI_TOKEN_ORIGIN, "origin"},
    {WSI_TOKEN_HTTP_AUTHORIZATION, "authorization"},
    {WSI_TOKEN_HTTP_CONTENT_TYPE, "content-type"},
    {WSI_TOKEN_HTTP_IF_NONE_MATCH, "if-none-match"},
};

/* libwebsockets has no token of its own for these; and none of HTTP/2 when it has no token. */
static const char *const more_headers[] = {"last-event-id:"};

/* The value, as a new string; NULL: there is none, or one with NUL in it. */
static char *copy(const struct transport *t, struct lws *wsi, enum lws_token_indexes token)
{
    int size = t->lws->hdr_total_length(wsi, token);
    char *text;

    if (size <= 0)
        return NULL;
    text = xmalloc((size_t)size + 1);
    if (t->lws->hdr_copy(wsi, text, size + 1, token) == size && strlen(text) == (size_t)size)
        return text;
    free(text);
    return NULL;
}

static int read_path(const struct transport *t, struct lws *wsi, struct web_request *ret)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        if (t->lws->hdr_total_length(wsi, methods[i].token) <= 0)
            continue;
        ret->method = methods[i].name;
        ret->path = copy(t, wsi, methods[i].token);
        return ret->path && *ret->path == '/' && utf8_valid(ret->path, strlen(ret->path)) ? 0 : -1;
    }
    return -1;
}

/* Each part of the query is a fragment, decoded already: its first "=" ends the name. */
static int read_query(const struct transport *t, struct lws *wsi, struct web_request *ret)
{
    for (int i = 0;; i++) {
        int size = t->lws->hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, i);
        CLEANUP_FREE char *text = NULL;
        char *equals;

        if (t->lws->hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS) <= 0)
            return 0;
        text = xmalloc((size_t)size + 1);
        if (t->lws->hdr_copy_fragment(wsi, text, size + 1, WSI_TOKEN_HTTP_URI_ARGS, i) < 0)
            return 0;
        if (strlen(text) != (size_t)size || !utf8_valid(text, (size_t)size))
            return -1;
        equals = strchr(text, '=');
        if (equals)
            *equals = '\0';
        if (*text)
            strmap_set(&ret->query, text, equals ? equals + 1 : "");
    }
}

static void read_more(const struct transport *t, struct lws *wsi, struct web_request *ret)
{
    for (size_t i = 0; i < sizeof(more_headers) / sizeof(*more_headers); i++) {
        const char *name = more_headers[i];
        int size = t->lws->hdr_custom_length(wsi, name, (int)strlen(name));
        CLEANUP_FREE char *text = NULL;
        CLEANUP_FREE char *bare = xstrndup(name, strlen(name) - 1);

        if (size < 0)
            continue;
        text = xmalloc((size_t)size + 1);
        if (t->lws->hdr_custom_copy(wsi, text, size + 1, name, (int)strlen(name)) >= 0)
            strmap_set(&ret->headers, bare, text);
    }
}

static void read_headers(const struct transport *t, struct lws *wsi, struct web_request *ret)
{
    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
        CLEANUP_FREE char *text = copy(t, wsi, headers[i].token);

        if (text)
            strmap_set(&ret->headers, headers[i].name, text);
    }
    read_more(t, wsi, ret);
}

static char *peer_text(const struct sockaddr_storage *address)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (address->ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, text,
                  sizeof(text));
    else if (address->ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, text,
                  sizeof(text));
    return xstrdup(text);
}

/* A name with a space behind it is none (RFC 9112, section 5.1), and the library takes it for one
 * that it does not know: what is in between may have understood it. */
static bool has_spaced(const struct transport *t, struct lws *wsi)
{
    static const char *const names[] = {"transfer-encoding", "content-length"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        for (int spaces = 1; spaces <= SPACES_MAX; spaces++) {
            CLEANUP_FREE char *blank = xasprintf("%s%*s:", names[i], spaces, "");
            CLEANUP_FREE char *tab = xasprintf("%s%*s\t:", names[i], spaces - 1, "");

            if (t->lws->hdr_custom_length(wsi, blank, (int)strlen(blank)) >= 0 ||
                t->lws->hdr_custom_length(wsi, tab, (int)strlen(tab)) >= 0)
                return true;
        }
    }
    return false;
}

static bool has_several(const struct transport *t, struct lws *wsi, enum lws_token_indexes token)
{
    char none[1];

    return t->lws->hdr_fragment_length(wsi, token, 1) != 0 ||
           t->lws->hdr_copy_fragment(wsi, none, sizeof(none), token, 1) == 0;
}

/* RFC 9112, section 3.2 */
static bool has_one_host(const struct transport *t, struct lws *wsi)
{
    return (transport_is_old(t, wsi) || t->lws->hdr_total_length(wsi, WSI_TOKEN_HOST) > 0) &&
           !has_several(t, wsi, WSI_TOKEN_HOST);
}

/* The library takes the line for ended by a newline that was "%0A", and what is behind it for a
 * header: any page could give its request an Origin that way. No version is left then. */
static bool has_version(const struct transport *t, struct lws *wsi)
{
    CLEANUP_FREE char *version = copy(t, wsi, WSI_TOKEN_HTTP);

    return version && strncmp(version, "HTTP/1.", 7) == 0;
}

/* Of HTTP/1.1, what else makes no sense; NULL: nothing. */
static const char *find_nonsense(const struct transport *t, struct lws *wsi)
{
    if (t->lws->get_network_wsi(wsi) != wsi)
        return NULL;
    if (!has_version(t, wsi))
        return "the first line of the request is not METHOD PATH HTTP/1.1";
    if (has_spaced(t, wsi))
        return "a header of the request has a space before its colon";
    if (has_several(t, wsi, WSI_TOKEN_ORIGIN))
        return "the request is to have one Origin at most";
    return has_one_host(t, wsi) ? NULL : "the request is to have one Host";
}

int transport_read_head(const struct transport *t, struct lws *wsi, struct web_request *ret,
                        const char **ret_why)
{
    const struct link *link = transport_link(t, wsi);

    ret->secure = t->lws->is_ssl(t->lws->get_network_wsi(wsi));
    ret->peer = link ? peer_text(&link->peer.address) : xstrdup("");
    read_headers(t, wsi, ret);
    if (read_path(t, wsi, ret) < 0) {
        ret->method = ret->method ? ret->method : "GET";
        *ret_why = "the path of the request makes no sense";
        return 400;
    }
    if (read_query(t, wsi, ret) < 0) {
        *ret_why = "the query of the request makes no sense";
        return 400;
    }
    *ret_why = find_nonsense(t, wsi);
    return *ret_why ? 400 : 0;
}

int64_t transport_content_length(const struct transport *t, struct lws *wsi)
{
    CLEANUP_FREE char *text = copy(t, wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    int64_t length;

    if (t->lws->hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
        return -1;
    if (!text || strspn(text, "0123456789") != strlen(text) || parse_int64(text, &length, NULL) < 0)
        return -2;
    return length;
}

bool transport_is_chunked(const struct transport *t, struct lws *wsi)
{
    return t->lws->hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0;
}

bool transport_is_old(const struct transport *t, struct lws *wsi)
{
    CLEANUP_FREE char *version = copy(t, wsi, WSI_TOKEN_HTTP);

    return version && strcmp(version, "HTTP/1.0") == 0;
}

int transport_check_handshake(const struct transport *t, struct lws *wsi, const char **ret_why)
{
    CLEANUP_FREE char *version = copy(t, wsi, WSI_TOKEN_VERSION);

    if (!version || strcmp(version, "13") != 0) {
        *ret_why = "WebSocket needs Sec-WebSocket-Version: 13";
        return 426;
    }
    *ret_why = "WebSocket needs a Sec-WebSocket-Key";
    return t->lws->hdr_total_length(wsi, WSI_TOKEN_KEY) > 0 ? 0 : 400;
}

bool transport_wants_continue(const struct transport *t, struct lws *wsi)
{
    CLEANUP_FREE char *text = copy(t, wsi, WSI_TOKEN_HTTP_EXPECT);

    return text && strcasecmp(text, "100-continue") == 0;
}
