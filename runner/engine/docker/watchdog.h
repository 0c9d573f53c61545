/* The watchdog container: a sibling of the runner's own container that removes what a run left.
 *
 * On a host the keeper process outlives a killed runner. In a container it dies with the runner's
 * PID namespace; so a second container, from the runner's own image, holds on to the run: its
 * standard input is attached to the runner, ends with it, and then the watchdog sweeps. */
#pragma once

#include "base/ctx.h"
#include "base/err.h"

struct docker_client;
struct docker_instance;

int watchdog_start(const struct ctx *ctx, struct docker_instance *instance,
                   struct docker_client *client, struct err *err)
    __attribute__((warn_unused_result));
/* The run ended in order. */
void watchdog_stop(const struct ctx *ctx, struct docker_instance *instance,
                   struct docker_client *client);
