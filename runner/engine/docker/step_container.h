/* A container in which the helper waits for a program, or runs one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "apis/docker/container.h"
#include "engine/docker/recipe.h"

struct docker_instance;

struct step_container {
    struct docker_instance *instance;
    struct docker_client *client; /* has the wait; for other calls on the container, too */
    char *id;
    char *key;            /* of its recipe */
    bool shared;          /* the helper serves one program after the other */
    int64_t memory_bytes; /* its limit, 0: none */
    bool busy;            /* a shared one has a program */
    struct http_stream *stream;
    struct docker_frames frames;
    struct docker_wait *wait; /* for its exit; NULL when it is shared */
    struct step_container *next;
};

/* Creates and starts it. Consumes `client`, also on failure. */
int step_container_launch(const struct ctx *ctx, struct docker_place *place,
                          struct docker_client *client, struct recipe *recipe,
                          struct step_container **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Frees what is on our side; NULL is fine. */
void step_container_free(struct step_container *container);
