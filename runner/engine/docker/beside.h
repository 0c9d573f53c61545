/* Runs the helper a second time in a container that runs: to look at something, or for files. */
#pragma once

#include "apis/docker/container.h"
#include "base/buf.h"

/* `input` (may be NULL) goes to its standard input, whose end is that of the connection, and ends
 * what the helper runs. All of its output goes to `output`; 0 when it has ended, with *ret_code. */
int beside_run(const struct ctx *ctx, struct docker_client *client, const char *container,
               const char *const *cmd, const struct buf *input, docker_output_fn *output, void *arg,
               int64_t *ret_code, struct err *err) __attribute__((warn_unused_result));
