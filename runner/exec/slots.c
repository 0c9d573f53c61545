#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/logger.h"
#include "exec/job.h"

/* How many steps are lowered and announced beyond the running one, unless that was in vain so often
 * because each step changes the environment of the next: what was announced takes memory, and the
 * engine time, until the end of the job. */
enum { LOOKAHEAD = 2, SLOTS = LOOKAHEAD + 1, OUTDATED_MAX = 16 };

void slots_init(struct job_run *j)
{
    if (j->plan->order == PLAN_ORDER_SERIAL)
        j->slots = xcalloc(SLOTS, sizeof(*j->slots));
}

struct slot *slots_get(struct job_run *j, uint32_t index)
{
    return j->slots ? &j->slots[index % SLOTS] : NULL;
}

void slot_clear(struct slot *slot)
{
    lowering_release(&slot->step);
    strmap_release(&slot->environment);
    *slot = (struct slot){0};
}

void slots_release(struct job_run *j)
{
    for (uint32_t i = 0; j->slots && i < SLOTS; i++)
        slot_clear(&j->slots[i]);
    free(j->slots);
    vec_foreach (struct lowering *, step, &j->outdated)
        lowering_release(step);
    vec_release(&j->outdated);
}

/* No values that the file computes from what may be secret, and of the engine no address. */
static void log_settings(const struct run *run, const struct lowering *step)
{
    const struct engine *engine = engine_find(run->options->engines, step->url);
    const struct plan_settings *s = &step->settings;

    log_debug("exec",
              "%s: step \"%s\": engine %s, image %s, workdir %s, user %s, shell %s, "
              "%u variables, grace %lld ms",
              step->lowered->runnable.id, step->lowered->runnable.name, engine ? engine->name : "?",
              s->image ? s->image : "-", s->workdir, s->user ? s->user : "-",
              s->shell ? s->shell : "-", (unsigned)s->environment.len, (long long)s->grace_ms);
}

/* Empties a slot whose step was skipped, or lowered before an earlier one changed the environment.
 */
static void drop_outdated(struct job_run *j, struct slot *slot, uint32_t index)
{
    bool outdated;

    pthread_mutex_lock(&j->mu);
    outdated = slot->step.lowered &&
               (slot->values.index != index || slot->environment_version != j->environment_version);
    if (outdated && slot->announced) {
        vec_push(&j->outdated, slot->step);
        slot->step = (struct lowering){0};
    }
    pthread_mutex_unlock(&j->mu);
    if (outdated)
        slot_clear(slot);
}

int slot_fill(struct job_run *j, const struct ctx *ctx, struct slot *slot, uint32_t index,
              struct err *err)
{
    uint32_t attempt = j->node->children[index].attempt;

    drop_outdated(j, slot, index);
    if (slot->step.lowered)
        return 0;
    slot->environment_version = job_environment(j, &slot->environment);
    slot->values = (struct values){.run = j->run,
                                   .ctx = ctx,
                                   .job = j->plan,
                                   .job_node = j->node,
                                   .siblings = &j->steps,
                                   .index = index};
    values_init(&slot->runtime, &slot->values, &slot->environment);
    if (lowering_make(j->run, j->run->plan, &j->plan->steps[index], &j->node->children[index],
                      &slot->runtime, attempt ? attempt : 1,
                      j->services ? j->services : j->run->services, &slot->step, err) < 0) {
        slot_clear(slot);
        return -1;
    }
    slot->values.ctx = NULL; /* which may end before the slot is empty */
    log_settings(j->run, &slot->step);
    return 0;
}

/* Whether a step can be lowered before its turn, and is likely to run. */
static bool is_foreseeable(const struct plan_step *step)
{
    if (step->spec->background == SPEC_TRUE || step->scope.late ||
        (step->flow && step->flow->spec && step->flow->asks_status))
        return false;
    return step->kind != PLAN_POST || step->post == PLAN_POST_ALWAYS ||
           step->post == PLAN_POST_SUCCESS;
}

void slots_look_ahead(struct job_run *j, const struct ctx *ctx, uint32_t index,
                      const struct lowering *step, const struct open_place *open)
{
    if (!j->slots || !open->engine->prepare || j->outdated.len >= OUTDATED_MAX)
        return;
    for (uint32_t i = index + 1; i <= index + LOOKAHEAD && i < j->plan->step_count; i++) {
        struct slot *slot = slots_get(j, i);

        if (slot->announced && slot->values.index == i)
            continue;
        if (!is_foreseeable(&j->plan->steps[i]) || slot_fill(j, ctx, slot, i, NULL) < 0 ||
            strcmp(slot->step.url, step->url) != 0 || slot->step.apart != step->apart)
            return;
        slot->announced = true;
        open->engine->prepare(open->place, &slot->step.lowered->runnable);
    }
}
