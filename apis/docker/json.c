#include "apis/docker/json.h"

const json_t *docker_json_at(const json_t *object, const char *path)
{
    while (object) {
        size_t len = strcspn(path, ".");
        char key[64];

        snprintf(key, sizeof(key), "%.*s", (int)len, path);
        object = json_object_get(object, key);
        if (!path[len])
            return object;
        path += len + 1;
    }
    return NULL;
}

const char *docker_json_str(const json_t *object, const char *path)
{
    const char *value = json_string_value(docker_json_at(object, path));

    return value ? value : "";
}

char *docker_json_dup(const json_t *object, const char *path)
{
    return xstrdup(docker_json_str(object, path));
}

int64_t docker_json_int(const json_t *object, const char *path)
{
    return json_integer_value(docker_json_at(object, path));
}

bool docker_json_bool(const json_t *object, const char *path)
{
    return json_is_true(docker_json_at(object, path));
}

void docker_json_strmap(const json_t *object, const char *path, struct strmap *out)
{
    json_t *from = (json_t *)docker_json_at(object, path);
    const char *key;
    json_t *value;

    json_object_foreach (from, key, value) {
        if (json_is_string(value))
            strmap_set(out, key, json_string_value(value));
    }
}

void docker_json_strvec(const json_t *object, const char *path, struct strvec *out)
{
    const json_t *from = docker_json_at(object, path);
    size_t i;
    json_t *value;

    json_array_foreach (from, i, value) {
        if (json_is_string(value))
            strvec_push(out, json_string_value(value));
    }
}

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

void docker_json_keys(const json_t *object, const char *path, struct strvec *out)
{
    json_t *from = (json_t *)docker_json_at(object, path);
    const char *key;
    json_t *value;

    json_object_foreach (from, key, value) {
        strvec_push(out, key);
    }
}
