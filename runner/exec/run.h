/* What the parts of the executor share about one run; see exec.h for the public part. */
#pragma once

#include <stdatomic.h>

#include "exec/exec.h"
#include "exec/instances.h"
#include "log/pump.h"

struct run {
    const struct plan *plan;
    const struct exec_options *options;
    struct event_bus *bus;
    struct log_flusher *flusher;
    struct instances *instances;
    const struct ctx *ctx; /* the pipeline's */
    const char *id;
    bool cancelled;          /* see exec.h; of the thread that runs the stages */
    atomic_uint steps_run;   /* steps for which an engine gave an exit record */
    atomic_bool unavailable; /* some engine could not be reached */
};

/* lowering.c: what a step means, with nothing left to look up. */
struct lowering {
    struct step_lowered *lowered;
    char *url; /* of the engine that runs it */
    struct plan_settings settings;
    struct strmap identity;
};

/* *ret is zeroed before, and after a failure. `plan` is the run's, or one that differs from it in
 * its inputs; `node` the step's. */
int lowering_make(const struct run *run, const struct plan *plan, const struct plan_step *step,
                  const struct node *node, struct lowering *ret, struct err *err)
    __attribute__((warn_unused_result));
void lowering_release(struct lowering *lowering);

/* prefetch.c: has engines fetch the images of steps to come, in the background.
 *
 * NULL when there is nothing to do. What cannot be fetched is left to the step that needs it. */
struct prefetch;
struct prefetch *prefetch_start(struct run *run, const struct ctx *ctx, const struct node *root);
/* Ends what is under way, and frees. */
void prefetch_end(struct prefetch *prefetch);

/* stage.c: runs the jobs of a stage within their limits. */
/* How many of its jobs run at a time. */
uint32_t stage_width(const struct run *run, const struct plan_stage *stage);
void stage_run(struct run *run, const struct ctx *ctx, const struct plan_stage *stage,
               struct node *node);
/* job.c: runs the steps of a job in order. `skip` (may be NULL) says which are not for now. */
void job_run(struct run *run, const struct ctx *ctx, const struct plan_job *job, struct node *node,
             const bool *skip);

/* outcome.c: how things end. */

/* Ends a node because of an error of its own. */
void outcome_error(struct run *run, const struct ctx *ctx, struct node *node, const struct err *err,
                   const char *tail);
/* Ends a step by its exit record. */
void outcome_record(struct run *run, struct node *node, const struct exit_record *record,
                    const char *tail);
/* Whether it was the limit of `ctx`, not a tighter one below it, that the node ended by. */
bool outcome_is_timeout_of(const struct ctx *ctx, const struct node *node);
/* Whether the time of a context is up and nothing else ended it before. */
bool outcome_timed_out(const struct ctx *ctx);
/* Ends a node by the states of its children. */
void outcome_of_children(struct run *run, const struct ctx *ctx, struct node *node);
/* Ends a node that never started, and what is below it. */
void outcome_not_started(struct run *run, struct node *node, enum state state, enum reason reason);
/* The state of what comes after `failed` in the same list: skipped, or cancelled with its parent.
 */
void outcome_rest(struct run *run, const struct ctx *ctx, struct node *node);
/* "[stage(1/2): build] timeout: 60 seconds", for a limit that the file sets. */
void announce_timeout(struct run *run, const struct node *node, int64_t timeout_ms);
/* Label of a level for timeout messages: `stage "build"`; the caller frees. */
char *timeout_label(const struct node *node);
