#include "queue/submission.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/json_at.h"
#include "base/json_text.h"
#include "base/parse.h"

void submission_options_release(struct submission_options *options)
{
    strmap_release(&options->env);
    strmap_release(&options->inputs);
    free(options->engine);
    free(options->image);
    free(options->workdir);
    *options = (struct submission_options){0};
}

/* The members that are texts. */
static const struct member {
    const char *name;
    size_t offset;
} texts[] =
    {
        {"engine", offsetof(struct submission_options, engine)},
        {"image", offsetof(struct submission_options, image)},
        {"workdir", offsetof(struct submission_options, workdir)},
},
  maps[] = {
      {"env", offsetof(struct submission_options, env)},
      {"inputs", offsetof(struct submission_options, inputs)},
};

enum { TEXTS = sizeof(texts) / sizeof(*texts), MAPS = sizeof(maps) / sizeof(*maps) };

/* --- writing --- */

static json_t *map_to_json(const struct strmap *map)
{
    json_t *object = json_object();

    strmap_foreach (entry, map)
        json_object_set_new(object, entry->key, json_safe_string(entry->value));
    return object;
}

json_t *submission_options_to_json(const struct submission_options *options)
{
    json_t *object = json_object();

    if (options->detached)
        json_object_set_new(object, "detach", json_true());
    for (size_t i = 0; i < MAPS; i++) {
        const struct strmap *map = (const void *)((const char *)options + maps[i].offset);

        if (map->len)
            json_object_set_new(object, maps[i].name, map_to_json(map));
    }
    for (size_t i = 0; i < TEXTS; i++) {
        const char *text = *(char *const *)((const char *)options + texts[i].offset);

        if (text)
            json_object_set_new(object, texts[i].name, json_safe_string(text));
    }
    if (options->timeout_ms) {
        CLEANUP_FREE char *duration = xasprintf("%lldms", (long long)options->timeout_ms);

        json_object_set_new(object, "timeout", json_string(duration));
    }
    return object;
}

/* --- reading --- */

static int wrong(const char *name, const char *expected, struct err *err)
{
    return err_set(err, ERR_INVALID, "\"%s\" must be %s", name, expected);
}

/* A value of an environment: as it would be written on the command line. */
static int read_value(const char *map, const char *key, const json_t *value, struct strmap *ret,
                      struct err *err)
{
    CLEANUP_FREE char *number = NULL;

    if (json_is_string(value)) {
        strmap_set(ret, key, json_string_value(value));
    } else if (json_is_boolean(value)) {
        strmap_set(ret, key, json_is_true(value) ? "true" : "false");
    } else if (json_is_number(value)) {
        number = json_dumps(value, JSON_ENCODE_ANY);
        strmap_set(ret, key, number);
    } else {
        return err_set(err, ERR_INVALID, "\"%s.%.100s\" must be a text, a number, true or false",
                       map, key);
    }
    return 0;
}

static int read_map(const json_t *object, const char *name, struct strmap *ret, struct err *err)
{
    json_t *map = json_object_get(object, name);
    const char *key;
    json_t *value;

    if (!map || json_is_null(map))
        return 0;
    if (!json_is_object(map))
        return wrong(name, "an object of names and values", err);
    json_object_foreach (map, key, value) {
        if (read_value(name, key, value, ret, err) < 0)
            return -1;
    }
    return 0;
}

/* "" is what forms send for a field that was left empty. */
static int read_text(const json_t *object, const char *name, char **ret, struct err *err)
{
    const json_t *text = json_object_get(object, name);

    if (!text || json_is_null(text))
        return 0;
    if (!json_is_string(text))
        return wrong(name, "a text", err);
    if (*json_string_value(text))
        *ret = xstrdup(json_string_value(text));
    return 0;
}

static int read_timeout(const json_t *object, int64_t *ret, struct err *err)
{
    const json_t *timeout = json_object_get(object, "timeout");

    if (!timeout || json_is_null(timeout))
        return 0;
    if (json_is_integer(timeout) && json_integer_value(timeout) >= 0 &&
        json_integer_value(timeout) <= INT64_MAX / 1000) {
        *ret = json_integer_value(timeout) * 1000;
        return 0;
    }
    if (!json_is_string(timeout))
        return wrong("timeout", "a duration such as \"10m\", or seconds", err);
    if (!*json_string_value(timeout))
        return 0;
    return parse_duration_ms(json_string_value(timeout), ret, err) < 0
               ? err_wrap(err, "\"timeout\"")
               : 0;
}

int submission_options_from_json(const json_t *object, struct submission_options *ret,
                                 struct err *err)
{
    const json_t *detach = json_object_get(object, "detach");

    if (!json_is_object(object))
        return err_set(err, ERR_INVALID, "the options of a run must be an object");
    if (detach && !json_is_boolean(detach) && !json_is_null(detach))
        return wrong("detach", "true or false", err);
    ret->detached = json_is_true(detach);
    for (size_t i = 0; i < MAPS; i++) {
        if (read_map(object, maps[i].name, (void *)((char *)ret + maps[i].offset), err) < 0)
            return -1;
    }
    for (size_t i = 0; i < TEXTS; i++) {
        if (read_text(object, texts[i].name, (void *)((char *)ret + texts[i].offset), err) < 0)
            return -1;
    }
    return read_timeout(object, &ret->timeout_ms, err);
}
