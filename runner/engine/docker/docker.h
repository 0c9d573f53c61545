/* The engine "docker": steps in containers, through the Docker Engine API (Docker, podman).
 * "docker://ADDRESS", e.g. docker://unix:///run/docker.sock, names a daemon; "docker" alone means
 * services.docker_host, or what the docker command would use.
 *
 * Lifecycle of what it makes on the daemon, all of it labelled with OWN_LABEL_*:
 *
 *     first place  the watchdog container, only when the runner itself runs in a container;
 *                  image runner-helper:HASH (stays: it is a cache), volume runner-RUN-helper
 *     place        one holder container: owns the job's network and is the run's lease; the volume
 *                  runner-RUN-…-workspace when the daemon cannot see the workdir
 *     run          a container for each step, joined to the holder's network, in which the helper
 *                  (runner/helper) waits for the step; or one for many steps (isolation: job)
 *
 * docs/adr/ tells why: 0010 to 0013. */
#pragma once

#include "engine/engine.h"

extern const struct engine docker_engine;

/* What `runner watchdog --run ID` does: waits until standard input ends, which is when the runner
 * that started this container is gone, and removes what the run left. */
int docker_watchdog_main(const struct ctx *ctx, const char *docker_host, const char *run_id,
                         struct err *err) __attribute__((warn_unused_result));
