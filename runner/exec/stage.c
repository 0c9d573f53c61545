/* A stage is a queue of jobs and a few threads that take from it; the caller's thread is one of
 * them, so that a stage of one job starts none. */
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "exec/run.h"

/* Enough for the deepest path of an engine under a sanitizer; only what is touched is resident. */
enum { WORKER_STACK = 512 * 1024 };

struct stage_run {
    struct run *run;
    const struct plan_stage *plan;
    struct node *node;
    struct ctx ctx;
    atomic_uint next;
    atomic_bool failed;
    bool *skip; /* of the stage `post`: steps that are not for this outcome */
};

static void run_one(struct stage_run *s, uint32_t index)
{
    struct node *node = &s->node->children[index];
    bool stop_after_failure = s->plan->serial || s->plan->fail_fast;

    if (ctx_done(&s->ctx) || (stop_after_failure && atomic_load(&s->failed))) {
        outcome_rest(s->run, &s->ctx, node);
        return;
    }
    job_run(s->run, &s->ctx, &s->plan->jobs[index], node, s->skip);
    if (node->state == STATE_FAILED) {
        atomic_store(&s->failed, true);
        if (s->plan->fail_fast)
            ctx_cancel(&s->ctx, CTX_CAUSE_FAIL_FAST);
    }
}

static void *worker_main(void *arg)
{
    struct stage_run *s = arg;

    for (;;) {
        uint32_t index = atomic_fetch_add(&s->next, 1);

        if (index >= s->plan->job_count)
            return NULL;
        run_one(s, index);
    }
}

uint32_t stage_width(const struct run *run, const struct plan_stage *stage)
{
    uint32_t limit = run->options->jobs ? run->options->jobs : EXEC_JOBS_DEFAULT;

    if (stage->serial)
        return 1;
    if (stage->max_parallel && stage->max_parallel < limit)
        limit = stage->max_parallel;
    return stage->job_count < limit ? stage->job_count : limit;
}

static void run_jobs(struct stage_run *s)
{
    uint32_t extra = stage_width(s->run, s->plan) - 1;
    pthread_t *threads = xcalloc(extra, sizeof(*threads));
    pthread_attr_t attr;
    uint32_t started = 0;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    /* Fewer threads than wanted make the stage slower, not wrong. */
    while (started < extra && pthread_create(&threads[started], &attr, worker_main, s) == 0)
        started++;
    pthread_attr_destroy(&attr);
    worker_main(s);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

/* Which steps of the stage `post` the outcome so far does not call for; NULL: all are called for,
 * *ret_none: none is. The caller frees. */
static bool *select_post(struct run *run, const struct plan_stage *stage, const struct node *node,
                         bool *ret_none)
{
    const struct plan_job *job = &stage->jobs[0];
    bool *skip = xcalloc(job->step_count, sizeof(*skip));
    enum plan_post outcome = PLAN_POST_SUCCESS;

    for (const struct node *before = node->parent->children; before < node; before++) {
        if (before->state == STATE_FAILED)
            outcome = PLAN_POST_FAILURE;
        else if (before->state == STATE_CANCELLED && outcome == PLAN_POST_SUCCESS)
            outcome = PLAN_POST_CANCELLED;
    }
    if (outcome == PLAN_POST_CANCELLED && outcome_timed_out(run->ctx))
        outcome = PLAN_POST_FAILURE;
    *ret_none = true;
    for (uint32_t i = 0; i < job->step_count; i++) {
        enum plan_post when = plan_post_of(run->plan, &job->steps[i]);

        skip[i] = when != PLAN_POST_ALWAYS && when != outcome;
        *ret_none = *ret_none && skip[i];
    }
    return skip;
}

void stage_run(struct run *run, const struct ctx *ctx, const struct plan_stage *stage,
               struct node *node)
{
    struct stage_run s = {.run = run, .plan = stage, .node = node};
    CLEANUP_FREE char *label = timeout_label(node);
    CLEANUP_FREE bool *skip = NULL;
    int64_t timeout_ms = plan_timeout_ms(&stage->scope);
    struct err err = ERR_INIT;

    if (stage->kind == PLAN_STAGE_POST) {
        bool none;

        s.skip = skip = select_post(run, stage, node, &none);
        if (none) {
            outcome_not_started(run, node, STATE_SKIPPED, REASON_NONE);
            return;
        }
    }
    node_set_state(run->bus, node, STATE_RUNNING, NULL);
    if (ctx_init_cancel(&s.ctx, ctx, &err) < 0) {
        for (uint32_t i = 0; i < node->child_count; i++)
            outcome_not_started(run, &node->children[i], STATE_SKIPPED, REASON_DEPENDENCY);
        outcome_error(run, ctx, node, &err, NULL);
        return;
    }
    ctx_set_timeout(&s.ctx, timeout_ms, label);
    announce_timeout(run, node, timeout_ms);
    run_jobs(&s);
    outcome_of_children(run, &s.ctx, node);
    ctx_release(&s.ctx);
}
