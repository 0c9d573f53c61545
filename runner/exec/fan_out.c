#include "exec/fan_out.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"

struct batch {
    uint32_t jobs;
    uint32_t failed; /* guarded by mu */
};

struct fan_out {
    const struct plan_group *plan;
    pthread_mutex_t mu;
    struct batch *batches; /* of the group; NULL: it is of no `run_on` */
    uint32_t failed;       /* guarded by mu, as all below: in all batches */
    uint32_t failed_batch; /* the first with a failure that counts; 0: none */
    bool over;
};

struct fan_out *fan_outs_new(const struct plan_stage *stage)
{
    struct fan_out *fan_outs = NULL;

    if (stage->group_count)
        fan_outs = xcalloc(stage->group_count, sizeof(*fan_outs));
    for (uint32_t i = 0; i < stage->group_count; i++) {
        fan_outs[i].plan = &stage->groups[i];
        pthread_mutex_init(&fan_outs[i].mu, NULL);
        if (stage->groups[i].batch_count)
            fan_outs[i].batches =
                xcalloc(stage->groups[i].batch_count, sizeof(*fan_outs[i].batches));
    }
    for (uint32_t i = 0; i < stage->job_count; i++) {
        const struct plan_job *job = &stage->jobs[i];

        if (job->batch)
            fan_outs[job->group - 1].batches[job->batch - 1].jobs++;
    }
    return fan_outs;
}

void fan_outs_free(struct fan_out *fan_outs, const struct plan_stage *stage)
{
    for (uint32_t i = 0; fan_outs && i < stage->group_count; i++) {
        pthread_mutex_destroy(&fan_outs[i].mu);
        free(fan_outs[i].batches);
    }
    free(fan_outs);
}

struct fan_out *fan_out_of(struct fan_out *fan_outs, const struct plan_job *job)
{
    return job->batch ? &fan_outs[job->group - 1] : NULL;
}

/* A number counts in all batches, a percentage in the one. */
static bool is_too_many(const struct fan_out *f, const struct batch *batch)
{
    const struct portion *limit = &f->plan->max_failures;

    if (!f->plan->has_max_failures)
        return false;
    return limit->is_percent ? (int64_t)batch->failed * 100 > limit->value * (int64_t)batch->jobs
                             : (int64_t)f->failed > limit->value;
}

bool fan_out_failed(struct fan_out *f, uint32_t batch)
{
    bool ignored;

    pthread_mutex_lock(&f->mu);
    f->failed++;
    f->batches[batch - 1].failed++;
    f->over = f->over || is_too_many(f, &f->batches[batch - 1]);
    ignored = f->plan->ignore_errors && !f->over;
    if (!ignored && (!f->failed_batch || batch < f->failed_batch))
        f->failed_batch = batch;
    pthread_mutex_unlock(&f->mu);
    return ignored;
}

bool fan_out_may_begin(struct fan_out *f, uint32_t batch)
{
    bool may;

    pthread_mutex_lock(&f->mu);
    may = !f->over && (f->plan->has_max_failures || !f->failed_batch || batch <= f->failed_batch);
    pthread_mutex_unlock(&f->mu);
    return may;
}

bool fan_out_is_over(struct fan_out *f)
{
    bool over;

    pthread_mutex_lock(&f->mu);
    over = f->over;
    pthread_mutex_unlock(&f->mu);
    return over;
}
