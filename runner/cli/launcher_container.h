/* `runner server --launcher-container`: the launcher in a container of its own, so that runs
 * outlive that of the server (docs/adr/0049-a-server-in-a-container-has-its-launcher-beside-it.md).
 */
#pragma once

#include "cli/engines.h"
#include "engine/docker/sibling.h"
#include "launch/launch.h"

struct launcher_container {
    const struct cli_engine_args *engines;
    const char *history;
    const char *work;
    const char *cache; /* NULL: there is none */
    /* The command line of this program, from behind the command's name. */
    char *const *arguments;
};

/* Makes the container and connects to it. Says in the log what of the server's the runs will not
 * have. */
int launcher_container_start(const struct ctx *ctx, const struct launcher_container *options,
                             struct launcher **ret, struct docker_sibling **ret_sibling,
                             struct err *err) __attribute__((warn_unused_result));
/* When the launcher has been stopped and has no runs: returns when its container is gone, or after
 * some seconds. Who stops the server may remove networks next, which nobody must be in. */
void launcher_container_await_end(struct docker_sibling *sibling);
