#include "exec/exec.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "exec/admission.h"
#include "exec/artifacts.h"
#include "exec/concurrency.h"
#include "exec/deployments.h"
#include "exec/run.h"
#include "exec/schedule.h"
#include "exec/services.h"
#include "exec/stores.h"
#include "exec/values.h"
#include "exec/workdir.h"

static void name_job(const struct event_bus *bus, struct node *node, const struct plan_job *job)
{
    node_set_name(bus, node, job->name);
    node->host = job->host ? job->host->spec->name.text : NULL;
    node->is_post = job->kind == PLAN_POST;
    node_add_children(node, job->step_count);
    for (uint32_t i = 0; i < job->step_count; i++) {
        node_set_name(bus, &node->children[i], job->steps[i].name);
        node->children[i].is_post = job->steps[i].kind == PLAN_POST;
    }
}

static void name_nodes(const struct event_bus *bus, struct node *root, const struct plan *plan)
{
    node_set_name(bus, root, plan->name);
    node_add_children(root, plan->stage_count);
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const struct plan_stage *stage = &plan->stages[i];
        struct node *node = &root->children[i];

        node_set_name(bus, node, stage->name);
        node->is_post = stage->kind == PLAN_POST || stage->kind == PLAN_FINALLY;
        node_add_children(node, stage->job_count);
        for (uint32_t j = 0; j < stage->job_count; j++)
            name_job(bus, &node->children[j], &stage->jobs[j]);
    }
}

/* The stages while they run. */
struct stages_run {
    struct run *run;
    const struct ctx *ctx;
    struct siblings stages;
    struct prefetch *prefetch;
    pthread_mutex_t mu;
    bool stopped; /* guarded by mu: one has failed or was cancelled */
};

static const struct plan_flow *flow_of_stage(void *arg, uint32_t index)
{
    const struct stages_run *s = arg;

    return s->run->plan->stages[index].flow;
}

/* Runs it if it is to run: `ctx` is the one that ends it. */
static void run_if_admitted(struct stages_run *s, const struct ctx *ctx, uint32_t index,
                            enum plan_post outcome)
{
    const struct plan_stage *stage = &s->run->plan->stages[index];
    struct node *node = &s->run->root->children[index];
    const struct admission_question question = {.run = s->run,
                                                .ctx = ctx,
                                                .siblings = &s->stages,
                                                .index = index,
                                                .flow = stage->flow,
                                                .scope = &stage->scope,
                                                .always = node->is_post};

    if (admission_passes(&question, node))
        stage_run(s->run, ctx, stage, node, outcome);
}

/* What runs whatever happened before has a budget of its own, which only a hurry cuts short. */
static void run_on_budget(struct stages_run *s, uint32_t index, int64_t budget_ms,
                          enum plan_post outcome)
{
    CLEANUP_FREE char *label = timeout_label(&s->run->root->children[index]);
    struct ctx own;

    ctx_init_grace(&own, s->ctx, budget_ms);
    own.label = label;
    run_if_admitted(s, &own, index, outcome);
    ctx_release(&own);
}

static void run_post(struct stages_run *s, uint32_t index)
{
    enum plan_post outcome = siblings_outcome(&s->stages, s->stages.count, s->ctx);

    if (hook_is_for(&s->run->plan->stages[index].jobs[0], outcome))
        run_on_budget(s, index, EXEC_POST_BUDGET_MS, outcome);
    else
        outcome_not_started(s->run, &s->run->root->children[index], STATE_SKIPPED, REASON_NONE,
                            NULL);
}

/* Its own limit, or what is left of the pipeline's time, but never less than `post` has. */
static int64_t finally_budget_ms(const struct stages_run *s, const struct plan_stage *stage)
{
    int64_t own_ms = plan_timeout_ms(&stage->scope);
    int64_t left_ms = ctx_done(s->ctx) ? 0 : s->ctx->deadline_ms - clock_monotonic_ms();

    if (own_ms)
        return own_ms;
    return left_ms > EXEC_POST_BUDGET_MS ? left_ms : EXEC_POST_BUDGET_MS;
}

