/* The places of a job: one on each engine instance that its steps name, opened with the first of
 * them and closed with the job.
 *
 * Threads: any. */
#pragma once

#include "base/gate.h"
#include "base/vec.h"
#include "exec/run.h"

struct open_place {
    const struct engine *engine;
    struct engine_instance *instance;
    struct place *place;
};

struct places {
    struct run *run;
    const struct node *job;
    struct gate opening; /* of one slot, guards `open`: who comes meanwhile may need the same */
    VEC(struct open_place)
    open;
};

int places_init(struct places *places, struct run *run, const struct node *job, struct err *err)
    __attribute__((warn_unused_result));
/* The place on the engine with that URL. */
int places_get(struct places *places, const struct ctx *ctx, const char *url,
               struct open_place *ret, struct err *err) __attribute__((warn_unused_result));
/* Closes all. Also after places_init() has failed. */
void places_release(struct places *places);
