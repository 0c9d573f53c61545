/* Brings the placed files of a runnable into the container that waits for it. */
#pragma once

#include "engine/docker/step_container.h"
#include "engine/engine.h"

/* Directories that are missing are made. ERR_NOT_FOUND: there is no such container any more. */
int placed_put(const struct ctx *ctx, struct step_container *container,
               const struct runnable *runnable, struct err *err)
    __attribute__((warn_unused_result));
