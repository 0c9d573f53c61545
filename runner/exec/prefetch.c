/* Images are fetched in about the order in which they will be wanted: stage after stage, and in a
 * stage the first steps of all jobs, then their second ones. Two threads take from that list, which
 * is thereby the limit of what is fetched at a time. Steps that begin at once are not on it: they
 * fetch for themselves, and tell of it.
 *
 * A step is lowered as if every name had to be set: an image or credentials that depend on what is
 * not known yet are not guessed at. */
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/logger.h"
#include "exec/lowering.h"

enum { THREADS = 2, THREAD_STACK = 512 * 1024 };

struct prefetch {
    struct run *run;
    const struct node *root;
    struct plan plan; /* the run's, but strict */
    struct ctx ctx;
    pthread_mutex_t mu;
    uint32_t stage, step, job; /* the next to look at; guarded by mu */
    pthread_t threads[THREADS];
    size_t thread_count;
};

static uint32_t longest_job(const struct plan_stage *stage)
{
    uint32_t longest = 0;

    for (uint32_t i = 0; i < stage->job_count; i++) {
        if (stage->jobs[i].step_count > longest)
            longest = stage->jobs[i].step_count;
    }
    return longest;
}

static void advance(struct prefetch *p)
{
    const struct plan_stage *stage = &p->plan.stages[p->stage];

    if (++p->job < stage->job_count)
        return;
    p->job = 0;
    if (++p->step < longest_job(stage))
        return;
    p->step = 0;
    p->stage++;
}

/* Cheap: whether to look at all at the step that the place in the list stands for. */
static bool may_want(const struct prefetch *p)
{
    const struct plan_stage *stage = &p->plan.stages[p->stage];
    const struct plan_step *step;

    if (p->job >= stage->job_count || p->step >= stage->jobs[p->job].step_count ||
        stage->jobs[p->job].left_out)
        return false;
    if (p->stage == 0 && p->step == 0 && p->job < stage_width(p->run, stage))
        return false;
    step = &stage->jobs[p->job].steps[p->step];
    if (step->kind == PLAN_POST && step->post != PLAN_POST_ALWAYS &&
        step->post != PLAN_POST_SUCCESS)
        return false;
    return step_implies_container(step->spec) || !plan_scope_is_local(&p->plan, &step->scope);
}

/* Goes to the first place, from here on, of a step to look at; false: there is none. */
static bool seek(struct prefetch *p)
{
    while (p->stage < p->plan.stage_count && !may_want(p))
        advance(p);
    return p->stage < p->plan.stage_count;
}

static bool take(struct prefetch *p, const struct plan_step **ret, const struct node **ret_node)
{
    bool found;

    pthread_mutex_lock(&p->mu);
    found = seek(p);
    if (found) {
        *ret = &p->plan.stages[p->stage].jobs[p->job].steps[p->step];
        *ret_node = &p->root->children[p->stage].children[p->job].children[p->step];
        advance(p);
    }
    pthread_mutex_unlock(&p->mu);
    return found;
}

static void fetch_for(struct prefetch *p, const struct plan_step *step, const struct node *node)
{
    struct lowering lowering = {0};
    const struct container_shape *shape;
    const struct engine *engine;
    struct engine_instance *instance;
    struct err err = ERR_INIT;

    if (lowering_make(p->run, &p->plan, step, node, NULL, 1, NULL, &lowering, &err) < 0) {
        log_debug("exec", "the image of %s is not fetched ahead: %s", step->name, err.message);
        return;
    }
    shape = lowering.lowered->runnable.container;
    engine = engine_find(p->run->options->engines, lowering.url);
    if (engine && engine->prefetch && shape && shape->source.image) {
        if (instances_get(p->run->instances, &p->ctx, lowering.url, &instance, &engine, &err) == 0)
            engine->prefetch(&p->ctx, instance, &shape->source, shape->platform);
        else
            log_debug("exec", "the image of %s is not fetched ahead: %s", step->name, err.message);
    }
    lowering_release(&lowering);
}

static void *thread_main(void *arg)
{
    struct prefetch *p = arg;
    const struct plan_step *step;
    const struct node *node;

    while (!ctx_done(&p->ctx) && take(p, &step, &node))
        fetch_for(p, step, node);
    return NULL;
}

/* Without threads nothing is fetched ahead, which makes the run slower, not wrong. */
static void start_threads(struct prefetch *p)
{
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    while (p->thread_count < THREADS &&
           pthread_create(&p->threads[p->thread_count], &attr, thread_main, p) == 0)
        p->thread_count++;
    pthread_attr_destroy(&attr);
}

struct prefetch *prefetch_start(struct run *run, const struct ctx *ctx, const struct node *root)
{
    struct prefetch *p = xcalloc(1, sizeof(*p));

    p->run = run;
    p->root = root;
    p->plan = *run->plan;
    p->plan.inputs.strict = true;
    if (!seek(p) || ctx_init_cancel(&p->ctx, ctx, NULL) < 0) {
        free(p);
        return NULL;
    }
    pthread_mutex_init(&p->mu, NULL);
    start_threads(p);
    return p;
}

void prefetch_end(struct prefetch *p)
{
    if (!p)
        return;
    ctx_cancel(&p->ctx, CTX_CAUSE_USER);
    for (size_t i = 0; i < p->thread_count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_mutex_destroy(&p->mu);
    ctx_release(&p->ctx);
    free(p);
}
