/* The parts of pull.c that its tests look at. */
#pragma once

#include "apis/docker/image.h"
#include "base/vec.h"

struct docker_pull_layer {
    char *id;
    int64_t bytes;
    int64_t bytes_total;
    bool done;
};

struct docker_pull_state {
    VEC(struct docker_pull_layer)
    layers;
    docker_pull_fn *progress;
    void *arg;
};

/* A docker_line_fn; arg is a struct docker_pull_state. */
int docker_pull_line(void *arg, const json_t *value, struct err *err);
void docker_pull_state_release(struct docker_pull_state *state);
/* The HTTP status that a message of the daemon tells of; `fallback` when it tells none. */
int docker_pull_status_of(const char *message, int fallback);
