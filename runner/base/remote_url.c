#include "base/remote_url.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/parse.h"
#include "base/percent.h"

static char *decoded(const char *text, size_t len)
{
    struct buf out = BUF_INIT;

    percent_decode(text, len, &out);
    return buf_steal(&out);
}

static void parse_login(const char *from, const char *to, struct remote_url *url)
{
    const char *colon = memchr(from, ':', (size_t)(to - from));

    url->user = decoded(from, (size_t)((colon ? colon : to) - from));
    if (colon)
        url->password = decoded(colon + 1, (size_t)(to - colon - 1));
}

static int parse_host(const char *from, const char *to, struct remote_url *url, struct err *err)
{
    const char *end = *from == '[' ? memchr(from, ']', (size_t)(to - from)) : NULL;
    const char *colon = memchr(end ? end : from, ':', (size_t)(to - (end ? end : from)));
    const char *host_end = colon ? colon : to;
    CLEANUP_FREE char *port = colon ? xstrndup(colon + 1, (size_t)(to - colon - 1)) : NULL;
    int64_t number = 0;

    if (*from == '[' && (!end || end + 1 != host_end))
        return err_set(err, ERR_INVALID, "an IPv6 address in a URL is written [ADDRESS]:PORT");
    if (host_end == from || (end && end == from + 1))
        return err_set(err, ERR_INVALID, "the URL names no host");
    if (port && (parse_int64(port, &number, NULL) < 0 || number < 1 || number > 65535))
        return err_set(err, ERR_INVALID, "the port of the URL must be a number from 1 to 65535");
    url->host = end ? xstrndup(from + 1, (size_t)(end - from - 1))
                    : xstrndup(from, (size_t)(host_end - from));
    url->port = (unsigned)number;
    if (url->host[strcspn(url->host, " \t\r\n\"\\<>")])
        return err_set(err, ERR_INVALID, "the host of the URL holds a character that no host has");
    return 0;
}

static void parse_query(const char *query, struct strmap *out)
{
    while (*query) {
        size_t len = strcspn(query, "&");
        size_t key_len = strcspn(query, "=&");
        CLEANUP_FREE char *key = decoded(query, key_len);
        CLEANUP_FREE char *value =
            key_len < len ? decoded(query + key_len + 1, len - key_len - 1) : xstrdup("");

        if (*key)
            strmap_set(out, key, value);
        query += len + (query[len] == '&');
    }
}

int remote_url_parse(const char *address, struct remote_url *ret, struct err *err)
{
    CLEANUP_REMOTE_URL struct remote_url url = {0};
    const char *at = memrchr(address, '@', strcspn(address, "?#"));
    const char *host = at ? at + 1 : address;
    const char *end = host + strcspn(host, "/?#");

    if (at)
        parse_login(address, at, &url);
    if (parse_host(host, end, &url, err) < 0)
        return -1;
    if (*end == '/') {
        size_t len = strcspn(end, "?#");

        url.path = xstrndup(end, len);
        end += len;
    }
    if (*end == '?')
        parse_query(end + 1, &url.query);
    *ret = url;
    url = (struct remote_url){0};
    return 0;
}

int remote_url_check_keys(const struct remote_url *url, const char *const *keys, struct err *err)
{
    strmap_foreach (entry, &url->query) {
        const char *const *key = keys;

        while (*key && strcmp(*key, entry->key) != 0)
            key++;
        if (!*key)
            return err_set(err, ERR_INVALID, "the URL has an unknown parameter \"%s\"", entry->key);
    }
    return 0;
}

int remote_url_flag(const struct remote_url *url, const char *key, bool *ret, struct err *err)
{
    const char *text = strmap_get(&url->query, key);

    if (text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return err_set(err, ERR_INVALID, "the URL's \"%s\" must be true or false", key);
    *ret = text && *text == 't';
    return 0;
}

void remote_url_release(struct remote_url *url)
{
    free(url->user);
    if (url->password)
        explicit_bzero(url->password, strlen(url->password));
    free(url->password);
    free(url->host);
    free(url->path);
    strmap_release(&url->query);
    *url = (struct remote_url){0};
}
