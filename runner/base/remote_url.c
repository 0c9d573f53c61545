#include "base/remote_url.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/nearest.h"
#include "base/parse.h"
#include "base/percent.h"

enum { PLAIN_NAME_MAX = 12 };

/* A value may be a secret, as a password is. */
static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void wipep(char **text)
{
    wipe(*text);
}

static char *decoded(const char *text, size_t len)
{
    struct buf out = BUF_INIT;

    /* At once, so that growing leaves no copies behind. */
    buf_reserve(&out, len);
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

/* A "-" in front would be an option to a program that is given the host. */
static bool is_host(const char *text)
{
    if (*text == '-')
        return false;
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == '\x7f' || strchr("\"\\<>", *text))
            return false;
    return true;
}

/* Messages quote nothing: a slip may have put a piece of a secret here. */
static int parse_host(const char *from, const char *to, struct remote_url *url, struct err *err)
{
    CLEANUP_FREE char *text = xstrndup(from, (size_t)(to - from));
    char *host = text;
    char *port = NULL;
    int64_t number = 0;

    if (*text == '[') {
        char *close = strchr(++host, ']');

        if (!close || (close[1] && close[1] != ':'))
            return err_set(err, ERR_INVALID, "an IPv6 address in a URL is written [ADDRESS]:PORT");
        port = close[1] ? close + 2 : NULL;
        *close = '\0';
    } else if ((port = strchr(text, ':'))) {
        *port++ = '\0';
        if (strchr(port, ':'))
            return err_set(err, ERR_INVALID, "an IPv6 address in a URL is written [ADDRESS]:PORT");
    }
    if (!*host)
        return err_set(err, ERR_INVALID, "the URL names no host");
    if (!is_host(host))
        return err_set(err, ERR_INVALID, "the host of the URL holds a character that no host has");
    if (port && (parse_int64(port, &number, NULL) < 0 || number < 1 || number > 65535))
        return err_set(err, ERR_INVALID, "the port of the URL must be a number from 1 to 65535");
    url->host = xstrdup(host);
    url->port = (unsigned)number;
    return 0;
}

/* Behind an "&" that should have been written %26 begins what looks like a name, and may be the
 * rest of a password: quoted is only what has the form of the names that there are. */
static bool is_plain_name(const char *key)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
    const size_t len = strlen(key);

    return len <= PLAIN_NAME_MAX && strspn(key, letters) == len;
}

/* One KEY=VALUE. What has no value may be the end of one that holds an "&", and is not quoted. */
static int parse_parameter(const char *text, size_t len, struct strmap *out, struct err *err)
{
    const char *equals = memchr(text, '=', len);
    CLEANUP_FREE char *key = NULL;
    CLEANUP(wipep) char *value = NULL;

    if (!equals || equals + 1 == text + len)
        return err_set(err, ERR_INVALID,
                       "a part of the query has no value; an & of one is written %%26");
    key = decoded(text, (size_t)(equals - text));
    if (!*key)
        return err_set(err, ERR_INVALID,
                       "a part of the query has no name; an & of a value is written %%26");
    if (strmap_has(out, key))
        return is_plain_name(key)
                   ? err_set(err, ERR_INVALID, "the URL gives \"%s\" twice", key)
                   : err_set(err, ERR_INVALID,
                             "the URL gives a parameter twice; an & of a value is written %%26");
    value = decoded(equals + 1, (size_t)(text + len - equals - 1));
    strmap_set(out, key, value);
    return 0;
}

static int parse_query(const char *query, struct strmap *out, struct err *err)
{
    while (*query) {
        const size_t len = strcspn(query, "&");

        if (len && parse_parameter(query, len, out, err) < 0)
            return -1;
        query += len + (query[len] == '&');
    }
    return 0;
}

int remote_url_parse(const char *address, struct remote_url *ret, struct err *err)
{
    CLEANUP_REMOTE_URL struct remote_url url = {0};
    const char *at = memrchr(address, '@', strcspn(address, "?"));
    const char *host = at ? at + 1 : address;
    const char *end = host + strcspn(host, "/?#");
    const size_t path_len = strcspn(end, "?#");

    if (at)
        parse_login(address, at, &url);
    if (parse_host(host, end, &url, err) < 0)
        return -1;
    if (path_len)
        url.path = xstrndup(end, path_len);
    end += path_len;
    if (*end == '#')
        return err_set(err, ERR_INVALID, "a # in the URL is written %%23");
    if (*end == '?' && parse_query(end + 1, &url.query, err) < 0)
        return -1;
    *ret = url;
    url = (struct remote_url){0};
    return 0;
}

static bool is_listed(const char *const *keys, const char *key)
{
    for (; *keys; keys++)
        if (strcmp(*keys, key) == 0)
            return true;
    return false;
}

static bool is_near(const char *const *keys, const char *key)
{
    struct nearest nearest = {.text = key};

    for (; *keys; keys++)
        nearest_offer(&nearest, *keys);
    return nearest.best;
}

int remote_url_check_keys(const struct remote_url *url, const char *const *keys, struct err *err)
{
    strmap_foreach (entry, &url->query) {
        CLEANUP_BUF struct buf known = BUF_INIT;

        if (is_listed(keys, entry->key))
            continue;
        for (size_t i = 0; keys[i]; i++)
            buf_addf(&known, "%s%s",
                     i == 0        ? "; known are "
                     : keys[i + 1] ? ", "
                                   : " and ",
                     keys[i]);
        if (is_plain_name(entry->key) || is_near(keys, entry->key))
            return err_set(err, ERR_INVALID, "the URL has an unknown parameter \"%s\"%s",
                           entry->key, known.data);
        return err_set(err, ERR_INVALID,
                       "the URL has an unknown parameter%s; an & of a value is written %%26",
                       known.data);
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
    wipe(url->password);
    free(url->host);
    free(url->path);
    strmap_foreach (entry, &url->query)
        explicit_bzero(entry->value, strlen(entry->value));
    strmap_release(&url->query);
    *url = (struct remote_url){0};
}
