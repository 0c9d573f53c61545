/* Removing what runs have left in a namespace. */
#pragma once

#include "engine/kubernetes/instance.h"

/* Of dead owners: those whose process is known to be gone, and those whose lease has run out (see
 * space.h). */
int kubernetes_sweep(const struct ctx *ctx, struct engine_instance *instance,
                     const struct sweep_request *request, size_t *ret_count, struct err *err);
/* All of the instance's own run in one namespace. */
int kubernetes_sweep_run(const struct ctx *ctx, struct kubernetes_instance *instance,
                         const char *ns, struct err *err) __attribute__((warn_unused_result));
