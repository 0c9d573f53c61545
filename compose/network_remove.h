/* Removing networks that a daemon has not let go of yet. */
#pragma once

#include <stdbool.h>

#include "apis/docker/client.h"

/* A daemon lets go of a container's endpoint a little after the container, and now and then not at
 * all. So a network whose containers are gone, or just being removed, is asked for again, up to
 * some ten seconds, and what is left of those that are gone is disconnected by force. ERR_DENIED,
 * with errnum 403: others are in it; if `wait`, only when that time is over. */
int compose_network_remove(const struct ctx *ctx, struct docker_client *docker, const char *network,
                           bool wait, struct err *err) __attribute__((warn_unused_result));
