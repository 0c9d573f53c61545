/* What a registry says about an image, through the daemon. See client.h for lifecycle, threads,
 * errors.
 * Source: Docker Engine API, GET /distribution/{name}/json. */
#pragma once

#include "apis/docker/client.h"
#include "apis/docker/service_spec.h"

struct docker_distribution {
    char *digest;                      /* "sha256:…" */
    struct docker_platform *platforms; /* owned, without repetitions; those known to swarm */
    size_t platform_count;
    json_t *body; /* what the platforms' names belong to */
};

#define CLEANUP_DOCKER_DISTRIBUTION CLEANUP(docker_distribution_release)
void docker_distribution_release(struct docker_distribution *distribution);
/* Begun and ended as in docker_call_begin(); registry_auth as there. What a registry refuses is
 * ERR_DENIED from some daemons and ERR_PROTOCOL (HTTP 500) from others: the message has its words.
 */
int docker_distribution_begin(const struct ctx *ctx, struct docker_client *docker,
                              const char *image, const char *registry_auth,
                              struct docker_pending **ret, struct err *err)
    __attribute__((warn_unused_result));
int docker_distribution_end(const struct ctx *ctx, struct docker_pending *pending,
                            struct docker_distribution *ret, struct err *err)
    __attribute__((warn_unused_result));
