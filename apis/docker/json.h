/* Reading the daemon's JSON, for the files of this folder. A missing or differently typed member is
 * the zero value: daemons leave out what they have not. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/vec.h"

/* The member named by keys joined with dots, or NULL. */
const json_t *docker_json_at(const json_t *object, const char *path);
/* "" when missing; belongs to the JSON value. */
const char *docker_json_str(const json_t *object, const char *path);
char *docker_json_dup(const json_t *object, const char *path);
int64_t docker_json_int(const json_t *object, const char *path);
bool docker_json_bool(const json_t *object, const char *path);
/* Members (or elements) that are strings. */
void docker_json_strmap(const json_t *object, const char *path, struct strmap *out);
void docker_json_strvec(const json_t *object, const char *path, struct strvec *out);

/* Splits a stream into lines, each a JSON value, and gives them to `line`. */
typedef int docker_line_fn(void *arg, const json_t *value, struct err *err);
struct docker_lines {
    struct buf partial;
    docker_line_fn *line;
    void *arg;
};
#define DOCKER_LINE_MAX ((size_t)1 << 20)
/* An http_write_fn; arg is a struct docker_lines. ERR_PROTOCOL for what is no JSON, ERR_LIMIT for a
 * line beyond DOCKER_LINE_MAX. */
int docker_lines_feed(void *arg, const char *data, size_t len, struct err *err);
/* At the end of the stream: a last line without a line end. */
int docker_lines_end(struct docker_lines *lines, struct err *err)
    __attribute__((warn_unused_result));
/* The names of its members. */
void docker_json_keys(const json_t *object, const char *path, struct strvec *out);
