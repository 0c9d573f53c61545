/* The places of a job: one on each engine instance that its steps name, and another where they are
 * to have a workspace of their own; opened with the first of them and closed with the job.
 *
 * Threads: any. */
#pragma once

#include "base/gate.h"
#include "base/vec.h"
#include "exec/lowering.h"
#include "exec/run.h"

struct services;

struct open_place {
    const struct engine *engine;
    struct engine_instance *instance;
    struct place *place;
    bool apart; /* with a workspace of its own */
};

struct places {
    struct run *run;
    const struct node *job;
    const struct services *services; /* which what runs in them can reach; NULL: none */
    struct gate opening; /* of one slot, guards `open`: who comes meanwhile may need the same */
    VEC(struct open_place)
    open;
    char *workspace; /* a directory of the job's own, to be removed; NULL: none. Likewise */
};

int places_init(struct places *places, struct run *run, const struct node *job, struct err *err)
    __attribute__((warn_unused_result));
/* The place that the step runs in. */
int places_get(struct places *places, const struct ctx *ctx, const struct lowering *step,
               struct open_place *ret, struct err *err) __attribute__((warn_unused_result));
/* The name of an engine whose place works on a copy of the workdir; NULL: there is none. */
const char *places_apart(struct places *places, const struct ctx *ctx);
/* Closes all. Also after places_init() has failed. */
void places_release(struct places *places);
