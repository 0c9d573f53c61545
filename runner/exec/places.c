#include "exec/places.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "exec/expected.h"
#include "exec/job.h"

int places_init(struct places *places, struct job_run *job_run, struct err *err)
{
    *places = (struct places){.run = job_run->run, .job_run = job_run, .opening = {.event_fd = -1}};
    return gate_init(&places->opening, 1, err);
}

/* A directory of the job's own on this machine. */
static int make_workspace(struct places *places, const char *path, struct err *err)
{
    if (fs_mkdir_p(path, 0777, err) < 0)
        return -1;
    free(places->workspace);
    places->workspace = xstrdup(path);
    return 0;
}

/* `step` is one that will run in it; `expected` is only for ENGINE_PODS. */
static int open_place(struct places *places, const struct ctx *ctx, const struct lowering *step,
                      const struct expected *expected, struct open_place *ret, struct err *err)
{
    const struct job_run *j = places->job_run;
    CLEANUP_BUF struct buf id = BUF_INIT;
    struct place_options options = {.name = j->node->name,
                                    .workspace = places->run->plan->workdir,
                                    .empty = step->apart && !step->workspace,
                                    .expected = expected->runnables.items,
                                    .expected_count = expected->runnables.len,
                                    .overlapping = expected->overlapping,
                                    .kubernetes = step->settings.kubernetes,
                                    .timeout_ms = plan_timeout_ms(&j->plan->scope),
                                    .schedule_timeout_ms = plan_schedule_timeout_ms(j->plan)};
    struct place *services[PLACE_SERVICES_MAX];

    node_id(j->node, places->run->id, &id);
    options.id = id.data;
    ret->apart = step->apart;
    if (step->workspace) {
        if (make_workspace(places, step->workspace, err) < 0)
            return -1;
        options.workspace = step->workspace;
    }
    options.services_of = services;
    options.services_of_count = services_places(places->services, ret->instance, services);
    if (ret->engine->open(ctx, ret->instance, &options, &ret->place, err) < 0)
        return -1;
    ret->fresh = true;
    vec_push(&places->open, *ret);
    return 0;
}

static bool find_place(struct places *places, bool apart, struct open_place *ret)
{
    vec_foreach (struct open_place *, open, &places->open) {
        if (open->instance == ret->instance && open->apart == apart) {
            *ret = *open;
            ret->fresh = false;
            return true;
        }
    }
    return false;
}

static int open_for_step(struct places *places, const struct ctx *ctx, const struct lowering *step,
                         uint32_t index, struct open_place *ret, struct err *err)
{
    struct expected expected = {0};
    int result;

    if (ret->engine->capabilities & ENGINE_PODS) {
        expected_begin(&expected, places->job_run, ctx);
        expected_add_steps(&expected, step->url, step, index);
    }
    result = open_place(places, ctx, step, &expected, ret, err);
    expected_release(&expected);
    return result;
}

int places_get(struct places *places, const struct ctx *ctx, const struct lowering *step,
               uint32_t index, struct open_place *ret, struct err *err)
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
        result = open_for_step(places, ctx, step, index, ret, err);
    gate_leave(&places->opening);
    return result;
}

int places_open_for(struct places *places, const struct ctx *ctx, const char *url,
                    const struct runnable *const *services, size_t service_count,
                    struct open_place *ret, struct err *err)
{
    struct expected expected = {0};
    const struct lowering *step;
    int result = 0;

    *ret = (struct open_place){0};
    expected_begin(&expected, places->job_run, ctx);
    for (size_t i = 0; i < service_count; i++)
        vec_push(&expected.runnables, services[i]);
    step = expected_add_steps(&expected, url, NULL, 0);
    if (step)
        result = instances_get(places->run->instances, ctx, url, &ret->instance, &ret->engine, err);
    if (step && result == 0 && (result = gate_enter(ctx, &places->opening, err)) == 0) {
        result = open_place(places, ctx, step, &expected, ret, err);
        gate_leave(&places->opening);
    }
    expected_release(&expected);
    return result;
}

static void remove_workspace(struct places *places)
{
    struct err err = ERR_INIT;

    if (!places->workspace)
        return;
    if (places->run->options->keep)
        event_bus_note(places->run->bus, places->job_run->node, "workspace kept: %s",
                       places->workspace);
    else if (fs_remove_tree(places->workspace, &err) < 0)
        event_bus_note(places->run->bus, places->job_run->node,
                       "the workspace could not be removed: %s", err.message);
    free(places->workspace);
}

size_t places_list(struct places *places, const struct ctx *ctx, struct open_place **ret)
{
    size_t count;

    *ret = NULL;
    if (gate_enter(ctx, &places->opening, NULL) < 0)
        return 0;
    count = places->open.len;
    *ret = xcalloc(count + 1, sizeof(**ret));
    for (size_t i = 0; i < count; i++)
        (*ret)[i] = places->open.items[i];
    gate_leave(&places->opening);
    return count;
}

bool open_place_shares_workdir(const struct open_place *open, const struct ctx *ctx)
{
    return !open->apart && open->engine->shares_workspace &&
           open->engine->shares_workspace(ctx, open->place);
}

void places_release(struct places *places)
{
    vec_foreach (struct open_place *, open, &places->open)
        open->engine->close(open->place);
    remove_workspace(places);
    vec_release(&places->open);
    gate_release(&places->opening);
}
