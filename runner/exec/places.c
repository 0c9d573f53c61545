#include "exec/places.h"

#include <stdlib.h>

void places_init(struct places *places, struct run *run, const struct node *job)
{
    *places = (struct places){.run = run, .job = job, .mu = PTHREAD_MUTEX_INITIALIZER};
}

static int open_place(struct places *places, const struct ctx *ctx, struct open_place *ret,
                      struct err *err)
{
    CLEANUP_BUF struct buf id = BUF_INIT;
    struct place_options options = {.name = places->job->name,
                                    .workspace = places->run->plan->workdir};

    node_id(places->job, places->run->id, &id);
    options.id = id.data;
    if (ret->engine->open(ctx, ret->instance, &options, &ret->place, err) < 0)
        return -1;
    vec_push(&places->open, *ret);
    return 0;
}

int places_get(struct places *places, const struct ctx *ctx, const char *url,
               struct open_place *ret, struct err *err)
{
    bool found = false;
    int result = 0;

    if (instances_get(places->run->instances, ctx, url, &ret->instance, &ret->engine, err) < 0) {
        if (!ctx_done(ctx))
            atomic_store(&places->run->unavailable, true);
        return -1;
    }
    pthread_mutex_lock(&places->mu);
    vec_foreach (struct open_place *, open, &places->open) {
        if (open->instance == ret->instance) {
            *ret = *open;
            found = true;
        }
    }
    if (!found)
        result = open_place(places, ctx, ret, err);
    pthread_mutex_unlock(&places->mu);
    return result;
}

void places_close(struct places *places)
{
    vec_foreach (struct open_place *, open, &places->open)
        open->engine->close(open->place);
    places->open.len = 0;
}

void places_release(struct places *places)
{
    places_close(places);
    vec_release(&places->open);
    pthread_mutex_destroy(&places->mu);
}
