#include "base/address.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"

#define SCHEME "http://"

static int parse_port(const char *text, unsigned *ret, struct err *err)
{
    int64_t port;

    if (parse_int64(text, &port, NULL) < 0 || port < 1 || port > 65535)
        return err_set(err, ERR_INVALID, "a port is a number from 1 to 65535, not \"%s\"", text);
    *ret = (unsigned)port;
    return 0;
}

/* "host", "[::1]" */
static int parse_host(const char *text, size_t len, char **ret, struct err *err)
{
    bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';

    if (!len || strcspn(text, " \t\r\n/?#@") < len || (memchr(text, ':', len) && !bracketed))
        return err_set(err, ERR_INVALID, "\"%.*s\" is no host", (int)len, text);
    *ret = bracketed ? xstrndup(text + 1, len - 2) : xstrndup(text, len);
    return 0;
}

int address_parse(const char *text, struct address *ret, struct err *err)
{
    const char *colon = strrchr(text, ':');
    struct address a = {0};

    if (parse_port(colon ? colon + 1 : text, &a.port, err) < 0 ||
        (colon && parse_host(text, (size_t)(colon - text), &a.host, err) < 0))
        return -1;
    *ret = a;
    return 0;
}

int address_parse_http(const char *url, struct address *ret, struct err *err)
{
    const char *host = url + strlen(SCHEME);
    CLEANUP_FREE char *authority = NULL;
    struct address a = {.port = 80};
    const char *colon, *bracket;
    size_t len;

    if (strncmp(url, SCHEME, strlen(SCHEME)) != 0)
        return err_set(err, ERR_INVALID, "\"%s\" must be http://HOST[:PORT][/PATH]%s", url,
                       strncmp(url, "https:", 6) == 0 ? "; for https ask with a command" : "");
    if (strcspn(url, " \t\r\n") < strlen(url))
        return err_set(err, ERR_INVALID, "\"%s\" holds a space", url);
    len = strcspn(host, "/?#");
    authority = xstrndup(host, len);
    bracket = strrchr(authority, ']');
    colon = strrchr(bracket ? bracket : authority, ':');
    if ((colon && parse_port(colon + 1, &a.port, err) < 0) ||
        parse_host(authority, colon ? (size_t)(colon - authority) : len, &a.host, err) < 0)
        return -1;
    host += len;
    len = strcspn(host, "#");
    a.path = xasprintf("%s%.*s", *host == '/' ? "" : "/", (int)len, host);
    *ret = a;
    return 0;
}

int port_mapping_parse(const char *text, struct port_mapping *ret, struct err *err)
{
    CLEANUP_FREE char *copy = xstrdup(text);
    struct port_mapping m = {0};
    char *protocol = strchr(copy, '/');
    char *colon;

    if (protocol) {
        *protocol++ = '\0';
        m.udp = strcmp(protocol, "udp") == 0;
        if (!m.udp && strcmp(protocol, "tcp") != 0)
            return err_set(err, ERR_INVALID, "a protocol is tcp or udp, not \"%s\"", protocol);
    }
    colon = strchr(copy, ':');
    if (colon)
        *colon++ = '\0';
    if ((colon && parse_port(copy, &m.host_port, err) < 0) ||
        parse_port(colon ? colon : copy, &m.port, err) < 0)
        return -1;
    *ret = m;
    return 0;
}

void address_release(struct address *address)
{
    free(address->host);
    free(address->path);
    *address = (struct address){0};
}
