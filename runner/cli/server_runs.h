/* The runs of a server, as rows like those of the history here: for commands on runs that take
 * --server.
 *
 * Threads: one at a time. Errors: client/rest.h. */
#pragma once

#include <jansson.h>

#include "client/rest.h"
#include "store/store.h"

/* One row of an option table, for a `char *`. */
/* clang-format off */
#define CLI_SERVER_OPTION(offset)                                                                  \
    {"server", 's', CLI_STRING, offset, "URL",                                                     \
     "of a server, in place of the history here: ws://USER:PASSWORD@HOST:PORT", NULL, NULL}
/* clang-format on */

struct server_runs {
    struct client_target target;
    struct http_client *http;
};

#define CLEANUP_SERVER_RUNS CLEANUP(server_runs_close)

int server_runs_open(const char *address, struct server_runs *ret, struct err *err)
    __attribute__((warn_unused_result));
void server_runs_close(struct server_runs *server);
int server_runs_list(const struct ctx *ctx, struct server_runs *server,
                     const struct store_query *query, struct store_runs *ret, struct err *err)
    __attribute__((warn_unused_result));
/* The run of an id, of its unique beginning, or "latest", as ret->items[0]; *ret_record (NULL: not
 * wanted), the caller's, is all that the server says of it. */
int server_runs_get(const struct ctx *ctx, struct server_runs *server, const char *name,
                    struct store_runs *ret, json_t **ret_record, struct err *err)
    __attribute__((warn_unused_result));
int server_runs_cancel(const struct ctx *ctx, struct server_runs *server, const char *id,
                       const char *reason, struct err *err) __attribute__((warn_unused_result));
/* ERR_CONFLICT: it has not ended. */
int server_runs_delete(const struct ctx *ctx, struct server_runs *server, const char *id,
                       struct err *err) __attribute__((warn_unused_result));
