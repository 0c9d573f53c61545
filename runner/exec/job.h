/* What the files that run a job share: job.c, step.c, slots.c. */
#pragma once

#include "exec/admission.h"
#include "exec/background.h"
#include "exec/caching.h"
#include "exec/context.h"
#include "exec/lowering.h"
#include "exec/places.h"
#include "exec/run.h"
#include "exec/services.h"
#include "exec/values.h"

/* A step on its way to an engine; empty while step.lowered is NULL. */
struct slot {
    struct lowering step;
    struct plan_runtime runtime;
    struct values values;
    struct strmap environment;    /* that of the job when it was lowered */
    uint32_t environment_version; /* likewise */
    bool announced;
};

/* A step that goes on in the background. */
struct background_step {
    uint32_t index;
    struct slot slot;
    struct context_runnable what;
    struct background_group group; /* it alone */
    struct background *background;
    char *label; /* of its limit */
};

/* One attempt of a job. */
struct job_run {
    struct run *run;
    const struct plan_job *plan;
    struct node *node;
    struct ctx ctx;
    enum plan_post outcome; /* of a job of hooks: what they are for */
    struct siblings steps;
    struct places places;
    struct services *services;     /* of the job; NULL: none */
    struct values services_values; /* what they were lowered with */
    struct plan_runtime services_runtime;
    struct slot *slots; /* of a serial job: the next steps, by index modulo their number */
    VEC(struct lowering)
    outdated; /* announced to an engine, but not what will run: alive until places are closed */

    pthread_mutex_t mu;
    struct strmap environment;    /* guarded by mu: what steps have set for those behind them */
    uint32_t environment_version; /* guarded by mu: counts its changes */
    VEC(struct background_step *)
    background; /* guarded by mu */
};

/* job.c: copies what steps have set so far into *ret, which is empty; returns its version. */
uint32_t job_environment(struct job_run *j, struct strmap *ret);

/* background_step.c */

/* One attempt to start a step in the background, with what `caching` has restored: true when it is
 * ready and goes on until the job ends, else false with how it failed; the strings of *ret and
 * *ret_tail go to the caller. */
bool background_step_start(struct job_run *j, const struct ctx *ctx, uint32_t index,
                           struct caching *caching, struct outcome *ret, char **ret_tail);
/* Ends all that goes on, and says how it ended. */
void background_steps_end(struct job_run *j);

/* step.c: runs one step, with all its attempts. `ctx` is the job's, or that of a hook. */
void step_run(struct job_run *j, const struct ctx *ctx, uint32_t index);

/* slots.c */

/* Fills the slot with the step, unless it holds it as it is now. `ctx` ends what that asks. */
int slot_fill(struct job_run *j, const struct ctx *ctx, struct slot *slot, uint32_t index,
              struct err *err) __attribute__((warn_unused_result));
void slot_clear(struct slot *slot);
void slots_init(struct job_run *j);
/* The slot of a step; NULL where the job is not serial, and slots are the caller's. */
struct slot *slots_get(struct job_run *j, uint32_t index);
/* Lowers the steps behind `index` and tells the engine of those that run in the same place, so that
 * it can hide the start of what comes next behind what runs now. What cannot be lowered now is
 * tried again, and reported, when its turn comes. */
void slots_look_ahead(struct job_run *j, const struct ctx *ctx, uint32_t index,
                      const struct lowering *step, const struct open_place *open);
/* When the places are closed. */
void slots_release(struct job_run *j);
