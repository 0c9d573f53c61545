/* A job has its steps in order, or in parallel as far as they do not depend on each other, and
 * closes what they have used. */
#include <stdlib.h>

#include "base/alloc.h"
#include "exec/artifacts.h"
#include "exec/caching.h"
#include "exec/concurrency.h"
#include "exec/job.h"
#include "exec/retry.h"
#include "exec/schedule.h"

uint32_t job_environment(struct job_run *j, struct strmap *ret)
{
    uint32_t version;

    pthread_mutex_lock(&j->mu);
    strmap_merge(ret, &j->environment);
    version = j->environment_version;
    pthread_mutex_unlock(&j->mu);
    return version;
}

static const struct plan_flow *flow_of_step(void *arg, uint32_t index)
{
    const struct job_run *j = arg;

    return j->plan->steps[index].flow;
}

/* A step of `post` runs if the outcome is the one that it is for, whatever has ended the job. */
static void run_post(struct job_run *j, uint32_t index)
{
    const struct plan_step *step = &j->plan->steps[index];
    enum plan_post outcome = j->plan->kind == PLAN_POST
                                 ? j->outcome
                                 : siblings_outcome(&j->steps, j->steps.count, &j->ctx);
    struct ctx own;

    if (step->post != PLAN_POST_ALWAYS && step->post != outcome) {
        outcome_not_started(j->run, &j->node->children[index], STATE_SKIPPED, REASON_NONE, NULL);
    } else if (j->plan->kind == PLAN_POST) {
        step_run(j, &j->ctx, index);
    } else {
        ctx_init_grace(&own, &j->ctx, EXEC_POST_BUDGET_MS);
        own.label = "post";
        step_run(j, &own, index);
        ctx_release(&own);
    }
}

static void run_plain(struct job_run *j, uint32_t index)
{
    const struct plan_step *step = &j->plan->steps[index];
    struct node *node = &j->node->children[index];
    CLEANUP_STRMAP struct strmap environment = {0};
    const struct admission_question question = {.run = j->run,
                                                .siblings = &j->steps,
                                                .index = index,
                                                .flow = step->flow,
                                                .scope = &step->scope,
                                                .job = j->plan,
                                                .job_node = j->node,
                                                .environment = &environment};

    job_environment(j, &environment);
    if (ctx_done(&j->ctx))
        outcome_rest(j->run, &j->ctx, node);
    else if (admission_passes(&question, node))
        step_run(j, &j->ctx, index);
}

static void run_item(void *arg, uint32_t index)
{
    struct job_run *j = arg;

    if (j->plan->steps[index].kind == PLAN_POST)
        run_post(j, index);
    else
        run_plain(j, index);
    siblings_ended(&j->steps, index);
}

static void run_steps(struct job_run *j)
{
    const struct schedule schedule = {.count = j->plan->step_count,
                                      .order = (enum plan_order)j->plan->order,
                                      .flow = flow_of_step,
                                      .max_parallel = EXEC_STEPS_PARALLEL,
                                      .run = run_item,
                                      .arg = j};

    j->steps = (struct siblings){.nodes = j->node->children,
                                 .count = j->plan->step_count,
                                 .order = schedule.order,
                                 .flow = flow_of_step,
                                 .arg = j};
    schedule_run(&schedule);
}

/* Between what caches and other jobs bring, and what caches take. */
static int run_with_files(struct job_run *j, struct err *err)
{
    struct values values = {.run = j->run, .job = j->plan, .job_node = j->node};
    struct caching caching = {.run = j->run, .node = j->node};
    struct plan_runtime runtime;
    int result;

    if (j->plan->spec) {
        caching.specs = j->plan->spec->caches;
        caching.count = j->plan->spec->cache_count;
    }
    values_init(&runtime, &values, NULL);
    result = caching_restore(&caching, &j->ctx, &j->plan->scope, &runtime, err);
    if (result == 0)
        result = artifacts_take(j->run, &j->ctx, j->plan, j->node, err);
    if (result == 0) {
        run_steps(j);
        background_steps_end(j);
        caching_save(&caching, &j->ctx, &j->places,
                     siblings_outcome(&j->steps, j->steps.count, &j->ctx) != PLAN_POST_SUCCESS);
    }
    caching_release(&caching);
    return result;
}

