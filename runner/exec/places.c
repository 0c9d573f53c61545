#include "exec/places.h"

#include <stdlib.h>

int places_init(struct places *places, struct run *run, const struct node *job, struct err *err)
{
    *places = (struct places){.run = run, .job = job, .opening = {.event_fd = -1}};
    return gate_init(&places->opening, 1, err);
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

static bool find_place(struct places *places, struct open_place *ret)
{
    vec_foreach (struct open_place *, open, &places->open) {
        if (open->instance == ret->instance) {
            *ret = *open;
            return true;
        }
    }
    return false;
}

int places_get(struct places *places, const struct ctx *ctx, const char *url,
               struct open_place *ret, struct err *err)
{
    int result = 0;

    if (instances_get(places->run->instances, ctx, url, &ret->instance, &ret->engine, err) < 0) {
        if (!ctx_done(ctx))
            atomic_store(&places->run->unavailable, true);
        return -1;
    }
    if (gate_enter(ctx, &places->opening, err) < 0)
        return -1;
    if (!find_place(places, ret))
        result = open_place(places, ctx, ret, err);
    gate_leave(&places->opening);
    return result;
}

void places_release(struct places *places)
{
    vec_foreach (struct open_place *, open, &places->open)
        open->engine->close(open->place);
    vec_release(&places->open);
    gate_release(&places->opening);
}
