/* Reading the API's JSON. A missing or differently typed member is the zero value. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The member named by keys joined with dots, or NULL. */
const json_t *kube_json_at(const json_t *object, const char *path);
/* "" when missing; belongs to the JSON value. */
const char *kube_json_str(const json_t *object, const char *path);
int64_t kube_json_int(const json_t *object, const char *path);
/* "2026-01-02T03:04:05.678Z" or with an offset (RFC 3339) as milliseconds since the epoch; -1 for
 * what is none. */
int kube_parse_time(const char *text, int64_t *ret_ms) __attribute__((warn_unused_result));
