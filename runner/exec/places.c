#include "exec/places.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "exec/services.h"

int places_init(struct places *places, struct run *run, const struct node *job, struct err *err)
{
    *places = (struct places){.run = run, .job = job, .opening = {.event_fd = -1}};
    return gate_init(&places->opening, 1, err);
}

static int open_place(struct places *places, const struct ctx *ctx, const struct lowering *step,
                      struct open_place *ret, struct err *err)
{
    CLEANUP_BUF struct buf id = BUF_INIT;
    struct place_options options = {.name = places->job->name,
                                    .workspace = places->run->plan->workdir,
                                    .empty = step->apart && !step->workspace};
    struct place *services[PLACE_SERVICES_MAX];

    node_id(places->job, places->run->id, &id);
    options.id = id.data;
    ret->apart = step->apart;
    if (step->workspace) {
        if (fs_mkdir_p(step->workspace, 0777, err) < 0)
            return -1;
        options.workspace = step->workspace;
        free(places->workspace);
        places->workspace = xstrdup(step->workspace);
    }
    options.services_of = services;
    options.services_of_count = services_places(places->services, ret->instance, services);
    if (ret->engine->open(ctx, ret->instance, &options, &ret->place, err) < 0)
        return -1;
    vec_push(&places->open, *ret);
    return 0;
}

static bool find_place(struct places *places, bool apart, struct open_place *ret)
{
    vec_foreach (struct open_place *, open, &places->open) {
        if (open->instance == ret->instance && open->apart == apart) {
            *ret = *open;
            return true;
        }
    }
    return false;
}

int places_get(struct places *places, const struct ctx *ctx, const struct lowering *step,
               struct open_place *ret, struct err *err)
{
    int result = 0;

    if (instances_get(places->run->instances, ctx, step->url, &ret->instance, &ret->engine, err) <
        0) {
        if (!ctx_done(ctx))
            atomic_store(&places->run->unavailable, true);
        return -1;
    }
    if (gate_enter(ctx, &places->opening, err) < 0)
        return -1;
    if (!find_place(places, step->apart, ret))
        result = open_place(places, ctx, step, ret, err);
    gate_leave(&places->opening);
    return result;
}

static void remove_workspace(struct places *places)
{
    struct err err = ERR_INIT;

    if (!places->workspace)
        return;
    if (places->run->options->keep)
        event_bus_note(places->run->bus, places->job, "workspace kept: %s", places->workspace);
    else if (fs_remove_tree(places->workspace, &err) < 0)
        event_bus_note(places->run->bus, places->job, "the workspace could not be removed: %s",
                       err.message);
    free(places->workspace);
}

const char *places_apart(struct places *places, const struct ctx *ctx)
{
    const char *found = NULL;
    size_t count;

    if (gate_enter(ctx, &places->opening, NULL) < 0)
        return NULL;
    count = places->open.len;
    for (size_t i = 0; i < count && !found; i++) {
        const struct open_place *open = &places->open.items[i];

        if (open->apart || !open->engine->shares_workspace ||
            !open->engine->shares_workspace(ctx, open->place))
            found = open->engine->name;
    }
    gate_leave(&places->opening);
    return found;
}

void places_release(struct places *places)
{
    vec_foreach (struct open_place *, open, &places->open)
        open->engine->close(open->place);
    remove_workspace(places);
    vec_release(&places->open);
    gate_release(&places->opening);
}