/* Its services run from before the first step until behind the last one. */
static void run_with_services(struct job_run *j, struct outcome *ret)
{
    static const struct spec_services none = {0};
    struct values values = {.run = j->run};
    struct plan_runtime runtime;
    const struct services_what what = {.spec = j->plan->spec ? &j->plan->spec->services : &none,
                                       .scope = &j->plan->scope,
                                       .runtime = &runtime,
                                       .node = j->node,
                                       .outer = j->run->services};
    struct err err = ERR_INIT;

    values_init(&runtime, &values, NULL);
    if (services_start(j->run, &j->ctx, &what, &j->services, ret) < 0)
        return;
    j->places.services = j->services ? j->services : j->run->services;
    if (run_with_files(j, &err) == 0)
        outcome_of_children(&j->ctx, j->node, ret);
    else
        outcome_of_error(&j->ctx, &err, ret);
}

/* One attempt. The strings of *ret go to the caller. owner->apart is filled. */
static void attempt(struct run *run, const struct ctx *parent, const struct plan_job *job,
                    struct node *node, enum plan_post outcome, struct outcome *ret,
                    struct artifacts_owner *owner)
{
    struct job_run j = {
        .run = run, .plan = job, .node = node, .outcome = outcome, .mu = PTHREAD_MUTEX_INITIALIZER};
    CLEANUP_FREE char *label = timeout_label(node);
    struct err err = ERR_INIT;

    ctx_init(&j.ctx, parent);
    ctx_set_timeout(&j.ctx, plan_timeout_ms(&job->scope), label);
    slots_init(&j);
    if (places_init(&j.places, run, node, &err) == 0)
        run_with_services(&j, ret);
    else
        outcome_of_error(&j.ctx, &err, ret);
    artifacts_look_apart(owner, parent, &j.places);
    places_release(&j.places);
    services_stop(j.services);
    slots_release(&j);
    strmap_release(&j.environment);
    vec_release(&j.background);
    pthread_mutex_destroy(&j.mu);
    ctx_release(&j.ctx);
}

/* What an attempt that will not come leaves pending. */
static void end_pending(struct run *run, const struct ctx *ctx, struct node *node)
{
    for (uint32_t i = 0; i < node->child_count; i++) {
        if (node->children[i].state == STATE_PENDING)
            outcome_rest(run, ctx, &node->children[i]);
    }
}

static void run_attempts(struct run *run, const struct ctx *ctx, const struct plan_job *job,
                         struct node *node, enum plan_post outcome)
{
    const struct spec_retry *retry = job->spec ? job->spec->retry : NULL;
    struct artifacts_owner owner = {.job = job, .job_node = node, .node = node};
    bool again;

    node_set_state(run->bus, node, STATE_RUNNING, NULL);
    announce_timeout(run, node, plan_timeout_ms(&job->scope));
    do {
        struct outcome end;

        attempt(run, ctx, job, node, outcome, &end, &owner);
        again = exec_retry_follows(retry, node->attempt, &end) &&
                exec_retry_wait(run, ctx, node, retry, &end);
        if (!again) {
            end_pending(run, ctx, node);
            artifacts_keep(run, ctx, &owner, &end);
            outcome_apply(run, node, job->flow, &end);
        }
        outcome_release(&end);
    } while (again);
}

void job_run(struct run *run, const struct ctx *ctx, const struct plan_job *job, struct node *node,
             enum plan_post outcome)
{
    const struct spec_concurrency *concurrency = job->spec ? job->spec->concurrency : NULL;
    struct own_group *group;
    struct err err = ERR_INIT;

    if (concurrency_enter(run, ctx, concurrency, &job->scope, node, &group, &err) == 0) {
        run_attempts(run, ctx, job, node, outcome);
        own_group_leave(group);
    } else if (ctx_done(ctx)) {
        outcome_rest(run, ctx, node);
    } else {
        node_set_state(run->bus, node, STATE_RUNNING, NULL);
        outcome_children_not_started(run, node);
        outcome_error(run, ctx, node, &err);
    }
}
