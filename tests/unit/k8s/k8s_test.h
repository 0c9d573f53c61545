/* Shared by the tests of this folder: JSON in readable quotes. */
#pragma once

#include "tests/unit/test.h"

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

static struct err test_err __attribute__((unused));

/* A JSON text in which ' stands for ". */
static inline json_t *parse(const char *text)
{
    char *quoted = strdup(text);
    json_error_t error;
    json_t *value;

    for (char *p = quoted; *p; p++) {
        if (*p == '\'')
            *p = '"';
    }
    value = json_loads(quoted, JSON_DECODE_ANY, &error);
    if (!value)
        fail_msg("%s: %s", error.text, quoted);
    free(quoted);
    return value;
}

/* Compares the value that keys and numbers joined with "/" name; NULL: there is none. */
static inline void check(const json_t *value, const char *path, const char *expected)
{
    char *copy = strdup(path);
    char *rest = copy;
    json_t *wanted = expected ? parse(expected) : NULL;

    for (char *key = strsep(&rest, "/"); key && value; key = strsep(&rest, "/"))
        value = json_is_array(value) ? json_array_get(value, strtoul(key, NULL, 10))
                                     : json_object_get(value, key);
    if (wanted ? !value || !json_equal(value, wanted) : !!value) {
        char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

        fail_msg("%s is %s, not %s", path, text ? text : "missing",
                 expected ? expected : "missing");
    }
    json_decref(wanted);
    free(copy);
}
