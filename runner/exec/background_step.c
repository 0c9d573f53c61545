/* A step in the background keeps its place in the tree, as running, until the job ends: for those
 * who look at their siblings it neither failed nor was cancelled, whatever becomes of it by itself
 * meanwhile. Only then it gets the state that it has earned, of which nothing counts. */
#include <stdlib.h>

#include "base/alloc.h"
#include "exec/job.h"

static void step_free(struct background_step *step)
{
    backgrounds_release(&step->group);
    context_runnable_release(&step->what);
    slot_clear(&step->slot);
    free(step->label);
    free(step);
}

static int start(struct job_run *j, const struct ctx *ctx, struct background_step *step,
                 struct caching *caching, struct err *err)
{
    struct background_what what = {.node = &j->node->children[step->index],
                                   .timeout_ms =
                                       plan_timeout_ms(&j->plan->steps[step->index].scope),
                                   .label = step->label};

    if (backgrounds_init(&step->group, j->run, err) < 0 ||
        slot_fill(j, ctx, &step->slot, step->index, err) < 0 ||
        places_get(&j->places, ctx, &step->slot.step, step->index, &what.open, err) < 0)
        return -1;
    caching_deliver(caching, ctx, &what.open);
    context_runnable_make(j, step->index, &step->slot.step, &step->what);
    what.runnable = &step->what.runnable;
    what.ready = step->slot.step.lowered->ready;
    return backgrounds_start(&step->group, ctx, &what, &step->background, err);
}

/* One that ended by itself before it was ready failed, even with exit code 0. */
static void outcome_of_early_end(const struct background *b, struct outcome *ret)
{
    char *error;

    outcome_of_record(&b->record, ret);
    error = xasprintf("ended before it was ready: %s", ret->error ? ret->error : "exit code 0");
    free(ret->error);
    ret->error = error;
    ret->state = STATE_FAILED;
    ret->result.error = error;
    if (ret->result.reason == REASON_NONE)
        ret->result.reason = REASON_ERROR;
}

bool background_step_start(struct job_run *j, const struct ctx *ctx, uint32_t index,
                           struct caching *caching, struct outcome *ret, char **ret_tail)
{
    struct background_step *step = xcalloc(1, sizeof(*step));
    const struct background *failed = NULL;
    struct err err = ERR_INIT;
    bool by_itself;

    step->index = index;
    step->group.changed_fd = -1;
    step->label = timeout_label(&j->node->children[index]);
    if (start(j, ctx, step, caching, &err) == 0 &&
        backgrounds_await(&step->group, ctx, &failed, &err) == 0) {
        pthread_mutex_lock(&j->mu);
        vec_push(&j->background, step);
        pthread_mutex_unlock(&j->mu);
        return true;
    }
    by_itself = failed && atomic_load(&failed->ended) && failed->result == 0;
    backgrounds_cancel(&step->group);
    backgrounds_join(&step->group);
    if (by_itself)
        outcome_of_early_end(failed, ret);
    else
        outcome_of_error(failed ? &failed->ctx : ctx, &err, ret);
    if (err.code == ERR_UNAVAILABLE)
        atomic_store(&j->run->unavailable, true);
    if (step->background)
        *ret_tail = steal_ptr(&step->background->tail);
    step_free(step);
    return false;
}

/* It was to end with the job, and did: that is no failure, whatever its exit code. */
static void outcome_of_stopped(const struct background *b, struct outcome *ret)
{
    *ret = (struct outcome){.state = STATE_SUCCEEDED,
                            .result = {.has_exit_code = b->record.kind != EXIT_LOST,
                                       .exit_code = b->record.code}};
}

static void end_step(struct job_run *j, struct background_step *step)
{
    struct background *b = step->background;
    struct node *node = &j->node->children[step->index];
    bool over = ctx_done(&j->ctx); /* perhaps not before `post`, which does not mind */
    struct outcome outcome;

    if (b->result < 0 && b->record.kind != EXIT_LOST)
        event_bus_note(j->run->bus, node, "stopped with its job: exit code %d", b->record.code);
    if (b->result == 0)
        outcome_of_record(&b->record, &outcome);
    else if (over && siblings_outcome(&j->steps, j->steps.count, &j->ctx) != PLAN_POST_SUCCESS)
        outcome = (struct outcome){.state = STATE_CANCELLED}; /* and not by itself */
    else if (over || b->err.code == ERR_CANCELLED)
        outcome_of_stopped(b, &outcome);
    else
        outcome_of_error(&b->ctx, &b->err, &outcome);
    if (b->out.outputs.err.code != ERR_NONE)
        event_bus_note(j->run->bus, node, "%s", b->out.outputs.err.message);
    node_add_outputs(j->run->bus, node, &b->out.outputs.maps[OUTPUTS_OUTPUT]);
    outcome.result.allowed = outcome.state == STATE_FAILED;
    if (outcome.state == STATE_FAILED)
        outcome.result.tail = b->tail;
    node_set_state(j->run->bus, node, outcome.state, &outcome.result);
    outcome_release(&outcome);
}

void background_steps_end(struct job_run *j)
{
    vec_foreach (struct background_step **, step, &j->background)
        backgrounds_cancel(&(*step)->group);
    vec_foreach (struct background_step **, step, &j->background) {
        backgrounds_join(&(*step)->group);
        end_step(j, *step);
        step_free(*step);
    }
}
