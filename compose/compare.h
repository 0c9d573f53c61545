/* Containers that another tool has made for the project.
 *
 * If their com.docker.compose.config-hash is the one that Docker Compose gives the service, they
 * are as the file says. But versions of it differ in what they hash: otherwise what the container
 * was created from is compared with what it would be created from now. See
 * docs/adr/0034-whose-hash-it-is.md. */
#pragma once

#include "compose/state.h"

/* Sets container->same and ->difference. image_id: of its service; NULL: not known. proxies:
 * variables that it may have, too. */
int compose_compare(const struct ctx *ctx, struct docker_client *docker,
                    const struct compose_project *project, const char *image_id,
                    const struct strmap *proxies, const struct compose_state *state,
                    struct compose_container *container, struct err *err)
    __attribute__((warn_unused_result));

/* The first member of the body of a create call that the inspected container does not have so, or
 * has although the body has not: "Env", "HostConfig.Binds", …; NULL: none. image_env: what its
 * image sets. Pure. */
const char *compose_difference(json_t *body, const json_t *inspected,
                               const struct strvec *image_env);
