#include "client/rest.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json_at.h"

enum { ANSWER_MAX = 256 << 20 };

int client_rest_open(const struct client_target *target, struct http_client **ret, struct err *err)
{
    const char *const headers[] = {target->authorization, NULL};
    const struct http_client_options options = {.base_url = target->base_url,
                                                .peer = target->name,
                                                .tls = {.ca_file = target->ca_file},
                                                .headers = headers};

    return http_client_new(&options, ret, err);
}

static enum err_code code_of(int status)
{
    switch (status) {
    case 401:
    case 403:
        return ERR_DENIED;
    case 404:
    case 405:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 429:
        return ERR_UNAVAILABLE;
    default:
        return status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID;
    }
}

int client_rest_refused(const struct client_target *target, const struct http_response *response,
                        struct err *err)
{
    json_t *answer = json_loadb(response->body.data, response->body.len, 0, NULL);
    const char *text = json_at_string(answer, "error");

    if (response->status == 401)
        err_set(err, ERR_DENIED, "%s wants a user name and a password, or other ones",
                target->name);
    else if (*text)
        err_set(err, code_of(response->status), "%s: %s", target->name, text);
    else
        err_set(err, code_of(response->status), "%s answers with the HTTP status %d", target->name,
                response->status);
    if (err)
        err->errnum = response->status;
    json_decref(answer);
    return -1;
}

int client_rest(const struct ctx *ctx, const struct client_target *target, struct http_client *http,
                const char *method, const char *path, const json_t *body, json_t **ret,
                struct err *err)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    /* A POST without JSON is refused by servers that want none. */
    CLEANUP_FREE char *text = body                          ? json_dumps(body, JSON_COMPACT)
                              : strcmp(method, "POST") == 0 ? xstrdup("{}")
                                                            : NULL;
    CLEANUP_FREE char *where = xasprintf("/api/v1%s", path);
    const struct http_request request = {.method = method,
                                         .path = where,
                                         .headers = text ? headers : NULL,
                                         .body = text,
                                         .body_len = text ? strlen(text) : 0,
                                         .max_body = ANSWER_MAX};
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    json_t *answer = NULL;

    if (http_perform(ctx, http, &request, &response, err) < 0)
        return -1;
    if (response.status < 200 || response.status > 299)
        return client_rest_refused(target, &response, err);
    if (!ret)
        return 0;
    answer = json_loadb(response.body.data, response.body.len, JSON_ALLOW_NUL, NULL);
    if (!json_is_object(answer)) {
        json_decref(answer);
        return err_set(err, ERR_PROTOCOL, "%s does not answer %s with a JSON object", target->name,
                       where);
    }
    *ret = answer;
    return 0;
}
