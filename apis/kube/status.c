/* Status objects: what the server says when it refuses. */
#include <string.h>

#include "apis/kube/internal.h"
#include "base/alloc.h"
#include "base/json_at.h"

static enum err_code status_code(int status)
{
    static const struct {
        int status;
        enum err_code code;
    } rows[] = {
        {400, ERR_INVALID},     {401, ERR_DENIED},      {403, ERR_DENIED},
        {404, ERR_NOT_FOUND},   {405, ERR_UNSUPPORTED}, {406, ERR_UNSUPPORTED},
        {408, ERR_UNAVAILABLE}, {409, ERR_CONFLICT},    {410, ERR_CONFLICT},
        {413, ERR_LIMIT},       {415, ERR_UNSUPPORTED}, {422, ERR_INVALID},
        {429, ERR_UNAVAILABLE}, {501, ERR_UNSUPPORTED},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].status == status)
            return rows[i].code;
    }
    return status >= 500 && status <= 599 ? ERR_UNAVAILABLE : ERR_PROTOCOL;
}

/* One line, without what is white at its end. */
static char *line_of(const char *text)
{
    size_t len = strnlen(text, ERR_MESSAGE_SIZE);
    char *line;

    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    line = xstrndup(text, len);
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < ' ')
            *c = ' ';
    }
    return line;
}

static int refused(const struct kube_cluster *cluster, int code, const char *text, struct err *err)
{
    CLEANUP_FREE char *line = line_of(text);

    if (code == 401)
        err_set(err, ERR_DENIED, "%s does not accept the credentials of %s: %s; renew them",
                cluster->peer, kube_credentials_origin(cluster->credentials),
                *line ? line : "Unauthorized");
    else if (*line)
        err_set(err, status_code(code), "%s", line);
    else
        err_set(err, status_code(code), "%s answered with HTTP status %d", cluster->peer, code);
    if (err)
        err->errnum = code;
    return -1;
}

int kube_status_error(const struct kube_cluster *cluster, const json_t *object, int code,
                      struct kube_status *ret, struct err *err)
{
    const json_t *seconds = json_at(object, "details.retryAfterSeconds");

    if (json_is_integer(json_object_get(object, "code")))
        code = (int)json_at_int(object, "code");
    if (ret) {
        ret->code = code;
        snprintf(ret->reason, sizeof(ret->reason), "%s", json_at_string(object, "reason"));
        if (json_integer_value(seconds) > 0)
            ret->retry_after_ms = json_integer_value(seconds) * 1000;
    }
    return refused(cluster, code, json_at_string(object, "message"), err);
}

int kube_response_error(const struct kube_cluster *cluster, const struct http_response *response,
                        struct kube_status *ret, struct err *err)
{
    json_t *body = json_loadb(response->body.data, response->body.len, JSON_ALLOW_NUL, NULL);
    struct kube_status status = {.retry_after_ms = http_response_retry_after_ms(response)};
    int result;

    if (body && strcmp(json_at_string(body, "kind"), "Status") == 0) {
        result = kube_status_error(cluster, body, response->status, &status, err);
    } else { /* of a proxy, or of a handler that writes plain text */
        status.code = response->status;
        result = refused(cluster, response->status, response->body.data, err);
    }
    if (ret)
        *ret = status;
    json_decref(body);
    return result;
}

bool kube_status_is_transient(const struct kube_status *status)
{
    return status->code == 429 || (status->code >= 500 && status->retry_after_ms >= 0);
}
