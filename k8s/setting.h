/* Reading a user's JSON: each value knows where it is, so that errors name the key.
 *
 *     struct setting root = {.name = "kubernetes", .value = json};
 *     struct setting volumes;
 *     if (setting_get(&root, "volumes", &volumes) && !setting_is_array(&volumes, err))
 *         return -1;                         // "kubernetes.volumes must be a list"
 *
 * Everything is borrowed, the parent of a setting too. Errors are ERR_INVALID. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "k8s/quantity.h"

struct setting {
    const struct setting *parent;
    const char *name; /* NULL: an item of a list */
    size_t index;
    const json_t *value;
};

/* "kubernetes.volumes[1].mount" */
void setting_path(const struct setting *setting, struct buf *out);
/* Returns -1; the message is behind the path and a space. */
int setting_error(const struct setting *setting, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct setting setting_member(const struct setting *object, const char *name, const json_t *value);
struct setting setting_item(const struct setting *array, size_t index);
/* A member of an object; false when it is missing or null, or there is no object. */
bool setting_get(const struct setting *object, const char *name, struct setting *ret);
bool setting_has(const struct setting *object, const char *name);

/* These complain when it is something else. */
bool setting_is_object(const struct setting *setting, struct err *err)
    __attribute__((warn_unused_result));
bool setting_is_array(const struct setting *setting, struct err *err)
    __attribute__((warn_unused_result));
/* NULL when it is not a string with something in it; belongs to the JSON. */
const char *setting_string(const struct setting *setting, struct err *err)
    __attribute__((warn_unused_result));
int setting_bool(const struct setting *setting, bool *ret, struct err *err)
    __attribute__((warn_unused_result));
/* At least 0, written as a string or as a number. *ret_text is a new reference, always a string. */
int setting_quantity(const struct setting *setting, struct quantity *ret, json_t **ret_text,
                     struct err *err) __attribute__((warn_unused_result));
/* An object with no members but those; names end with NULL. */
int setting_known(const struct setting *setting, const char *const *names, struct err *err)
    __attribute__((warn_unused_result));

/* Copies members of one object into another: nothing when it is not given. */
int setting_copy_string(const struct setting *object, const char *name, json_t *to,
                        const char *field, struct err *err) __attribute__((warn_unused_result));
