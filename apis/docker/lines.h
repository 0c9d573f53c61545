/* A stream of the daemon that is a sequence of lines, each a JSON value. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

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
