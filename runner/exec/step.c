/* A step is run by an engine, its output goes to the log path, and how it ended decides whether it
 * is tried again. */
#include <stdlib.h>

#include "base/alloc.h"
#include "exec/artifacts.h"
#include "exec/caching.h"
#include "exec/context.h"
#include "exec/job.h"
#include "exec/output.h"
#include "exec/retry.h"

static int run_in_place(struct job_run *j, const struct ctx *ctx, uint32_t index, struct slot *slot,
                        struct step_output *out, struct exit_record *record, struct err *err)
{
    struct context_runnable what;
    struct open_place open;
    int result;

    if (slot_fill(j, slot, index, err) < 0 ||
        places_get(&j->places, ctx, &slot->step, &open, err) < 0)
        return -1;
    slots_look_ahead(j, index, &slot->step, &open);
    context_runnable_make(j, index, &slot->step, &what);
    result = open.engine->run(ctx, open.place, &what.runnable, &out->output, record, err);
    context_runnable_release(&what);
    return result;
}

/* A step that has gone well fails by what it tells others, when that cannot be read; of any other
 * it is a remark. */
static void judge_outputs(struct job_run *j, uint32_t index, const struct err *err,
                          struct outcome *outcome)
{
    if (err->code == ERR_NONE)
        return;
    if (outcome->state != STATE_SUCCEEDED) {
        event_bus_note(j->run->bus, &j->node->children[index], "%s", err->message);
        return;
    }
    outcome_release(outcome);
    *outcome = (struct outcome){.state = STATE_FAILED, .error = xstrdup(err->message)};
    outcome->result = (struct node_result){.reason = REASON_ERROR, .error = outcome->error};
}

/* What the last attempt has told, also one that failed, holds for what comes later. */
static void publish_outputs(struct job_run *j, uint32_t index, const struct outputs *outputs)
{
    const struct strmap *environment = &outputs->maps[OUTPUTS_ENV];

    node_add_outputs(j->run->bus, &j->node->children[index], &outputs->maps[OUTPUTS_OUTPUT]);
    if (!environment->len)
        return;
    pthread_mutex_lock(&j->mu);
    strmap_merge(&j->environment, environment);
    j->environment_version++;
    pthread_mutex_unlock(&j->mu);
}

/* Runs it once. What is in *ret, *ret_tail and *ret_outputs goes to the caller. */
static void attempt(struct job_run *j, const struct ctx *ctx, uint32_t index, struct slot *slot,
                    struct outcome *ret, char **ret_tail, struct outputs *ret_outputs)
{
    struct run *run = j->run;
    struct step_output out;
    struct exit_record record = {0};
    struct err err = ERR_INIT;
    int result;

    step_output_init(&out, run, &j->node->children[index]);
    result = run_in_place(j, ctx, index, slot, &out, &record, &err);
    *ret_tail = step_output_finish(&out);
    *ret_outputs = out.outputs;
    if (result == 0) {
        atomic_fetch_add(&run->steps_run, 1);
        outcome_of_record(&record, ret);
    } else {
        if (err.code == ERR_UNAVAILABLE)
            atomic_store(&run->unavailable, true);
        outcome_of_error(ctx, &err, ret);
    }
    judge_outputs(j, index, &out.outputs.err, ret);
}

/* One attempt with the whole of the step's own time; true when it goes on in the background. */
static bool attempt_in_time(struct job_run *j, const struct ctx *parent, uint32_t index,
                            struct slot *slot, struct outcome *ret, char **ret_tail,
                            struct outputs *ret_outputs)
{
    const struct plan_step *step = &j->plan->steps[index];
    CLEANUP_FREE char *label = NULL;
    struct ctx ctx;

    if (step->spec->background == SPEC_TRUE)
        return background_step_start(j, parent, index, ret, ret_tail);
    label = timeout_label(&j->node->children[index]);
    ctx_init(&ctx, parent);
    ctx_set_timeout(&ctx, plan_timeout_ms(&step->scope), label);
    attempt(j, &ctx, index, slot, ret, ret_tail, ret_outputs);
    ctx_release(&ctx);
    return false;
}

static void keep_artifacts(struct job_run *j, const struct ctx *ctx, uint32_t index,
                           const struct slot *slot, struct outcome *outcome)
{
    struct artifacts_owner owner = {.job = j->plan,
                                    .job_node = j->node,
                                    .step = &j->plan->steps[index],
                                    .node = &j->node->children[index],
                                    .siblings = &j->steps,
                                    .index = index,
                                    .environment = &slot->environment};

    artifacts_look_apart(&owner, ctx, &j->places);
    artifacts_keep(j->run, ctx, &owner, outcome);
}

static void run_attempts(struct job_run *j, const struct ctx *parent, uint32_t index,
                         struct slot *slot, struct caching *caching)
{
    const struct plan_step *step = &j->plan->steps[index];
    struct node *node = &j->node->children[index];
    bool again;

    do {
        CLEANUP_FREE char *tail = NULL;
        struct outputs outputs = {0};
        struct outcome outcome;

        if (attempt_in_time(j, parent, index, slot, &outcome, &tail, &outputs))
            return;
        again = exec_retry_follows(step->spec->retry, node->attempt, &outcome) &&
                exec_retry_wait(j->run, parent, node, step->spec->retry, &outcome);
        if (again) {
            slot_clear(slot);
        } else {
            keep_artifacts(j, parent, index, slot, &outcome);
            caching_save(caching, parent, &j->places, outcome.state != STATE_SUCCEEDED);
            if (outcome.state == STATE_FAILED)
                outcome.result.tail = tail;
            publish_outputs(j, index, &outputs);
            outcome_apply(j->run, node, step->flow, &outcome);
        }
        outputs_release(&outputs);
        outcome_release(&outcome);
    } while (again);
}

static int restore_caches(struct job_run *j, const struct ctx *ctx, uint32_t index,
                          struct caching *caching, struct err *err)
{
    CLEANUP_STRMAP struct strmap environment = {0};
    struct values values = {
        .run = j->run, .job = j->plan, .job_node = j->node, .siblings = &j->steps, .index = index};
    struct plan_runtime runtime;

    if (!caching->count)
        return 0;
    pthread_mutex_lock(&j->mu);
    strmap_merge(&environment, &j->environment);
    pthread_mutex_unlock(&j->mu);
    values_init(&runtime, &values, &environment);
    return caching_restore(caching, ctx, &j->plan->steps[index].scope, &runtime, err);
}

void step_run(struct job_run *j, const struct ctx *ctx, uint32_t index)
{
    const struct plan_step *step = &j->plan->steps[index];
    struct caching caching = {.run = j->run,
                              .node = &j->node->children[index],
                              .specs = step->spec->caches,
                              .count = step->spec->cache_count};
    struct slot own = {0};
    struct slot *slot = slots_get(j, index);
    struct outcome outcome;
    struct err err = ERR_INIT;

    if (!slot)
        slot = &own;
    node_set_state(j->run->bus, &j->node->children[index], STATE_RUNNING, NULL);
    announce_timeout(j->run, &j->node->children[index],
                     plan_timeout_ms(&j->plan->steps[index].scope));
    if (restore_caches(j, ctx, index, &caching, &err) == 0) {
        run_attempts(j, ctx, index, slot, &caching);
        slot_clear(slot);
    } else {
        outcome_of_error(ctx, &err, &outcome);
        outcome_apply(j->run, &j->node->children[index], step->flow, &outcome);
        outcome_release(&outcome);
    }
    caching_release(&caching);
}
