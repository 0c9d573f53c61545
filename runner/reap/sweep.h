/* Sweeping one endpoint: internal to reap/. */
#pragma once

#include "engine/engine.h"

/* Connects to the endpoint, lets its engine sweep until two sweeps in a row find nothing (a dead
 * owner's last requests may still be carried out), disconnects. A dry run sweeps once. *ret_count
 * is how many things were found. */
int sweep_endpoint(const struct ctx *ctx, const struct engine *const *engines,
                   const struct engine_services *services, const char *url,
                   const struct sweep_request *request, size_t *ret_count, struct err *err)
    __attribute__((warn_unused_result));
