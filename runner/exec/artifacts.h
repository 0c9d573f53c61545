/* Artifacts of a run: what jobs and steps keep when they have ended, and what jobs take from others
 * before they begin. See artifact/artifact.h for what they are. */
#pragma once

#include "exec/places.h"
#include "exec/run.h"

/* The stores that are in use, and what has been kept so far. */
struct artifacts;

struct artifacts *artifacts_new(void);
/* Removes what has expired from the local store, if that was in use. NULL is fine. */
void artifacts_free(struct artifacts *artifacts);

/* Who keeps. */
struct artifacts_owner {
    const struct plan_job *job;
    const struct node *job_node;
    const struct plan_step *step;     /* NULL: the job itself */
    const struct node *node;          /* the step's, or the job's */
    const struct siblings *siblings;  /* of the step; NULL: none */
    uint32_t index;                   /* of the step among them */
    const struct strmap *environment; /* of its expressions; NULL: none */
    const char *apart;                /* as of places_apart(): its files are not to be had */
};

/* Fills owner->apart, if there is anything to keep; `ctx` may have ended. */
void artifacts_look_apart(struct artifacts_owner *owner, const struct ctx *ctx,
                          struct places *places);
/* What has ended as `outcome` says keeps its files, even if `ctx` has ended. A failure that counts
 * turns a success into a failure. */
void artifacts_keep(struct run *run, const struct ctx *ctx, const struct artifacts_owner *owner,
                    struct outcome *outcome);
/* Brings the files of other jobs into the workdir. */
int artifacts_take(struct run *run, const struct ctx *ctx, const struct plan_job *job,
                   const struct node *node, struct err *err) __attribute__((warn_unused_result));
