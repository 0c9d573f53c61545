#include "compose/network_remove.h"

#include <string.h>

#include "apis/docker/container.h"
#include "apis/docker/network.h"
#include "apis/http/retry.h"

enum { ATTEMPTS = 15, BASE_MS = 50, MAX_MS = 1000 };

static bool is_in_use(const struct err *why)
{
    return strstr(why->message, "active endpoints") != NULL;
}

/* Whether it will be gone without anybody's doing. */
static bool is_going(const struct ctx *ctx, struct docker_client *docker, const char *container)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container found = {0};
    struct err why = ERR_INIT;

    if (docker_container_inspect(ctx, docker, container, &found, &why) < 0)
        return why.code == ERR_NOT_FOUND;
    return strcmp(found.status, "removing") == 0 || strcmp(found.status, "dead") == 0;
}

/* Takes those out that are on their way; whether there are no others. */
static bool evict(const struct ctx *ctx, struct docker_client *docker, const char *network)
{
    CLEANUP_DOCKER_NETWORK struct docker_network found = {0};
    bool only = true;

    if (docker_network_inspect(ctx, docker, network, &found, NULL) < 0)
        return true;
    strmap_foreach (endpoint, &found.containers) {
        if (is_going(ctx, docker, endpoint->key)) {
            /* By the name, which the endpoint still has. */
            (void)!docker_network_disconnect(ctx, docker, network, endpoint->value, true, NULL);
        } else {
            only = false;
        }
    }
    return only;
}

int compose_network_remove(const struct ctx *ctx, struct docker_client *docker, const char *network,
                           bool wait, struct err *err)
{
    const struct retry_policy policy = {.attempts = ATTEMPTS,
                                        .base_ms = BASE_MS,
                                        .max_delay_ms = MAX_MS};
    struct retry retry;
    struct err why = ERR_INIT;

    retry_init(&retry, &policy);
    do {
        why = (struct err)ERR_INIT;
        if (docker_network_remove(ctx, docker, network, &why) == 0)
            return 0;
    } while (is_in_use(&why) && (evict(ctx, docker, network) || wait) &&
             retry_wait(ctx, &retry, -1, NULL) == 0);
    if (err)
        *err = why;
    return -1;
}
