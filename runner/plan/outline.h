/* What is known of a plan before it runs: what certainly will not run and why, and which steps the
 * time of the whole run hangs on.
 *
 *     struct outline *root = outline_build(plan);
 *     outline_estimate(root, duration_of, arg);
 *     ... root->children ...
 *     outline_free(root);
 *
 * Pure. The tree borrows from the plan. */
#pragma once

#include "plan/plan.h"
#include "spec/state.h"

enum outline_level { OUTLINE_PIPELINE, OUTLINE_STAGE, OUTLINE_JOB, OUTLINE_STEP };

struct outline {
    const struct outline *up; /* NULL: the pipeline */
    enum outline_level level;
    uint32_t index; /* among its siblings */
    const char *name;
    const struct plan_scope *scope;
    const struct plan_flow *flow;   /* NULL: nothing is said */
    const struct plan_job *job;     /* OUTLINE_JOB */
    const struct plan_step *step;   /* OUTLINE_STEP */
    const struct plan_stage *stage; /* OUTLINE_STAGE */
    enum plan_kind kind;
    enum plan_order order; /* of the children */
    struct outline *children;
    uint32_t count;
    char *skipped;      /* why it will not run; NULL: it can, as far as it is concerned itself */
    enum reason reason; /* of `skipped` */
    bool runs;          /* it will, if all goes well; else it and all below it will not */
    int64_t cost;       /* estimate, see outline_estimate() */
    bool is_measured;   /* it comes from earlier runs alone */
    bool is_critical;   /* it is on the critical path */
};

/* Conditions count whose value does not need the run: constants, `matrix`, and variables that no
 * step can change any more. */
struct outline *outline_build(const struct plan *plan);
void outline_free(struct outline *root);

/* Fills costs, and marks the critical path: the chain of steps on which the end of the run depends,
 * if nothing waits for a limit such as max_parallel. `duration_of` says how long a step took
 * before, in milliseconds, -1 if that is not known; such a step is taken to be like the average of
 * the others. NULL: every step costs 1. */
void outline_estimate(struct outline *root,
                      int64_t (*duration_of)(void *arg, const struct outline *step), void *arg);
/* The children in an order in which each comes after all that it depends on; the caller frees. */
uint32_t *outline_sorted(const struct outline *parent);

/* What waits for what among siblings, without what follows from other edges in the case of hooks
 * and `finally`, which wait for everything. */
struct outline_edge {
    uint32_t from;
    uint32_t to;
    enum spec_condition condition; /* SPEC_CONDITION_SUCCEEDED also for order alone */
};

struct outline_edges {
    struct outline_edge *items;
    size_t len;
    size_t cap;
};

/* *ret, which is empty, is to be released with vec_release(). */
void outline_edges(const struct outline *parent, struct outline_edges *ret);
