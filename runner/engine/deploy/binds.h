/* Files of a Compose project that lie in the runner's own container. */
#pragma once

#include "apis/docker/client.h"
#include "compose/model.h"
#include "engine/docker/self.h"

/* For a runner in a container with the daemon's socket mounted: gives bind mounts the paths that
 * they have on the daemon's host, if they lie in something that is mounted into the runner's
 * container; so too, unless the target is a swarm, to which their contents are sent, the files of
 * secrets and configs. Other paths are the daemon's own, and stay; but what is below the project's
 * directory and nowhere on the host is an error (ERR_NOT_FOUND) that names it, as the daemon would
 * make an empty directory of it. Does nothing elsewhere. */
int deploy_translate_binds(const struct ctx *ctx, struct docker_client *docker,
                           const struct docker_endpoint *endpoint,
                           const struct compose_project *project, enum compose_target target,
                           struct err *err) __attribute__((warn_unused_result));
/* The part of it that asks no daemon. */
int deploy_translate_for(const struct self *self, const struct compose_project *project,
                         enum compose_target target, struct err *err)
    __attribute__((warn_unused_result));
