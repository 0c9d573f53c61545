/* Artifacts of a run: what jobs and steps keep when they have ended, and what jobs take from others
 * before they begin. See artifact/artifact.h for what they are. */
#pragma once

#include "exec/collection.h"
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
    struct collection files;          /* where they are; filled by artifacts_collect() */
    struct err missing;               /* why not all of them are */
};

/* Brings the files of what has ended as `state` says, while its places are open: that of a step, or
 * (`place` NULL) all of them. `ctx` may have ended. The caller ends owner->files. */
void artifacts_collect(struct run *run, const struct ctx *ctx, struct artifacts_owner *owner,
                       struct places *places, const struct open_place *place, enum state state);
/* What has ended as `outcome` says keeps its files, even if `ctx` has ended. A failure that counts
 * turns a success into a failure. */
void artifacts_keep(struct run *run, const struct ctx *ctx, const struct artifacts_owner *owner,
                    struct outcome *outcome);
/* Keeps all that is in a directory, in the local store, for as long as artifacts are usually kept.
 */
int artifacts_keep_directory(struct run *run, const struct ctx *ctx,
                             const struct artifacts_owner *owner, const char *directory,
                             const char *name, struct err *err) __attribute__((warn_unused_result));
/* Brings the files of other jobs into the workdir. */
int artifacts_take(struct run *run, const struct ctx *ctx, const struct plan_job *job,
                   const struct node *node, struct err *err) __attribute__((warn_unused_result));
