/* A step is run by an engine, its output goes to the log path, and how it ended decides whether it
 * is tried again. */
#include <stdlib.h>

#include "base/alloc.h"
#include "exec/artifacts.h"
#include "exec/caching.h"
#include "exec/context.h"
#include "exec/deployments.h"
#include "exec/job.h"
#include "exec/output.h"
#include "exec/retry.h"
#include "spec/service_kinds.h"

/* A step while it runs. */
struct running_step {
    struct job_run *j;
    uint32_t index;
    struct slot *slot;
    struct caching caching;
    struct open_place open; /* where its last attempt ran; `place` NULL: nowhere yet */
};

static int get_place(const struct running_step *s, const struct ctx *ctx, struct open_place *ret,
                     struct err *err)
{
    struct job_run *j = s->j;
    const struct node *scope =
        deployments_scope(&j->plan->steps[s->index], &j->node->children[s->index]);

    if (scope)
        return deployments_get(j->run->deployments, ctx, scope, &s->slot->step, ret, err);
    return places_get(&j->places, ctx, &s->slot->step, s->index, ret, err);
}

static int run_in_place(struct running_step *s, const struct ctx *ctx, struct step_output *out,
                        struct exit_record *record, struct err *err)
{
    struct job_run *j = s->j;
    struct context_runnable what;
    struct open_place open;
    int result;

    if (slot_fill(j, ctx, s->slot, s->index, err) < 0 || get_place(s, ctx, &open, err) < 0)
        return -1;
    s->open = open;
    caching_deliver(&s->caching, ctx, &open);
    slots_look_ahead(j, ctx, s->index, &s->slot->step, &open);
    context_runnable_make(j, s->index, &s->slot->step, &what);
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

/* Those behind a deployment find in their environment what it was. */
static void publish_deployment(const struct running_step *s)
{
    struct job_run *j = s->j;
    const struct spec_deployment *spec = j->plan->steps[s->index].spec->deployment;

    if (!spec || !s->slot->step.lowered)
        return;
    pthread_mutex_lock(&j->mu);
    strmap_set(&j->environment, "PIPELINE_SERVICE_TYPE", spec_service_kind(spec->type)->name);
    strmap_set(&j->environment, "PIPELINE_SERVICE_NAME", s->slot->step.lowered->deployment.name);
    strmap_set(&j->environment, "PIPELINE_SERVICE_VERSION",
               spec->version == SPEC_DEPLOYMENT_V1 ? "v1" : "v2");
    j->environment_version++;
    pthread_mutex_unlock(&j->mu);
}

/* Of what it has deployed: NAME-logs. */
static void save_logs(const struct running_step *s, const struct ctx *ctx, struct kept_logs *logs)
{
    struct job_run *j = s->j;
    const struct artifacts_owner owner = {.job = j->plan,
                                          .job_node = j->node,
                                          .step = &j->plan->steps[s->index],
                                          .node = &j->node->children[s->index]};
    CLEANUP_FREE char *name = NULL;

    if (!logs->directory && logs->err.code == ERR_NONE)
        return;
    name = xasprintf("%s-logs", s->slot->step.lowered->deployment.name);
    kept_logs_save(logs, ctx, &owner, name);
}

/* Runs it once. What is in *ret, *ret_tail and *ret_outputs goes to the caller. */
static void attempt(struct running_step *s, const struct ctx *ctx, struct outcome *ret,
                    char **ret_tail, struct outputs *ret_outputs)
{
    struct job_run *j = s->j;
    struct run *run = j->run;
    struct step_output out;
    struct exit_record record = {0};
    struct err err = ERR_INIT;
    int result;

    step_output_init(&out, run, &j->node->children[s->index]);
    result = run_in_place(s, ctx, &out, &record, &err);
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
    judge_outputs(j, s->index, &out.outputs.err, ret);
    if (ret->state == STATE_FAILED)
        save_logs(s, ctx, &out.logs);
    kept_logs_release(&out.logs);
}

/* One attempt with the whole of the step's own time; true when it goes on in the background. */
static bool attempt_in_time(struct running_step *s, const struct ctx *parent, struct outcome *ret,
                            char **ret_tail, struct outputs *ret_outputs)
{
    const struct plan_step *step = &s->j->plan->steps[s->index];
    CLEANUP_FREE char *label = NULL;
    struct ctx ctx;

    if (step->spec->background == SPEC_TRUE)
        return background_step_start(s->j, parent, s->index, &s->caching, ret, ret_tail);
    label = timeout_label(&s->j->node->children[s->index]);
    ctx_init(&ctx, parent);
    ctx_set_timeout(&ctx, plan_timeout_ms(&step->scope), label);
    attempt(s, &ctx, ret, ret_tail, ret_outputs);
    ctx_release(&ctx);
    return false;
}

static void keep_artifacts(const struct running_step *s, const struct ctx *ctx,
                           struct outcome *outcome)
{
    struct job_run *j = s->j;
    struct artifacts_owner owner = {.job = j->plan,
                                    .job_node = j->node,
                                    .step = &j->plan->steps[s->index],
                                    .node = &j->node->children[s->index],
                                    .siblings = &j->steps,
                                    .index = s->index,
                                    .environment = &s->slot->environment};

