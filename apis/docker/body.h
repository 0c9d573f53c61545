/* Building request bodies, for the files of this folder.
 *
 * Absent values add no member. A string that JSON cannot carry (not UTF-8) is remembered instead of
 * being dropped in silence; body_done() then fails. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"

struct body {
    json_t *root;
    const char *bad_key; /* the first member whose text was not UTF-8 */
};

void body_init(struct body *body);
/* The object named key below parent, made if need be; parent NULL: the root. */
json_t *body_object(struct body *body, json_t *parent, const char *key);
void body_str(struct body *body, json_t *parent, const char *key, const char *value); /* NULL: no */
void body_int(json_t *parent, const char *key, int64_t value);                        /* 0: none */
void body_true(json_t *parent, const char *key, bool value); /* false: none */
/* What counts even if it is 0 or false; NULL: none. */
void body_number(json_t *parent, const char *key, const int64_t *value);
void body_bool(json_t *parent, const char *key, const bool *value);
void body_list(struct body *body, json_t *parent, const char *key, const char *const *values);
void body_map(struct body *body, json_t *parent, const char *key, const struct strmap *map);
/* ["KEY=VALUE", …, "UNSET", …]; either may be NULL. */
void body_env(struct body *body, json_t *parent, const char *key, const struct strmap *map,
              const char *const *unset);
/* The root (new reference), or NULL with ERR_INVALID. */
json_t *body_done(struct body *body, struct err *err) __attribute__((warn_unused_result));
