/* One program in a container: the request goes in, the output comes out, its tree is ended when the
 * context ends, and what became of it is told. */
#pragma once

#include "apis/docker/image.h"
#include "engine/docker/step_container.h"
#include "engine/engine.h"

enum session_end {
    SESSION_OVER,      /* *ret is filled; the container can be used again if it is shared */
    SESSION_NOT_BEGUN, /* contact was lost before the program can have begun */
    SESSION_FAILED,    /* -1 of engine.run: err says why */
};

/* *ret_reusable: the container is shared and still well. */
enum session_end session_run(const struct ctx *ctx, struct step_container *container,
                             const struct runnable *runnable, const struct docker_image *image,
                             struct output *output, bool *ret_reusable, struct exit_record *ret,
                             struct err *err);