static void run_plain(struct stages_run *s, uint32_t index)
{
    const struct plan_stage *stage = &s->run->plan->stages[index];
    struct node *node = &s->run->root->children[index];

    if (stage->left_out)
        outcome_not_started(s->run, node, STATE_SKIPPED, REASON_POLICY, stage->left_out);
    else if (stage->kind == PLAN_FINALLY)
        run_on_budget(s, index, finally_budget_ms(s, stage), PLAN_POST_ALWAYS);
    else if (ctx_done(s->ctx))
        outcome_rest(s->run, s->ctx, node);
    else
        run_if_admitted(s, s->ctx, index, PLAN_POST_ALWAYS);
}

/* The first stage that fails or is cancelled says whether the user has ended the run. What comes
 * while stages run that always do changes nothing, except that a hurry cancels them. */
static void note_end(struct stages_run *s, uint32_t index)
{
    const struct node *node = &s->run->root->children[index];
    struct prefetch *prefetch = NULL;

    siblings_ended(&s->stages, index);
    if (!node_has_failed(node) && node->state != STATE_CANCELLED)
        return;
    pthread_mutex_lock(&s->mu);
    if (!s->stopped) {
        s->stopped = true;
        s->run->cancelled = ctx_cancel_cause(s->ctx) == CTX_CAUSE_USER &&
                            (!node->is_post || node->state == STATE_CANCELLED);
        if (s->stages.order == PLAN_ORDER_SERIAL)
            prefetch = steal_ptr(&s->prefetch);
    }
    pthread_mutex_unlock(&s->mu);
    prefetch_end(prefetch);
}

static void run_item(void *arg, uint32_t index)
{
    struct stages_run *s = arg;

    if (s->run->plan->stages[index].kind == PLAN_POST)
        run_post(s, index);
    else
        run_plain(s, index);
    note_end(s, index);
}

static void run_stages(struct run *run, const struct ctx *ctx, struct node *root)
{
    const struct plan *plan = run->plan;
    struct stages_run s = {.run = run,
                           .ctx = ctx,
                           .stages = {.nodes = root->children,
                                      .count = plan->stage_count,
                                      .order = (enum plan_order)plan->order,
                                      .flow = flow_of_stage,
                                      .arg = &s},
                           .prefetch = prefetch_start(run, ctx, root),
                           .mu = PTHREAD_MUTEX_INITIALIZER};
    const struct schedule schedule = {.count = plan->stage_count,
                                      .order = s.stages.order,
                                      .flow = flow_of_stage,
                                      .max_parallel = EXEC_STAGES_PARALLEL,
                                      .run = run_item,
                                      .arg = &s};

    siblings_begin(&s.stages);
    schedule_run(&schedule);
    siblings_end(&s.stages);
    prefetch_end(s.prefetch);
    pthread_mutex_destroy(&s.mu);
}

/* `made` as workdir_prepare() gave it. */
static void clean_workdir(struct run *run, const struct node *root, const char *made)
{
    const struct exec_options *options = run->options;
    const char *path = run->plan->workdir;
    struct err err = ERR_INIT;

    if (root->state != STATE_SUCCEEDED || options->keep) {
        if (made && fs_exists(path))
            event_bus_note(run->bus, root, "workdir kept: %s", path);
    } else if ((made || options->force_clean) && workdir_is_removable(path)) {
        if (workdir_remove(path, made, &err) < 0)
            event_bus_note(run->bus, root, "the workdir could not be removed: %s", err.message);
    }
}

/* Whether the pipeline may run, which its time does not begin before; else it is ended. */
static bool enter_group(struct run *run, const struct ctx *ctx, struct node *root,
                        struct own_group **ret)
{
    struct err err = ERR_INIT;

    if (concurrency_enter(run, ctx, run->plan->spec->concurrency, &run->plan->scope, root, ret,
                          &err) == 0)
        return true;
    if (ctx_done(ctx)) {
        outcome_rest(run, ctx, root);
        run->cancelled = true;
    } else {
        node_set_state(run->bus, root, STATE_RUNNING, NULL);
        outcome_children_not_started(run, root);
        outcome_error(run, ctx, root, NULL, &err);
    }
    return false;
}

