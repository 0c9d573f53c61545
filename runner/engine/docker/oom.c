#include "engine/docker/oom.h"

#include <signal.h>

#include "engine/docker/instance.h"

/* The state of a container that has exited tells; its helper, which has told the code, is about to.
 */
static bool state_tells(const struct ctx *ctx, struct step_container *container)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container found = {0};
    int64_t code;

    return docker_wait_result(ctx, container->wait, &code, NULL) == 0 &&
           docker_container_inspect(ctx, container->client, container->id, &found, NULL) == 0 &&
           found.oom_killed;
}

bool oom_killed(const struct ctx *ctx, struct step_container *container,
                const struct helper_reply *reply, int code)
{
    if (helper_reply_out_of_memory(reply))
        return true;
    /* The state of a shared container says nothing of this program, and events come late. */
    if (container->shared || (code != 128 + SIGKILL && container->memory_bytes == 0))
        return false;
    return state_tells(ctx, container);
}
