/* The services of a pipeline or a job: containers that run as long as it does.
 *
 *     services_start(run, ctx, &what, &services, &end)    returns when all of them are ready
 *     … services_environment() for each step …
 *     services_stop(services)                             their programs have ended
 *     services_free(services)
 *
 * They do not end with the context of their level, as what runs last, `post` and `finally`, may
 * need them, too. What they print is output of a node of their own, which is no part of the tree.
 * Threads: between start and stop any may look. */
#pragma once

#include "exec/run.h"

struct places;
struct services;

/* Everything is borrowed until services_free(). */
struct services_what {
    const struct spec_services *spec;
    const struct plan_scope *scope; /* the level that they stand on */
    const struct plan_runtime *runtime;
    struct node *node;            /* likewise */
    struct places *places;        /* of the job, in which nothing is open yet; NULL: of no job */
    const struct services *outer; /* those of the level above; or NULL */
};

/* Where places are pods, those of a job run beside its steps; else in a place of their own.
 *
 * *ret is NULL when there are none. On failure *ret_end says how the level ends, with the last
 * lines of the service that did not become ready; its strings go to the caller. */
int services_start(struct run *run, const struct ctx *ctx, const struct services_what *what,
                   struct services **ret, struct outcome *ret_end)
    __attribute__((warn_unused_result));
/* Ends them, when nothing that uses them runs any more, and before the places that were given are
 * closed. NULL is fine, also for the next. */
void services_stop(struct services *services);
/* When no place that can reach them is open any more: closes their own. */
void services_free(struct services *services);

/* Adds where they, and those of the levels above, can be found; `local`: by steps that run where
 * this process does. NULL: none. */
void services_environment(const struct services *services, bool local, struct strmap *environment);
/* The places on an instance in which they, and those of the levels above, run; returns how many. */
size_t services_places(const struct services *services, const struct engine_instance *instance,
                       struct place *ret[PLACE_SERVICES_MAX]);
