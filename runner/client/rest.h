/* The REST interface of a server, as far as the client of the runner asks it.
 * Source: docs/api.md, and the protocol of the go-idp pipeline before it.
 *
 * Threads: one at a time. Errors: those of apis/http; what the server says ("error") with
 * ERR_NOT_FOUND, ERR_CONFLICT, ERR_DENIED, ERR_INVALID, ERR_UNAVAILABLE by its status, which is in
 * errnum. */
#pragma once

#include <jansson.h>

#include "apis/http/http.h"
#include "client/target.h"

/* Borrows the target. */
int client_rest_open(const struct client_target *target, struct http_client **ret, struct err *err)
    __attribute__((warn_unused_result));
/* `path` behind /api/v1, percent-encoded. `body` is borrowed (NULL: none, or {} for a POST); *ret
 * (NULL: not wanted) is the answer, the caller's. */
int client_rest(const struct ctx *ctx, const struct client_target *target, struct http_client *http,
                const char *method, const char *path, const json_t *body, json_t **ret,
                struct err *err) __attribute__((warn_unused_result));
/* The error that a refusal stands for. */
int client_rest_refused(const struct client_target *target, const struct http_response *response,
                        struct err *err);
