/* Helpers that several files of this folder share: hijacked connections, tar uploads, logs. */
#pragma once

#include "apis/docker/container.h"

/* POSTs `path` (no version prefix) with a JSON body or NULL, and takes the connection over. */
int docker_stream_open(const struct ctx *ctx, struct docker_client *docker, const char *path,
                       const char *body, struct http_stream **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Sends a tar; the 200 answer's body goes to `write` or, if that is NULL, into *response. */
int docker_tar_send(const struct ctx *ctx, struct docker_client *docker, const char *method,
                    const char *path, const struct docker_tar *tar, struct http_response *response,
                    http_write_fn *write, void *write_arg, struct err *err)
    __attribute__((warn_unused_result));
/* The output of a container, a service or a task: GET /COLLECTION/NAME/logs. */
int docker_logs_of(const struct ctx *ctx, struct docker_client *docker, const char *collection,
                   const char *name, const struct docker_logs *o, struct docker_frames *frames,
                   struct err *err) __attribute__((warn_unused_result));
