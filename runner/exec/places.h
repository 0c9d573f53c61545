/* The places of a job: one on each engine instance that its steps name, and another where they are
 * to have a workspace of their own; opened with the first of them and closed with the job.
 *
 * Threads: any. */
#pragma once

#include "base/gate.h"
#include "base/vec.h"
#include "exec/lowering.h"
#include "exec/run.h"

struct job_run;
struct services;

struct open_place {
    const struct engine *engine;
    struct engine_instance *instance;
    struct place *place;
    bool apart; /* with a workspace of its own */
    bool fresh; /* opened for the one who asked */
};

struct places {
    struct run *run;
    struct job_run *job_run;         /* whose they are */
    const struct services *services; /* which what runs in them can reach; NULL: none */
    struct gate opening; /* of one slot, guards `open`: who comes meanwhile may need the same */
    VEC(struct open_place)
    open;
    char *workspace; /* a directory of the job's own, to be removed; NULL: none. Likewise */
};

int places_init(struct places *places, struct job_run *job_run, struct err *err)
    __attribute__((warn_unused_result));
/* The place that the step `index` of the job runs in. */
int places_get(struct places *places, const struct ctx *ctx, const struct lowering *step,
               uint32_t index, struct open_place *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Opens, before any step has begun, the place of the first step that will run on the engine of
 * `url`, for the services of the job to run in it; ret->place is NULL when no step is known to. */
int places_open_for(struct places *places, const struct ctx *ctx, const char *url,
                    const struct runnable *const *services, size_t service_count,
                    struct open_place *ret, struct err *err) __attribute__((warn_unused_result));
/* All that are open, in the order of their opening; returns how many. *ret is for the caller to
 * free, and NULL if ctx has ended. */
size_t places_list(struct places *places, const struct ctx *ctx, struct open_place **ret);
/* Whether its files are those of the workdir, or it has none yet but will have these. */
bool open_place_shares_workdir(const struct open_place *open, const struct ctx *ctx);
/* Closes all. Also after places_init() has failed. */
void places_release(struct places *places);
