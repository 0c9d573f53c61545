/* A stage has its jobs, as many at a time as it and the whole pipeline allow, and ends the others
 * when one fails, if it is to. */
#include <stdlib.h>

#include "base/alloc.h"
#include "exec/admission.h"
#include "exec/deployments.h"
#include "exec/fan_out.h"
#include "exec/run.h"
#include "exec/schedule.h"

struct stage_run {
    struct run *run;
    const struct plan_stage *plan;
    struct node *node;
    struct ctx ctx;
    enum plan_post outcome; /* of a stage of hooks: what they are for */
    struct siblings jobs;
    /* What a failure cancels: fast[g] the jobs of group g, fast[0] those of none. */
    struct ctx *fast;
    struct fan_out *fan_outs;
    uint32_t fast_count; /* that have been made */
};

uint32_t stage_width(const struct run *run, const struct plan_stage *stage)
{
    uint32_t limit = run->options->jobs ? run->options->jobs : EXEC_JOBS_DEFAULT;

    if (stage->order == PLAN_ORDER_SERIAL)
        return 1;
    if (stage->max_parallel && stage->max_parallel < limit)
        limit = stage->max_parallel;
    return stage->job_count < limit ? stage->job_count : limit;
}

static const struct plan_flow *flow_of_job(void *arg, uint32_t index)
{
    const struct stage_run *s = arg;

    return s->plan->jobs[index].flow;
}

static uint32_t group_of_job(void *arg, uint32_t index)
{
    const struct stage_run *s = arg;

    return s->plan->jobs[index].group;
}

/* --- fail fast --- */

static int make_fast(struct stage_run *s, struct err *err)
{
    s->fast = xcalloc((size_t)s->plan->group_count + 1, sizeof(*s->fast));
    for (; s->fast_count <= s->plan->group_count; s->fast_count++) {
        if (ctx_init_cancel(&s->fast[s->fast_count], &s->ctx, err) < 0)
            return -1;
    }
    return 0;
}

static void release_fast(struct stage_run *s)
{
    while (s->fast_count > 0)
        ctx_release(&s->fast[--s->fast_count]);
    free(s->fast);
}

/* A job that is there for failures, or does not mind them, is not ended by one. */
static bool is_for_failures(const struct plan_flow *flow)
{
    if (!flow)
        return false;
    for (uint32_t i = 0; i < flow->edge_count; i++) {
        if (flow->edges[i].given && flow->edges[i].condition != SPEC_CONDITION_SUCCEEDED)
            return true;
    }
    return flow->asks_status;
}

static const struct ctx *ctx_of_job(const struct stage_run *s, const struct plan_job *job)
{
    return is_for_failures(job->flow) ? &s->ctx : &s->fast[job->group];
}

/* A matrix that does not fail fast is spared by its own jobs, not by others. */
static void fail_fast(struct stage_run *s, const struct plan_job *failed)
{
    const struct plan_group *own = failed->group ? &s->plan->groups[failed->group - 1] : NULL;

    if (own && own->fail_fast)
        ctx_cancel(&s->fast[failed->group], CTX_CAUSE_FAIL_FAST);
    for (uint32_t i = 0; s->plan->fail_fast && i < s->fast_count; i++) {
        if (!own || i != failed->group)
            ctx_cancel(&s->fast[i], CTX_CAUSE_FAIL_FAST);
    }
}

/* --- jobs --- */

static void run_post(struct stage_run *s, uint32_t index)
{
    const struct plan_job *job = &s->plan->jobs[index];
    struct node *node = &s->node->children[index];
    enum plan_post outcome = siblings_outcome(&s->jobs, s->jobs.count, &s->ctx);
    CLEANUP_FREE char *label = timeout_label(node);
    struct ctx own;

    if (!hook_is_for(job, outcome)) {
        outcome_not_started(s->run, node, STATE_SKIPPED, REASON_NONE, NULL);
        return;
    }
    ctx_init_grace(&own, &s->ctx, EXEC_POST_BUDGET_MS);
    own.label = label;
    job_run(s->run, &own, job, node, outcome, NULL);
    ctx_release(&own);
}

