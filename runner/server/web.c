#include "server/web.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/parse.h"

/* --- requests --- */

void web_request_release(struct web_request *request)
{
    free(request->path);
    strmap_release(&request->query);
    strmap_release(&request->headers);
    strmap_release(&request->params);
    buf_release(&request->body);
    free(request->peer);
    free(request->user);
}

static const char *get(const struct strmap *map, const char *name)
{
    const char *value = strmap_get(map, name);

    return value ? value : "";
}

const char *web_query(const struct web_request *request, const char *name)
{
    return get(&request->query, name);
}

const char *web_header(const struct web_request *request, const char *name)
{
    return get(&request->headers, name);
}

const char *web_param(const struct web_request *request, const char *name)
{
    return get(&request->params, name);
}

const char *web_who(const struct web_request *request)
{
    if (request->user)
        return request->user;
    return request->peer && *request->peer ? request->peer : "local";
}

int web_query_int(const struct web_request *request, const char *name, int64_t max, int64_t *ret,
                  struct err *err)
{
    const char *text = web_query(request, name);
    int64_t value;

    if (!*text)
        return 0;
    if (parse_int64(text, &value, NULL) < 0 || value < 0 || value > max)
        return err_set(err, ERR_INVALID, "%s is a number from 0 to %" PRId64 ", not \"%s\"", name,
                       max, text);
    *ret = value;
    return 0;
}

int web_query_time(const struct web_request *request, const char *name, int64_t *ret,
                   struct err *err)
{
    const char *text = web_query(request, name);

    if (*text && clock_parse_rfc3339(text, ret) < 0)
        return err_set(err, ERR_INVALID,
                       "%s is a time such as 2026-01-02T03:04:05Z (RFC 3339), not \"%s\"", name,
                       text);
    return 0;
}

json_t *web_body_json(const struct web_request *request, struct err *err)
{
    json_error_t why;
    json_t *value = json_loadb(request->body.data, request->body.len, JSON_REJECT_DUPLICATES, &why);

    if (json_is_object(value))
        return value;
    if (value)
        err_set(err, ERR_INVALID, "the body of the request is to be a JSON object");
    else
        err_set(err, ERR_INVALID, "the body of the request is no JSON: %s (line %d, column %d)",
                why.text, why.line, why.column);
    json_decref(value);
    return NULL;
}

/* --- responses --- */

void web_response_release(struct web_response *response)
{
    strmap_release(&response->headers);
    buf_release(&response->body);
    if (response->stream)
        response->stream->ops->close(response->stream);
    response->stream = NULL;
}

void web_response_json(struct web_response *response, int status, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);

    response->status = text ? status : 500;
    buf_reset(&response->body);
    buf_addstr(&response->body, text ? text : "{\"error\":\"the answer cannot be written\"}");
    buf_addch(&response->body, '\n');
    free(text);
    json_decref(value);
}

void web_response_message(struct web_response *response, const char *message)
{
    web_response_json(response, 200, json_pack("{s:s}", "message", message));
}

void web_response_error(struct web_response *response, int status, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&text, fmt, args);
    va_end(args);
    web_response_json(response, status, json_pack("{s:o}", "error", json_safe_string(text.data)));
}

static int status_of(enum err_code code)
{
    switch (code) {
    case ERR_INVALID:
        return 400;
    case ERR_DENIED:
        return 403;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_CONFLICT:
        return 409;
    case ERR_LIMIT:
        return 429;
    case ERR_UNSUPPORTED:
        return 409;
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_CANCELLED:
        return 503;
    default:
        return 500;
    }
}

void web_response_err(struct web_response *response, const struct err *err)
{
    int status = status_of(err->code);

    web_response_error(response, status, "%s", err->message);
    if (status == 429 || status == 503)
        strmap_set(&response->headers, "retry-after", "1");
}
