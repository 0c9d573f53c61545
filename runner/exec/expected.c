#include "exec/expected.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/logger.h"
#include "exec/job.h"

struct expected_step {
    struct values values;
    struct plan_runtime runtime;
    struct lowering lowering;
};

void expected_begin(struct expected *ret, struct job_run *j, const struct ctx *ctx)
{
    ret->job_run = j;
    ret->ctx = ctx;
    ret->plan = *j->run->plan;
    ret->plan.inputs.strict = true;
    ret->plan.inputs.ahead = true;
    ret->plan.inputs.incomplete = true;
    job_environment(j, &ret->environment);
}

/* Whether the step may still run. */
static bool is_to_come(const struct job_run *j, uint32_t index)
{
    const struct plan_step *step = &j->plan->steps[index];
    bool ended;

    pthread_mutex_lock(&j->run->bus->mu);
    ended = state_is_final((enum state)j->node->children[index].state);
    pthread_mutex_unlock(&j->run->bus->mu);
    return !ended && (j->plan->kind != PLAN_POST || step->post == PLAN_POST_ALWAYS ||
                      step->post == j->outcome);
}

/* NULL: it cannot be lowered yet, or will not run any more. */
static const struct lowering *lower(struct expected *e, uint32_t index)
{
    struct job_run *j = e->job_run;
    struct expected_step *step;
    struct err err = ERR_INIT;

    if (!is_to_come(j, index))
        return NULL;
    step = xcalloc(1, sizeof(*step));
    step->values = (struct values){.run = j->run,
                                   .ctx = e->ctx,
                                   .job = j->plan,
                                   .job_node = j->node,
                                   .index = index,
                                   .ahead = true};
    values_init(&step->runtime, &step->values, &e->environment);
    if (lowering_make(j->run, &e->plan, &j->plan->steps[index], &j->node->children[index],
                      &step->runtime, 1, j->places.services, &step->lowering, &err) == 0) {
        vec_push(&e->steps, step);
        return &step->lowering;
    }
    log_debug("exec", "step \"%s\" is not expected: %s", j->plan->steps[index].name, err.message);
    free(step);
    return NULL;
}

static bool is_background(const struct job_run *j, uint32_t index)
{
    return j->plan->steps[index].spec->background == SPEC_TRUE;
}

const struct lowering *expected_add_steps(struct expected *e, const char *url,
                                          const struct lowering *given, uint32_t index)
{
    const struct job_run *j = e->job_run;
    const struct lowering *first = given;
    bool background = false;
    size_t count = 0;

    for (uint32_t i = 0; i < j->plan->step_count; i++) {
        const struct lowering *step = given && i == index ? given : lower(e, i);

        if (!step || strcmp(step->url, url) != 0 || (first && step->apart != first->apart))
            continue;
        first = first ? first : step;
        vec_push(&e->runnables, &step->lowered->runnable);
        background = background || is_background(j, i);
        count++;
    }
    /* Side by side run steps that are in no order, and those in the background with others. */
    e->overlapping = count > 1 && (background || j->plan->order != PLAN_ORDER_SERIAL);
    return first;
}

void expected_release(struct expected *e)
{
    vec_foreach (struct expected_step **, step, &e->steps) {
        lowering_release(&(*step)->lowering);
        free(*step);
    }
    vec_release(&e->steps);
    vec_release(&e->runnables);
    strmap_release(&e->environment);
}