    artifacts_collect(j->run, ctx, &owner, &j->places, &s->open, outcome->state);
    artifacts_keep(j->run, ctx, &owner, outcome);
    collection_end(&owner.files);
}

static void run_attempts(struct running_step *s, const struct ctx *parent)
{
    struct job_run *j = s->j;
    const struct plan_step *step = &j->plan->steps[s->index];
    struct node *node = &j->node->children[s->index];
    bool again;

    do {
        CLEANUP_FREE char *tail = NULL;
        struct outputs outputs = {0};
        struct outcome outcome;

        if (attempt_in_time(s, parent, &outcome, &tail, &outputs))
            return;
        again = exec_retry_follows(step->spec->retry, node->attempt, &outcome) &&
                exec_retry_wait(j->run, parent, node, step->spec->retry, &outcome);
        if (again) {
            slot_clear(s->slot);
        } else {
            keep_artifacts(s, parent, &outcome);
            caching_save(&s->caching, parent, &j->places, &s->open,
                         outcome.state != STATE_SUCCEEDED);
            if (outcome.state == STATE_FAILED)
                outcome.result.tail = tail;
            publish_outputs(j, s->index, &outputs);
            if (outcome.state == STATE_SUCCEEDED)
                publish_deployment(s);
            outcome_apply(j->run, parent, node, step->flow, &outcome);
        }
        outputs_release(&outputs);
        outcome_release(&outcome);
    } while (again);
}

static int restore_caches(struct job_run *j, const struct ctx *ctx, uint32_t index,
                          struct caching *caching, struct err *err)
{
    CLEANUP_STRMAP struct strmap environment = {0};
    struct values values = {.run = j->run,
                            .ctx = ctx,
                            .job = j->plan,
                            .job_node = j->node,
                            .siblings = &j->steps,
                            .index = index};
    struct plan_runtime runtime;

    if (!caching->count)
        return 0;
    job_environment(j, &environment);
    values_init(&runtime, &values, &environment);
    return caching_restore(caching, ctx, &j->plan->steps[index].scope, &runtime, err);
}

void step_run(struct job_run *j, const struct ctx *ctx, uint32_t index)
{
    const struct plan_step *step = &j->plan->steps[index];
    struct node *node = &j->node->children[index];
    struct slot own = {0};
    struct running_step s = {.j = j,
                             .index = index,
                             .slot = slots_get(j, index),
                             .caching = {.run = j->run,
                                         .node = node,
                                         .specs = step->spec->caches,
                                         .count = step->spec->cache_count,
                                         .of_step = true}};
    struct outcome outcome;
    struct err err = ERR_INIT;

    if (!s.slot)
        s.slot = &own;
    node_set_state(j->run->bus, node, STATE_RUNNING, NULL);
    announce_timeout(j->run, node, plan_timeout_ms(&step->scope));
    if (restore_caches(j, ctx, index, &s.caching, &err) == 0) {
        run_attempts(&s, ctx);
        slot_clear(s.slot);
    } else {
        outcome_of_error(ctx, &err, &outcome);
        outcome_apply(j->run, ctx, node, step->flow, &outcome);
        outcome_release(&outcome);
    }
    caching_release(&s.caching);
}
