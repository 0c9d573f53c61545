/* Runs and jobs that exclude each other: `concurrency`. */
#pragma once

#include "exec/run.h"
#include "own/group.h"
#include "plan/settings.h"

/* Waits until it may go on, and tells who is before it as notes of `node`, a job or the pipeline,
 * with its scope. *ret is NULL when it is in no group (`concurrency` may be NULL); else it is to be
 * left by own_group_leave() when the node has ended. */
int concurrency_enter(struct run *run, const struct ctx *ctx,
                      const struct spec_concurrency *concurrency, const struct plan_scope *scope,
                      struct node *node, struct own_group **ret, struct err *err)
    __attribute__((warn_unused_result));
