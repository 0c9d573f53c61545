/* The table of routes: which handler a method and a path have. Pure.
 *
 * A pattern is a path; ":name" stands for one part of it, "*name" at the end for all that follows,
 * with its slashes, or nothing. Of several that match the first counts. HEAD is GET without the
 * body. */
#pragma once

#include "server/web.h"

struct server;

/* 0, or -1 with the error to be answered. */
typedef int (*web_handler)(const struct ctx *ctx, struct server *server,
                           const struct web_request *request, struct web_response *response,
                           struct err *err);

enum {
    WEB_OPEN = 1,      /* needs no credentials */
    WEB_UNDRAINED = 2, /* refused while the server drains: begins something new */
    WEB_QUICK = 4      /* never waits for anything: the loop answers it by itself */
};

struct web_route {
    const char *method;
    const char *pattern;
    web_handler handler; /* NULL ends the table */
    unsigned flags;
};

/* The route, with the parts that the pattern names in `params`; NULL: there is none, and *ret_allow
 * (the caller's) lists the methods that the path has, NULL if it has none. */
const struct web_route *web_route_find(const struct web_route *routes, const char *method,
                                       const char *path, struct strmap *params, char **ret_allow);
