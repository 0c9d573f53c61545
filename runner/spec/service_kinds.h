/* What the `type` of a step's `service` may be: the one table of kinds, and of the engines that
 * deploy them. Each is an engine with ENGINE_DEPLOYS. */
#pragma once

#include <stdbool.h>

#include "spec/spec.h"

struct spec_service_kind {
    const char *name;   /* in the file */
    const char *engine; /* struct engine.name of the one that deploys it */
    bool cluster;       /* it can go to the cluster that is the engine of the step */
};

enum { SPEC_SERVICE_KINDS_ADDED_MAX = 16 };

/* Adds kinds to the table, which ends with one whose name is NULL and stays the caller's; beyond
 * the maximum they are left out. For what a program adds that embeds the runner: while it has one
 * thread, and before it reads a pipeline file. */
void spec_service_kinds_add(const struct spec_service_kind *kinds);
/* NULL: there is none. */
const struct spec_service_kind *spec_service_kind(enum spec_deployment_type type);
