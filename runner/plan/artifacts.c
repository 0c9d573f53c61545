#include "plan/artifacts.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/nearest.h"

/* Siblings as far as their order is concerned. */
struct order {
    enum plan_order order;
    uint32_t count;
    const struct plan_flow *(*flow)(const void *arg, uint32_t index);
    const void *arg;
};

static const struct plan_flow *flow_of_stage(const void *arg, uint32_t index)
{
    return ((const struct plan *)arg)->stages[index].flow;
}

static const struct plan_flow *flow_of_job(const void *arg, uint32_t index)
{
    return ((const struct plan_stage *)arg)->jobs[index].flow;
}

/* Whether `first` has ended when `last` begins; what has been seen is not looked at again. */
static bool follows(const struct order *o, uint32_t last, uint32_t first)
{
    CLEANUP_FREE uint32_t *todo = NULL;
    CLEANUP_FREE bool *seen = NULL;
    uint32_t len = 0;

    if (o->order != PLAN_ORDER_GRAPH)
        return o->order == PLAN_ORDER_SERIAL && first < last;
    todo = xcalloc(o->count, sizeof(*todo));
    seen = xcalloc(o->count, sizeof(*seen));
    todo[len++] = last;
    while (len) {
        const struct plan_flow *flow = o->flow(o->arg, todo[--len]);

        for (uint32_t i = 0; flow && i < flow->edge_count; i++) {
            uint32_t from = flow->edges[i].from;

            if (from == first)
                return true;
            if (!seen[from])
                todo[len++] = from;
            seen[from] = true;
        }
    }
    return false;
}

static bool has_ended(const struct plan *plan, uint32_t stage, uint32_t job,
                      const struct plan_jobs *from)
{
    const struct order stages = {(enum plan_order)plan->order, plan->stage_count, flow_of_stage,
                                 plan};
    const struct plan_stage *own = &plan->stages[stage];
    const struct order jobs = {(enum plan_order)own->order, own->job_count, flow_of_job, own};

    if (from->stage != stage)
        return follows(&stages, stage, from->stage);
    for (uint32_t i = 0; i < from->count; i++) {
        if (!follows(&jobs, job, from->first + i))
            return false;
    }
    return true;
}

static bool keeps(const struct spec_artifacts *artifacts)
{
    for (size_t i = 0; i < artifacts->len; i++) {
        if (artifacts->items[i].paths.len)
            return true;
    }
    return false;
}

static bool job_keeps(const struct plan_job *job)
{
    bool any = job->spec && keeps(&job->spec->artifacts);

    for (uint32_t i = 0; i < job->step_count && !any; i++)
        any = keeps(&job->steps[i].spec->artifacts);
    return any;
}

static void report_unknown(const struct plan *plan, const struct spec_str *name,
                           struct diag_list *diags)
{
    struct nearest nearest = {.text = name->text};
    CLEANUP_BUF struct buf hint = BUF_INIT;

    for (uint32_t i = 0; i < plan->stage_count; i++) {
        for (uint32_t j = 0; j < plan->stages[i].job_count; j++) {
            if (plan->stages[i].jobs[j].kind == PLAN_PLAIN)
                nearest_offer(&nearest, plan->stages[i].jobs[j].name);
        }
    }
    if (nearest.best)
        buf_addf(&hint, "; did you mean \"%s\"?", nearest.best);
    diag_add(diags, DIAG_ERROR, name->pos, "",
             "\"from\" names the job \"%s\", which is not there%s", name->text, hint.data);
}

static void check_source(const struct plan *plan, uint32_t stage, uint32_t job,
                         const struct spec_str *name, struct diag_list *diags)
{
    struct plan_jobs from;

    if (!plan_find_jobs(plan, name->text, &from))
        report_unknown(plan, name, diags);
    else if (!job_keeps(&plan->stages[from.stage].jobs[from.first]))
        diag_add(diags, DIAG_ERROR, name->pos, "", "the job \"%s\" keeps no artifacts", name->text);
    else if (!has_ended(plan, stage, job, &from))
        diag_add(
            diags, DIAG_ERROR, name->pos, "",
            "the job \"%s\" need not have ended when this one starts; add it to \"depends_on\"",
            name->text);
}

void plan_check_artifact_sources(const struct plan *plan, uint32_t stage, uint32_t job,
                                 struct diag_list *diags)
{
    const struct spec_job *spec = plan->stages[stage].jobs[job].spec;

    for (size_t i = 0; spec && i < spec->artifacts.len; i++) {
        const struct spec_strs *from = &spec->artifacts.items[i].from;

        for (size_t j = 0; j < from->len; j++)
            check_source(plan, stage, job, &from->items[j], diags);
    }
}
