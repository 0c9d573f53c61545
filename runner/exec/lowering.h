/* What a step means, with nothing left to look up. */
#pragma once

#include "exec/run.h"

struct lowering {
    struct step_lowered *lowered;
    char *url; /* of the engine that runs it */
    struct plan_settings settings;
    struct strmap identity;
    bool apart;      /* the job has an empty workspace of its own for it (`checkout: none`) … */
    char *workspace; /* … which is this directory, to be made; NULL: the engine's affair */
};

/* *ret is zeroed before, and after a failure. `plan` is the run's, or one that differs from it in
 * its inputs; `node` the step's. `runtime` (NULL: nothing is known of the run) must outlive *ret.
 */
int lowering_make(const struct run *run, const struct plan *plan, const struct plan_step *step,
                  const struct node *node, const struct plan_runtime *runtime, uint32_t attempt,
                  const struct services *services, struct lowering *ret, struct err *err)
    __attribute__((warn_unused_result));
void lowering_release(struct lowering *lowering);