static void run_plain(struct stage_run *s, uint32_t index)
{
    const struct plan_job *job = &s->plan->jobs[index];
    struct node *node = &s->node->children[index];
    const struct ctx *ctx = ctx_of_job(s, job);
    struct fan_out *fan_out = fan_out_of(s->fan_outs, job);
    const struct admission_question question = {.run = s->run,
                                                .ctx = ctx,
                                                .siblings = &s->jobs,
                                                .index = index,
                                                .flow = job->flow,
                                                .scope = &job->scope};

    if (job->left_out) {
        outcome_not_started(s->run, node, STATE_SKIPPED, REASON_POLICY, job->left_out);
        return;
    }
    if (ctx_done(ctx)) {
        outcome_rest(s->run, ctx, node);
        return;
    }
    if (fan_out && !fan_out_may_begin(fan_out, job->batch)) {
        outcome_not_started(s->run, node, STATE_SKIPPED, REASON_DEPENDENCY,
                            "a host of a batch before it failed");
        return;
    }
    if (admission_passes(&question, node)) {
        if (limit_enter(s->run->jobs, ctx, NULL) < 0) {
            outcome_rest(s->run, ctx, node);
            return;
        }
        job_run(s->run, ctx, job, node, s->outcome, fan_out);
        limit_leave(s->run->jobs);
    } else if (fan_out && node_has_failed(node)) {
        fan_out_failed(fan_out, job->batch);
    }
    if (fan_out && fan_out_is_over(fan_out))
        ctx_cancel(&s->fast[job->group], CTX_CAUSE_FAIL_FAST);
    if (node_has_failed(node))
        fail_fast(s, job);
}

static void run_item(void *arg, uint32_t index)
{
    struct stage_run *s = arg;

    if (s->plan->jobs[index].kind == PLAN_POST && s->plan->kind != PLAN_POST)
        run_post(s, index);
    else
        run_plain(s, index);
    siblings_ended(&s->jobs, index);
}

static void run_jobs(struct stage_run *s)
{
    uint32_t *limits = xcalloc(s->plan->group_count, sizeof(*limits));
    const struct schedule schedule = {.count = s->plan->job_count,
                                      .order = (enum plan_order)s->plan->order,
                                      .flow = flow_of_job,
                                      .max_parallel = stage_width(s->run, s->plan),
                                      .group = group_of_job,
                                      .group_limits = limits,
                                      .group_count = s->plan->group_count,
                                      .run = run_item,
                                      .arg = s};

    for (uint32_t i = 0; i < s->plan->group_count; i++)
        limits[i] = s->plan->groups[i].max_parallel;
    s->jobs = (struct siblings){.nodes = s->node->children,
                                .count = s->plan->job_count,
                                .order = schedule.order,
                                .flow = flow_of_job,
                                .arg = s};
    siblings_begin(&s->jobs);
    schedule_run(&schedule);
    siblings_end(&s->jobs);
    free(limits);
}

void stage_run(struct run *run, const struct ctx *ctx, const struct plan_stage *stage,
               struct node *node, enum plan_post outcome)
{
    struct stage_run s = {.run = run,
                          .plan = stage,
                          .node = node,
                          .outcome = outcome,
                          .fan_outs = fan_outs_new(stage)};
    CLEANUP_FREE char *label = timeout_label(node);
    int64_t timeout_ms = plan_timeout_ms(&stage->scope);
    struct outcome end;
    struct err err = ERR_INIT;

    node_set_state(run->bus, node, STATE_RUNNING, NULL);
    ctx_init(&s.ctx, ctx);
    ctx_set_timeout(&s.ctx, timeout_ms, label);
    announce_timeout(run, node, timeout_ms);
    if (make_fast(&s, &err) == 0) {
        run_jobs(&s);
        deployments_close(run->deployments, node);
        outcome_of_children(&s.ctx, node, &end);
    } else {
        outcome_children_not_started(run, node);
        outcome_of_error(ctx, &err, &end);
    }
    /* The time that a stage of `finally` has is its own. */
    outcome_apply(run, stage->kind == PLAN_FINALLY ? NULL : ctx, node, stage->flow, &end);
    outcome_release(&end);
    release_fast(&s);
    fan_outs_free(s.fan_outs, stage);
    ctx_release(&s.ctx);
}
