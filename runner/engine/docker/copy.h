/* Files of a place's copy of the workspace, to this machine and back: get() and put() of the
 * engine.
 */
#pragma once

#include "engine/engine.h"

int docker_place_get(const struct ctx *ctx, struct place *place, const char *path, const char *into,
                     struct err *err);
int docker_place_put(const struct ctx *ctx, struct place *place, const char *const *paths,
                     struct err *err);
