/* Building an image from a context and a Dockerfile, by the builder that is part of the daemon
 * (not BuildKit). See client.h for lifecycle, threads, errors.
 * Source: Docker Engine API, POST /build. */
#pragma once

#include "apis/docker/container.h"
#include "apis/docker/image.h"

/* Everything is borrowed; zero means the daemon's default. Lists end with NULL. */
struct docker_build {
    struct docker_tar context;
    const char *remote;      /* a URL that the daemon takes the context from instead, or NULL */
    const char *dockerfile;  /* a path in the context */
    const char *const *tags; /* names that the image gets */
    const struct strmap *args;
    const char *target;
    const char *const *cache_from;
    const struct strmap *labels;
    const char *network;
    const char *platform;
    const char *const *extra_hosts; /* "name:ip" */
    const char *isolation;
    int64_t shm_bytes;
    bool pull; /* base images, although they are there */
    bool no_cache;
    const struct docker_credentials *auths; /* of base images' registries */
    size_t auth_count;
    /* What the builder writes, in pieces that are not lines; NULL: nothing. */
    void (*output)(void *arg, const char *text);
    docker_pull_fn *progress; /* of the base image; NULL: nothing */
    void *arg;
};

/* Ends when the image is there. Breaking it off ends the build. *ret_id is for the caller to free.
 * ERR_INVALID: a line of the Dockerfile failed or cannot be understood; the message is the
 * builder's last. */
int docker_image_build(const struct ctx *ctx, struct docker_client *docker,
                       const struct docker_build *build, char **ret_id, struct err *err)
    __attribute__((warn_unused_result));
