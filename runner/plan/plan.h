/* The plan: the pipeline as an immutable tree in the order and shape in which it will run.
 *
 * The plan borrows from the specification, which must outlive it. It resolves what is inherited
 * and expands ${…} not once for all but when asked, plan_settings_resolve(), just before a step
 * starts: nothing is stored for 10,000 steps that one step needs, and what becomes known only
 * while the pipeline runs fits in the same place. plan_build() expands everything once, to find
 * the errors beforehand.
 *
 * The hooks `pre` and `post` of a pipeline become stages of one job.
 * Threads: immutable once built. Pure: no I/O.
 * Source: pipeline file reference, sections 1 to 3. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/map.h"
#include "spec/spec.h"

/* What the command line and the process contribute. Maps and strings are borrowed for the life of
 * the plan; any may be NULL. */
struct plan_inputs {
    const struct strmap *overrides;   /* -e: win over the file */
    const struct strmap *automatic;   /* PIPELINE_* as far as they are the same for all steps */
    const struct strmap *passthrough; /* the runner's environment as far as host steps see it */
    const char *engine;               /* --engine: the pipeline's default */
    const char *image;                /* --image: likewise */
    const char *workdir;              /* -w: wins over the file */
    const char *current_dir;          /* absolute; what relative workdirs are meant from */
    bool strict;                      /* unset names are errors */
};

struct plan_scope {
    const struct plan_scope *parent; /* NULL: the pipeline */
    const struct spec_common *common;
};

struct plan_step {
    struct plan_scope scope;
    const struct spec_step *spec;
    char *name;
};

struct plan_job {
    struct plan_scope scope;
    char *name;
    struct plan_step *steps;
    uint32_t step_count;
};

/* When a step of the stage `post` runs. */
enum plan_post { PLAN_POST_SUCCESS, PLAN_POST_FAILURE, PLAN_POST_CANCELLED, PLAN_POST_ALWAYS };

enum plan_stage_kind { PLAN_STAGE, PLAN_STAGE_PRE, PLAN_STAGE_POST };

struct plan_stage {
    struct plan_scope scope;
    char *name;
    enum plan_stage_kind kind;
    bool serial;
    bool fail_fast;
    uint32_t max_parallel; /* 0: no limit of its own */
    struct plan_job *jobs;
    uint32_t job_count;
};

struct plan {
    struct plan_scope scope;
    const struct spec_pipeline *spec;
    struct plan_inputs inputs;
    char *name;
    char *workdir;             /* absolute */
    struct strmap automatic;   /* inputs.automatic, PIPELINE_NAME and PIPELINE_WORKDIR */
    struct plan_stage *stages; /* in the order of running, hooks included */
    uint32_t stage_count;
    /* Specifications of the hooks' steps; those of `post` by enum plan_post, NULL command: none. */
    struct spec_common no_settings;
    struct spec_step pre;
    struct spec_step post[4];
};

/* Adds what is wrong to diags; NULL when there was an error among it. */
struct plan *plan_build(const struct spec_pipeline *spec, const struct plan_inputs *inputs,
                        struct diag_list *diags);
void plan_free(struct plan *plan);
/* Which outcome a step of the stage `post` is for. */
enum plan_post plan_post_of(const struct plan *plan, const struct plan_step *step);

#define CLEANUP_PLAN CLEANUP(plan_cleanup)

static inline void plan_cleanup(struct plan **plan)
{
    plan_free(*plan);
}

/* The nearest limit that the scope itself sets; 0: none. */
int64_t plan_timeout_ms(const struct plan_scope *scope);
