/* What steps with a `service` bring up for longer than their job: places on the engines that do
 * that, one on each for each stage that has such, and for the pipeline. What lives no longer than
 * its job is in the places of the job (places.h).
 *
 * Threads: steps of several jobs may ask at a time; a scope is closed when nothing in it runs any
 * more. */
#pragma once

#include "exec/lowering.h"
#include "exec/places.h"

struct deployments;

struct deployments *deployments_new(struct run *run, struct err *err);
/* The level that the deployment of a step lives as long as; NULL: its job, or for ever. */
const struct node *deployments_scope(const struct plan_step *step, const struct node *node);
/* The place for what lives as long as `scope`; it stays with the table. */
int deployments_get(struct deployments *deployments, const struct ctx *ctx,
                    const struct node *scope, const struct lowering *step, struct open_place *ret,
                    struct err *err) __attribute__((warn_unused_result));
/* Removes what lives as long as `scope`. */
void deployments_close(struct deployments *deployments, const struct node *scope);
/* When all scopes are closed. NULL is fine. */
void deployments_free(struct deployments *deployments);
