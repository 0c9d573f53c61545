/* The engines in use: one instance for each engine URL, connected when first needed. Nobody waits
 * for a connection to another URL than his own. */
#pragma once

#include "engine/engine.h"

struct instances;

struct instances *instances_new(const struct engine *const *engines,
                                const struct engine_services *services);
/* *ret stays with the table. Errors: ERR_UNSUPPORTED for an unknown engine, or those of connect().
 * Threads: any. */
int instances_get(struct instances *instances, const struct ctx *ctx, const char *url,
                  struct engine_instance **ret, const struct engine **ret_engine, struct err *err)
    __attribute__((warn_unused_result));
/* Disconnects all, side by side. */
void instances_free(struct instances *instances);
