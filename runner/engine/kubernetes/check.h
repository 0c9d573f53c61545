/* Whether what a place runs is ready: asked by the helper, in the container itself. */
#pragma once

#include "engine/engine.h"

int kubernetes_place_check(const struct ctx *ctx, struct place *place,
                           const struct runnable *running, const struct probe *probe,
                           struct err *err);
