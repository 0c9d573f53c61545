/* Whether the kernel killed something of a container for want of memory. */
#pragma once

#include "engine/docker/step_container.h"
#include "helper/reply.h"

/* By the word of the helper, which sees it where control groups are to be seen in the container.
 * Else asks the daemon, but only where the exit code makes it likely: 137, or any under a limit. */
bool oom_killed(const struct ctx *ctx, struct step_container *container,
                const struct helper_reply *reply, int code);
