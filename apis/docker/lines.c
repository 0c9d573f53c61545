#include "apis/docker/lines.h"

#include <jansson.h>
#include <string.h>

static int one_line(struct docker_lines *lines, const char *text, size_t len, struct err *err)
{
    json_error_t where;
    json_t *value;
    int result;

    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    if (!len)
        return 0;
    value = json_loadb(text, len, JSON_ALLOW_NUL, &where);
    if (!value)
        return err_set(err, ERR_PROTOCOL, "the daemon's stream is not JSON: %s", where.text);
    result = lines->line(lines->arg, value, err);
    json_decref(value);
    return result;
}

int docker_lines_feed(void *arg, const char *data, size_t len, struct err *err)
{
    struct docker_lines *lines = arg;

    while (len) {
        const char *end = memchr(data, '\n', len);
        size_t take = end ? (size_t)(end - data) + 1 : len;

        if (lines->partial.len + take > DOCKER_LINE_MAX)
            return err_set(err, ERR_LIMIT, "a line of the daemon's stream is larger than %zu bytes",
                           DOCKER_LINE_MAX);
        if (end && !lines->partial.len) {
            if (one_line(lines, data, take, err) < 0)
                return -1;
        } else {
            buf_add(&lines->partial, data, take);
            if (end && docker_lines_end(lines, err) < 0)
                return -1;
        }
        data += take;
        len -= take;
    }
    return 0;
}

int docker_lines_end(struct docker_lines *lines, struct err *err)
{
    int result = one_line(lines, lines->partial.data, lines->partial.len, err);

    buf_reset(&lines->partial);
    return result;
}
