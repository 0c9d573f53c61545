#include "client/target.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/percent.h"
#include "base/remote_url.h"

static const struct scheme {
    const char *prefix;
    const char *http;
    const char *name; /* as which it is shown */
} schemes[] = {
    {"ws://", "http", "ws"},
    {"wss://", "https", "wss"},
    {"http://", "http", "http"},
    {"https://", "https", "https"},
};

static const struct scheme *find_scheme(const char **server, struct err *err)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        size_t size = strlen(schemes[i].prefix);

        if (strncasecmp(*server, schemes[i].prefix, size) == 0) {
            *server += size;
            return &schemes[i];
        }
    }
    if (!strstr(*server, "://"))
        return &schemes[0];
    err_set(err, ERR_INVALID,
            "a server is ws://HOST:PORT/PATH, or wss:// for one with TLS, not %.*s",
            (int)(strstr(*server, "://") - *server) + 3, *server);
    return NULL;
}

/* An address of IPv6 needs its brackets again. */
static void add_authority(struct buf *out, const struct remote_url *url)
{
    bool is_ipv6 = strchr(url->host, ':') != NULL;

    buf_addf(out, is_ipv6 ? "[%s]" : "%s", url->host);
    if (url->port)
        buf_addf(out, ":%u", url->port);
}

static char *authorization_of(const char *user, const char *password)
{
    CLEANUP_BUF struct buf login = BUF_INIT;
    struct buf header = BUF_INIT;

    if (!(user && *user) && !(password && *password))
        return NULL;
    buf_addf(&login, "%s:%s", user ? user : "", password ? password : "");
    buf_addstr(&header, "Authorization: Basic ");
    base64_encode(&header, login.data, login.len);
    explicit_bzero(login.data, login.len);
    return buf_steal(&header);
}

static int read_query(const struct scheme *scheme, const struct remote_url *url, struct err *err)
{
    static const char *const keys[] = {"ca", NULL};

    if (remote_url_check_keys(url, keys, err) < 0)
        return err_wrap(err, "the server");
    if (url->query.len && strcmp(scheme->http, "https") != 0)
        return err_set(err, ERR_INVALID,
                       "the server: \"ca\" is for wss:// and https://, and this is %s://",
                       scheme->name);
    return 0;
}

int client_target_parse(const char *server, const char *path, const char *user,
                        const char *password, struct client_target *ret, struct err *err)
{
    const struct scheme *scheme = find_scheme(&server, err);
    CLEANUP_REMOTE_URL struct remote_url url = {0};
    CLEANUP_BUF struct buf authority = BUF_INIT;
    const char *where = "/";

    if (!scheme)
        return -1;
    if (remote_url_parse(server, &url, err) < 0)
        return err_wrap(err, "the server");
    if (read_query(scheme, &url, err) < 0)
        return -1;
    add_authority(&authority, &url);
    if (path && *path)
        where = path;
    else if (url.path)
        where = url.path;
    if (url.user || url.password) {
        user = url.user;
        password = url.password;
    }
    *ret = (struct client_target){
        .base_url = xasprintf("%s://%s", scheme->http, authority.data),
        .path = xasprintf("%s%s", *where == '/' ? "" : "/", where),
        .authorization = authorization_of(user, password),
        .name = xasprintf("%s://%s", scheme->name, authority.data),
        .ca_file = xstrdup_null(strmap_get(&url.query, "ca")),
    };
    return 0;
}

void client_target_release(struct client_target *target)
{
    if (target->authorization)
        explicit_bzero(target->authorization, strlen(target->authorization));
    free(target->authorization);
    free(target->base_url);
    free(target->path);
    free(target->name);
    free(target->ca_file);
    *target = (struct client_target){0};
}
