/* The places of a job: one on each engine instance that its steps name, opened with the first of
 * them and closed with the job.
 *
 * Threads: any. */
#pragma once

#include <pthread.h>

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
    pthread_mutex_t mu; /* held while a place is opened, too: who comes meanwhile needs the same */
    VEC(struct open_place)
    open; /* guarded by mu */
};

void places_init(struct places *places, struct run *run, const struct node *job);
/* The place on the engine with that URL. */
int places_get(struct places *places, const struct ctx *ctx, const char *url,
               struct open_place *ret, struct err *err) __attribute__((warn_unused_result));
/* Closes all; can be used again behind it. */
void places_close(struct places *places);
void places_release(struct places *places);
