/* Which daemon an engine's URL means. */
#pragma once

#include "apis/docker/endpoint.h"
#include "engine/engine.h"

#define DOCKER_SCHEME "docker://"

/* `url` is "docker", the daemon of `services` or the environment, another name alone, whose row
 * says where to look, or one of them with "://" and the daemon's address; that may be the same one:
 * then the environment knows its certificates. Errors: those of docker_endpoint_find(). *ret is to
 * be released. */
int docker_find_endpoint(const struct engine_services *services, const char *url,
                         struct docker_endpoint *ret, struct err *err)
    __attribute__((warn_unused_result));