/* Its services run from before the first stage until behind the last one. */
static void run_with_services(struct run *run, const struct ctx *ctx, struct node *root,
                              struct outcome *ret)
{
    struct values values = {.run = run, .ctx = ctx};
    struct plan_runtime runtime;
    struct services *services = NULL;
    const struct services_what what = {.spec = &run->plan->spec->services,
                                       .scope = &run->plan->scope,
                                       .runtime = &runtime,
                                       .node = root};

    values_init(&runtime, &values, NULL);
    if (services_start(run, ctx, &what, &services, ret) < 0) {
        outcome_children_not_started(run, root);
        return;
    }
    run->services = services;
    run_stages(run, ctx, root);
    services_stop(services);
    services_free(services);
    outcome_of_children(ctx, root, ret);
}

/* What its steps deploy for as long as it runs goes when it has ended. */
static void run_with_deployments(struct run *run, const struct ctx *ctx, struct node *root,
                                 struct outcome *ret)
{
    struct err err = ERR_INIT;

    run->deployments = deployments_new(run, &err);
    if (!run->deployments) {
        outcome_children_not_started(run, root);
        outcome_of_error(ctx, &err, ret);
        return;
    }
    run_with_services(run, ctx, root, ret);
    deployments_close(run->deployments, root);
    deployments_free(steal_ptr(&run->deployments));
}

static void run_pipeline(struct run *run, const struct ctx *ctx, struct node *root)
{
    struct err err = ERR_INIT;
    struct outcome outcome;
    CLEANUP_FREE char *made = NULL;

    node_set_state(run->bus, root, STATE_RUNNING, NULL);
    announce_timeout(run, root, plan_timeout_ms(&run->plan->scope));
    if (workdir_prepare(run->plan->workdir, &made, &err) < 0) {
        outcome_children_not_started(run, root);
        outcome_error(run, ctx, root, NULL, &err);
        return;
    }
    run_with_deployments(run, ctx, root, &outcome);
    instances_free(steal_ptr(&run->instances));
    outcome_apply(run, NULL, root, NULL, &outcome);
    outcome_release(&outcome);
    clean_workdir(run, root, made);
}

void exec_run(struct ctx *ctx, const struct plan *plan, const struct exec_options *options,
              struct node *root, struct exec_verdict *ret)
{
    struct ctx own;
    struct run run = {.plan = plan,
                      .options = options,
                      .bus = options->bus,
                      .ctx = &own,
                      .root = root,
                      .jobs = limit_new(options->jobs ? options->jobs : EXEC_JOBS_DEFAULT),
                      .flusher = log_flusher_new(),
                      .artifacts = artifacts_new(),
                      .instances = instances_new(options->engines, options->services),
                      .stores = stores_new(options->open_store, options->open_store_arg),
                      .id = own_run_id(options->services->run)};
    int64_t timeout_ms = plan_timeout_ms(&plan->scope);
    struct own_group *group = NULL;
    CLEANUP_FREE char *label = NULL;
    bool masked;

    masked = exec_mask_known(plan, run.bus->mask);
    name_nodes(run.bus, root, plan);
    /* Nothing is emitted of a tree without names. */
    if (!masked)
        secrets_say_too_large(&run);
    label = timeout_label(root);
    ctx_init(&own, ctx);
    if (enter_group(&run, ctx, root, &group)) {
        ctx_set_timeout(&own, timeout_ms ? timeout_ms : EXEC_TIMEOUT_DEFAULT_MS, label);
        run_pipeline(&run, &own, root);
    }
    *ret = (struct exec_verdict){
        .state = (enum state)root->state,
        .own_deadline = outcome_is_timeout_of(&own, root),
        .cancelled = run.cancelled,
        .engine_unavailable = atomic_load(&run.unavailable) && !atomic_load(&run.steps_run),
    };
    instances_free(run.instances);
    artifacts_free(run.artifacts);
    stores_free(run.stores);
    log_flusher_free(run.flusher);
    limit_free(run.jobs);
    ctx_release(&own);
    own_group_leave(group);
}
