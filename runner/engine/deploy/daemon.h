/* The Docker daemon that Compose projects and stacks go to. */
#pragma once

#include "apis/docker/client.h"
#include "compose/model.h"
#include "engine/deploy/kind.h"

struct daemon {
    struct docker_endpoint endpoint;
    int api_minor;
};

/* As deploy_kind.connect and .disconnect; *ret is a struct daemon. */
int daemon_find(const struct ctx *ctx, const struct engine_services *services, const char *address,
                void **ret, char **ret_noted, struct err *err);
void daemon_leave(void *daemon);
/* For one thread; to be freed with docker_client_free(). */
int daemon_client(const struct daemon *daemon, struct docker_client **ret, struct err *err)
    __attribute__((warn_unused_result));
/* The Compose file of a deployment. What is wrong with it, and warnings, have been told to its
 * output; *ret goes to the caller, and must be freed before the sources. */
int deployed_load(struct deployed *deployed, const struct ctx *ctx, enum compose_target target,
                  struct compose_sources *sources, struct compose_project **ret, struct err *err)
    __attribute__((warn_unused_result));
