#include "base/json_at.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

const json_t *json_at(const json_t *object, const char *path)
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

const char *json_at_string(const json_t *object, const char *path)
{
    const char *value = json_string_value(json_at(object, path));

    return value ? value : "";
}

char *json_at_dup(const json_t *object, const char *path)
{
    return xstrdup(json_at_string(object, path));
}

int64_t json_at_int(const json_t *object, const char *path)
{
    return json_integer_value(json_at(object, path));
}

bool json_at_bool(const json_t *object, const char *path)
{
    return json_is_true(json_at(object, path));
}

void json_at_strmap(const json_t *object, const char *path, struct strmap *out)
{
    json_t *from = (json_t *)json_at(object, path);
    const char *key;
    json_t *value;

    json_object_foreach (from, key, value) {
        if (json_is_string(value))
            strmap_set(out, key, json_string_value(value));
    }
}

void json_at_strvec(const json_t *object, const char *path, struct strvec *out)
{
    const json_t *from = json_at(object, path);
    size_t i;
    json_t *value;

    json_array_foreach (from, i, value) {
        if (json_is_string(value))
            strvec_push(out, json_string_value(value));
    }
}

void json_at_keys(const json_t *object, const char *path, struct strvec *out)
{
    json_t *from = (json_t *)json_at(object, path);
    const char *key;
    json_t *value;

    json_object_foreach (from, key, value) {
        strvec_push(out, key);
    }
}
