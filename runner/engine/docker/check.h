/* Whether what a place runs is ready, asked through the helper in its container: that works
 * wherever the daemon and this process are, and sees what the container's neighbours see. */
#pragma once

#include "engine/engine.h"

int docker_place_published(const struct ctx *ctx, struct place *place,
                           const struct runnable *service, struct strmap *ret, struct err *err);
int docker_place_check(const struct ctx *ctx, struct place *place, const struct runnable *running,
                       const struct probe *probe, struct err *err);
