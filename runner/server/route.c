#include "server/route.h"

#include <string.h>

#include "base/alloc.h"

/* Compares one part; both move on to what is behind it. */
static bool match_part(const char **pattern, const char **path, struct strmap *params)
{
    size_t pattern_len = strcspn(*pattern, "/");
    size_t path_len = strcspn(*path, "/");
    bool same;

    if (**pattern == ':') {
        CLEANUP_FREE char *name = xstrndup(*pattern + 1, pattern_len - 1);
        CLEANUP_FREE char *value = xstrndup(*path, path_len);

        same = path_len > 0;
        if (same && params)
            strmap_set(params, name, value);
    } else {
        same = pattern_len == path_len && memcmp(*pattern, *path, path_len) == 0;
    }
    *pattern += pattern_len;
    *path += path_len;
    return same;
}

/* `params` NULL: only whether it does. */
static bool match(const char *pattern, const char *path, struct strmap *params)
{
    while (*pattern == '/') {
        if (pattern[1] == '*') {
            if (params)
                strmap_set(params, pattern + 2, *path == '/' ? path + 1 : "");
            return *path == '/' || !*path;
        }
        if (*path != '/')
            return false;
        pattern++;
        path++;
        if (!match_part(&pattern, &path, params))
            return false;
    }
    return !*path;
}

static bool has_method(const struct web_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

const struct web_route *web_route_find(const struct web_route *routes, const char *method,
                                       const char *path, struct strmap *params, char **ret_allow)
{
    CLEANUP_BUF struct buf allow = BUF_INIT;

    *ret_allow = NULL;
    for (const struct web_route *r = routes; r->handler; r++) {
        if (!match(r->pattern, path, NULL))
            continue;
        if (has_method(r, method)) {
            match(r->pattern, path, params);
            return r;
        }
        buf_addf(&allow, "%s%s%s", allow.len ? ", " : "", r->method,
                 strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
    }
    if (allow.len)
        *ret_allow = buf_steal(&allow);
    return NULL;
}
