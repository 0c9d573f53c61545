/* What the parts of the executor share about one run; see exec.h for the public part. */
#pragma once

#include <stdatomic.h>

#include "exec/exec.h"
#include "exec/instances.h"
#include "exec/limit.h"
#include "log/pump.h"

struct artifacts;
struct deployments;
struct fan_out;
struct services;

struct run {
    const struct plan *plan;
    const struct exec_options *options;
    struct event_bus *bus;
    struct log_flusher *flusher;
    struct instances *instances;
    struct stores *stores;
    const struct ctx *ctx; /* the pipeline's */
    struct node *root;
    struct limit *jobs; /* how many jobs run at a time in the whole pipeline */
    struct artifacts *artifacts;
    struct deployments *deployments;
    const char *id;
    const struct services *services; /* of the pipeline; NULL: none */
    bool cancelled;                  /* see exec.h; of the thread that runs the stages */
    atomic_uint steps_run;           /* steps for which an engine gave an exit record */
    atomic_bool unavailable;         /* some engine could not be reached */
};

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
/* `ctx` is the one that ends it; of a hook, `outcome` is what it is for. */
void stage_run(struct run *run, const struct ctx *ctx, const struct plan_stage *stage,
               struct node *node, enum plan_post outcome);
/* job.c: runs the steps of a job. `outcome` likewise; `fan_out`: what the job is one of, NULL: of
 * nothing. */
void job_run(struct run *run, const struct ctx *ctx, const struct plan_job *job, struct node *node,
             enum plan_post outcome, struct fan_out *fan_out);

/* secrets.c: has the run's mask hide more than the secrets that were known before the run. */
void secrets_say_too_large(const struct run *run);
/* Those that a step which is about to start will use: all, whatever they are made of. */
void secrets_mask_step(const struct run *run, const char *engine_url,
                       const struct step_lowered *lowered);
/* The lines of a $PIPELINE_MASK. *said keeps a remark from being made twice. ERR_LIMIT,
 * ERR_INVALID: not all of it can be hidden. */
int secrets_mask_lines(struct event_bus *bus, const struct node *node, enum returned_state state,
                       const char *data, size_t size, bool *said, struct err *err)
    __attribute__((warn_unused_result));

/* outcome.c: how things end. */

struct outcome {
    enum state state;
    struct node_result result; /* its strings are those below, or borrowed */
    const struct node *failed; /* of a level: the child by which it failed; else NULL */
    bool ignored;              /* a failure that does not count, whatever `flow` says */
    char *error;
    char *message;
    char *tail; /* may be NULL, and that of `result` another one */
};

void outcome_release(struct outcome *outcome);
/* By an error of its own. The strings of *ret are to be released. */
void outcome_of_error(const struct ctx *ctx, const struct err *err, struct outcome *ret);
/* By the exit record of a step. */
void outcome_of_record(const struct exit_record *record, struct outcome *ret);
/* Whether a child was meant to run but did not, or not to its end, because the context of its
 * parent ended. */
bool outcome_was_cut_short(const struct ctx *ctx, const struct node *child);
/* By the states of the children; `ctx` is that of the node. */
void outcome_of_children(const struct ctx *ctx, const struct node *node, struct outcome *ret);
/* Whether outcome_apply() will end the node with a failure that counts. */
bool outcome_counts(const struct ctx *above, const struct node *node, const struct plan_flow *flow,
                    const struct outcome *outcome);
/* Ends the node; whether a failure counts is for `flow` (may be NULL) to say, unless the time of
 * `above` was up, the context of the level above: that always counts. NULL: there is none. */
void outcome_apply(struct run *run, const struct ctx *above, struct node *node,
                   const struct plan_flow *flow, struct outcome *outcome);
/* Ends a node because of an error of its own, met with the context of the level above. */
void outcome_error(struct run *run, const struct ctx *above, struct node *node,
                   const struct plan_flow *flow, const struct err *err);
/* Whether it was the limit of `ctx`, not a tighter one below it, that the node ended by. */
bool outcome_is_timeout_of(const struct ctx *ctx, const struct node *node);
/* Whether the time of a context is up and nothing else ended it before. */
bool outcome_timed_out(const struct ctx *ctx);
/* Ends a node that never started, and what is below it. `why` (may be NULL) is for people. */
void outcome_not_started(struct run *run, struct node *node, enum state state, enum reason reason,
                         const char *why);
/* The state of what comes after `failed` in the same list: skipped, or cancelled with its parent.
 */
void outcome_rest(struct run *run, const struct ctx *ctx, struct node *node);
/* Ends, not started, everything below a node. */
void outcome_children_not_started(struct run *run, struct node *node);
/* "[stage(1/2): build] timeout: 60 seconds", for a limit that the file sets. */
void announce_timeout(struct run *run, const struct node *node, int64_t timeout_ms);
/* Label of a level for timeout messages: `stage "build"`; the caller frees. */
char *timeout_label(const struct node *node);
