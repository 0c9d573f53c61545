/* The caches of a job or step while it runs.
 *
 *     caching_restore(&caching, ctx, &scope, err)      before its first step, or before the step
 *     caching_save(&caching, ctx, outcome, …)          at its end
 *     caching_release(&caching)
 *
 * What goes wrong with a store or its contents is said in a note and is otherwise a cache that is
 * not there: it never fails a run. */
#pragma once

#include "base/vec.h"
#include "exec/places.h"
#include "exec/run.h"
#include "plan/settings.h"

struct cache_entry;

struct caching {
    struct run *run;
    const struct node *node; /* whose notes they are */
    const struct spec_cache *specs;
    size_t count;
    struct cache_entry *entries; /* `count` of them; NULL: nothing was restored */
    struct strvec restored;      /* paths of what has come into the workdir, of directories with a
                                    slash behind; only of a step's */
    bool of_step;
};

/* Expands the keys, which stay as they are until the end, and restores. -1: a string of the file
 * cannot be expanded, or the engine has no part in the workdir. */
int caching_restore(struct caching *caching, const struct ctx *ctx, const struct plan_scope *scope,
                    const struct plan_runtime *runtime, struct err *err)
    __attribute__((warn_unused_result));
/* A step that runs in a place with a workspace of its own, which was open before, gets there what
 * has been restored for it. */
void caching_deliver(struct caching *caching, const struct ctx *ctx,
                     const struct open_place *place);
/* `place` is that of the step; NULL: all that are open.
 *
 * `ctx` is that of the job or step: when it has ended, what is to be saved all the same has
 * EXEC_POST_BUDGET_MS. `failed`: it failed so that it counts, or was cancelled. */
void caching_save(struct caching *caching, const struct ctx *ctx, struct places *places,
                  const struct open_place *place, bool failed);
void caching_release(struct caching *caching);
