/* Whether the kernel killed something of a container for want of memory. */
#pragma once

#include "engine/docker/step_container.h"

/* Asks the daemon, but only where the exit code makes it likely: 137, or any under a limit. */
bool oom_killed(const struct ctx *ctx, struct step_container *container, int code);
/* "killed: out of memory (limit 64 MiB)" */
void oom_describe(int64_t limit_bytes, char *text, size_t size);
