/* What the parts of librunner share; internal to library/. */
#pragma once

#include <pthread.h>

#include "base/gate.h"
#include "base/vec.h"
#include "engine/engine.h"
#include "launch/launch.h"
#include "objstore/open.h"
#include "record/record.h"
#include "runner.h"
#include "step/kind.h"

struct runner {
    char *history;
    char *runs; /* HISTORY/runs */
    char *directory;
    char *user;
    struct ctx forever; /* for callers without a context */
    const struct step_kind *const *kinds;
    struct launcher *launcher;
    struct gate starting; /* held by who starts a run: its answer comes next */
    pthread_mutex_t mu;
    struct strvec started; /* ids of those that may go on; guarded by mu */
};

static inline const struct ctx *library_ctx(const struct runner *runner, const struct ctx *ctx)
{
    return ctx ? ctx : &runner->forever;
}
