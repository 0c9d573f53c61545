/* A job has its steps in order, or in parallel as far as they do not depend on each other, and
 * closes what they have used. */
#include <stdlib.h>

#include "base/alloc.h"
#include "exec/artifacts.h"
#include "exec/caching.h"
#include "exec/concurrency.h"
#include "exec/fan_out.h"
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
                                                .ctx = &j->ctx,
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
    siblings_begin(&j->steps);
    schedule_run(&schedule);
    siblings_end(&j->steps);
}

/* Services run from before the first step until behind the last one. */
static int start_services(struct job_run *j, struct outcome *ret)
{
    static const struct spec_services none = {0};
    const struct services_what what = {.spec = j->plan->spec ? &j->plan->spec->services : &none,
                                       .scope = &j->plan->scope,
                                       .runtime = &j->services_runtime,
                                       .node = j->node,
                                       .places = &j->places,
                                       .outer = j->run->services};

    j->services_values = (struct values){.run = j->run, .ctx = &j->ctx};
    values_init(&j->services_runtime, &j->services_values, NULL);
    j->places.services = j->run->services;
    if (services_start(j->run, &j->ctx, &what, &j->services, ret) < 0)
        return -1;
    if (j->services)
        j->places.services = j->services;
    return 0;
}

/* What caches and other jobs bring comes first: places that have a copy of the workdir may be
 * opened for the services. */
static int bring_files(struct job_run *j, struct caching *caching, struct err *err)
{
    struct values values = {.run = j->run, .ctx = &j->ctx, .job = j->plan, .job_node = j->node};
    struct plan_runtime runtime;

    if (j->plan->spec) {
        caching->specs = j->plan->spec->caches;
        caching->count = j->plan->spec->cache_count;
    }
    values_init(&runtime, &values, NULL);
    if (caching_restore(caching, &j->ctx, &j->plan->scope, &runtime, err) < 0)
        return -1;
    return artifacts_take(j->run, &j->ctx, j->plan, j->node, err);
}

static void run_in_places(struct job_run *j, struct outcome *ret)
{
    struct caching caching = {.run = j->run, .node = j->node};
    struct err err = ERR_INIT;

    if (bring_files(j, &caching, &err) < 0) {
        outcome_of_error(&j->ctx, &err, ret);
    } else if (start_services(j, ret) == 0) {
        run_steps(j);
        background_steps_end(j);
        caching_save(&caching, &j->ctx, &j->places, NULL,
                     siblings_outcome(&j->steps, j->steps.count, &j->ctx) != PLAN_POST_SUCCESS);
        outcome_of_children(&j->ctx, j->node, ret);
    }
    caching_release(&caching);
}

/* One attempt. The strings of *ret go to the caller. owner->files are what it has left. */
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
    if (places_init(&j.places, &j, &err) == 0)
        run_in_places(&j, ret);
    else
        outcome_of_error(&j.ctx, &err, ret);
    services_stop(j.services);
    collection_end(&owner->files);
    artifacts_collect(run, parent, owner, &j.places, NULL, ret->state);
    places_release(&j.places);
    services_free(j.services);
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

/* The job and the others of its fan-out are told of its failure before anybody else is. */
static void end_job(struct run *run, const struct ctx *ctx, const struct plan_job *job,
                    struct node *node, struct fan_out *fan_out, struct outcome *end)
{
    if (fan_out && outcome_counts(ctx, node, job->flow, end))
        end->ignored = fan_out_failed(fan_out, job->batch);
    outcome_apply(run, ctx, node, job->flow, end);
}

static void run_attempts(struct run *run, const struct ctx *ctx, const struct plan_job *job,
                         struct node *node, enum plan_post outcome, struct fan_out *fan_out)
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
            end_job(run, ctx, job, node, fan_out, &end);
        }
        outcome_release(&end);
    } while (again);
    collection_end(&owner.files);
}

void job_run(struct run *run, const struct ctx *ctx, const struct plan_job *job, struct node *node,
             enum plan_post outcome, struct fan_out *fan_out)
{
    const struct spec_concurrency *concurrency = job->spec ? job->spec->concurrency : NULL;
    struct own_group *group;
    struct outcome end;
    struct err err = ERR_INIT;

    if (concurrency_enter(run, ctx, concurrency, &job->scope, node, &group, &err) == 0) {
        run_attempts(run, ctx, job, node, outcome, fan_out);
        own_group_leave(group);
    } else if (ctx_done(ctx)) {
        outcome_rest(run, ctx, node);
    } else {
        node_set_state(run->bus, node, STATE_RUNNING, NULL);
        outcome_children_not_started(run, node);
        if (err.code == ERR_UNAVAILABLE)
            atomic_store(&run->unavailable, true);
        outcome_of_error(ctx, &err, &end);
        end_job(run, ctx, job, node, fan_out, &end);
        outcome_release(&end);
    }
}
