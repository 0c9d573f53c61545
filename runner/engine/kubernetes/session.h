/* Running one program over a lane, to its exit record. */
#pragma once

#include "engine/kubernetes/place.h"

/* As run() of the engine. The lane to the container is the caller's alone; *ret_reusable: it can be
 * used again. */
int kubernetes_session_run(const struct ctx *ctx, struct kubernetes_place *place,
                           struct place_container *container, struct lane *lane,
                           const struct runnable *runnable, struct output *output,
                           bool *ret_reusable, struct exit_record *ret, struct err *err)
    __attribute__((warn_unused_result));
