#include "exec/exec.h"

#include "base/alloc.h"
#include "base/fs.h"
#include "exec/run.h"
#include "exec/workdir.h"

static void name_nodes(struct node *root, const struct plan *plan)
{
    root->name = plan->name;
    node_add_children(root, plan->stage_count);
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const struct plan_stage *stage = &plan->stages[i];
        struct node *stage_node = &root->children[i];

        stage_node->name = stage->name;
        node_add_children(stage_node, stage->job_count);
        for (uint32_t j = 0; j < stage->job_count; j++) {
            struct node *job_node = &stage_node->children[j];

            job_node->name = stage->jobs[j].name;
            node_add_children(job_node, stage->jobs[j].step_count);
            for (uint32_t k = 0; k < stage->jobs[j].step_count; k++)
                job_node->children[k].name = stage->jobs[j].steps[k].name;
        }
    }
}

/* `post` runs whatever happened before, on a budget of its own that only a hurry cuts short. */
static void run_post(struct run *run, const struct ctx *ctx, const struct plan_stage *stage,
                     struct node *node)
{
    CLEANUP_FREE char *label = timeout_label(node);
    struct ctx own;

    ctx_init_grace(&own, ctx, EXEC_POST_BUDGET_MS);
    own.label = label;
    stage_run(run, &own, stage, node);
    ctx_release(&own);
}

static void run_stages(struct run *run, const struct ctx *ctx, struct node *root)
{
    struct prefetch *prefetch = prefetch_start(run, ctx, root);
    bool stopped = false;

    for (uint32_t i = 0; i < run->plan->stage_count; i++) {
        const struct plan_stage *stage = &run->plan->stages[i];
        struct node *node = &root->children[i];

        if (stage->kind == PLAN_STAGE_POST)
            run_post(run, ctx, stage, node);
        else if (stopped || ctx_done(ctx))
            outcome_rest(run, ctx, node);
        else
            stage_run(run, ctx, stage, node);
        if (!stopped && (node->state == STATE_FAILED || node->state == STATE_CANCELLED)) {
            stopped = true;
            /* What comes while `post` runs changes nothing, except that a hurry cancels it. */
            run->cancelled = ctx_cancel_cause(ctx) == CTX_CAUSE_USER &&
                             (stage->kind != PLAN_STAGE_POST || node->state == STATE_CANCELLED);
            prefetch_end(steal_ptr(&prefetch));
        }
    }
    prefetch_end(prefetch);
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

static void run_pipeline(struct run *run, const struct ctx *ctx, struct node *root)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *made = NULL;

    node_set_state(run->bus, root, STATE_RUNNING, NULL);
    announce_timeout(run, root, plan_timeout_ms(&run->plan->scope));
    if (workdir_prepare(run->plan->workdir, &made, &err) < 0) {
        for (uint32_t i = 0; i < root->child_count; i++)
            outcome_not_started(run, &root->children[i], STATE_SKIPPED, REASON_DEPENDENCY);
        outcome_error(run, ctx, root, &err, NULL);
        return;
    }
    run_stages(run, ctx, root);
    instances_free(steal_ptr(&run->instances));
    outcome_of_children(run, ctx, root);
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
                      .flusher = log_flusher_new(),
                      .instances = instances_new(options->engines, options->services),
                      .id = own_run_id(options->services->run)};
    int64_t timeout_ms = plan_timeout_ms(&plan->scope);
    CLEANUP_FREE char *label = NULL;

    name_nodes(root, plan);
    label = timeout_label(root);
    ctx_init(&own, ctx);
    ctx_set_timeout(&own, timeout_ms ? timeout_ms : EXEC_TIMEOUT_DEFAULT_MS, label);
    run_pipeline(&run, &own, root);
    *ret = (struct exec_verdict){
        .state = (enum state)root->state,
        .own_deadline = outcome_is_timeout_of(&own, root),
        .cancelled = run.cancelled,
        .engine_unavailable = atomic_load(&run.unavailable) && !atomic_load(&run.steps_run),
    };
    instances_free(run.instances);
    log_flusher_free(run.flusher);
    ctx_release(&own);
}
