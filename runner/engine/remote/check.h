/* Whether something on a remote is ready: seen from there, by the helper. */
#pragma once

#include "engine/engine.h"
#include "engine/remote/remote.h"

/* As check() of an engine, but for PROBE_IMAGE, which is ERR_UNSUPPORTED. A command runs with the
 * environment and in the directory of what runs, `workdir` if that names none (may be NULL). */
int remote_check(const struct ctx *ctx, const struct remote *remote, const char *workdir,
                 const struct runnable *running, const struct probe *probe, struct err *err)
    __attribute__((warn_unused_result));
