/* Reading JSON by paths: keys joined with dots, "spec.containers". A missing or differently typed
 * member is the zero value, because APIs leave out what they have not. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/vec.h"

/* The member, or NULL; belongs to the object. */
const json_t *json_at(const json_t *object, const char *path);
/* "" when missing; belongs to the object. */
const char *json_at_string(const json_t *object, const char *path);
/* A copy of that; the caller's. */
char *json_at_dup(const json_t *object, const char *path);
int64_t json_at_int(const json_t *object, const char *path);
bool json_at_bool(const json_t *object, const char *path);
/* Members (or elements) that are strings. */
void json_at_strmap(const json_t *object, const char *path, struct strmap *out);
void json_at_strvec(const json_t *object, const char *path, struct strvec *out);
/* The names of its members. */
void json_at_keys(const json_t *object, const char *path, struct strvec *out);
