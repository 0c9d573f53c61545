/* The services of a pipeline or a job: containers that run as long as it does.
 *
 *     services_start(run, ctx, &what, &services, &end)    returns when all of them are ready
 *     … services_environment() for each step …
 *     services_stop(services)
 *
 * They do not end with the context of their level, as what runs last, `post` and `finally`, may
 * need them, too. What they print is output of a node of their own, which is no part of the tree.
 * Threads: between start and stop any may look. */
#pragma once

#include "exec/run.h"

struct services;

/* Everything is borrowed until services_stop(). */
struct services_what {
    const struct spec_services *spec;
    const struct plan_scope *scope; /* the level that they stand on */
    const struct plan_runtime *runtime;
    struct node *node;            /* likewise */
    struct places *places;        /* in which nothing is open yet */
    const struct services *outer; /* those of the level above; or NULL */
};

/* *ret is NULL when there are none. On failure *ret_end says how the level ends, with the last
 * lines of the service that did not become ready; its strings go to the caller. */
int services_start(struct run *run, const struct ctx *ctx, const struct services_what *what,
                   struct services **ret, struct outcome *ret_end)
    __attribute__((warn_unused_result));
/* Ends and frees them, when nothing that uses them is open any more; NULL is fine. */
void services_stop(struct services *services);

/* Adds where they, and those of the levels above, can be found; `local`: by steps that run where
 * this process does. NULL: none. */
void services_environment(const struct services *services, bool local, struct strmap *environment);
/* The places on an instance in which they, and those of the levels above, run; returns how many. */
size_t services_places(const struct services *services, const struct engine_instance *instance,
                       struct place *ret[PLACE_SERVICES_MAX]);
