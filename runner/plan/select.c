#include "plan/select.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/nearest.h"

static const char not_only[] = "left out: it is none of the jobs of --only";
static const char by_skip[] = "left out by --skip";
static const char before_from[] = "left out: it does not come after a stage of --from";
static const char no_jobs[] = "left out: all of its jobs are";

static bool matches(const char *pattern, const char *name)
{
    return strcmp(pattern, name) == 0 || fnmatch(pattern, name, 0) == 0;
}

static bool matches_in_stage(const char *pattern, const struct plan_stage *stage, const char *name)
{
    CLEANUP_FREE char *full = xasprintf("%s/%s", stage->name, name);

    return matches(pattern, name) || matches(pattern, full);
}

static bool matches_job(const char *pattern, const struct plan_stage *stage,
                        const struct plan_job *job)
{
    return matches_in_stage(pattern, stage, job->name) ||
           (job->group && job->spec->name.text &&
            matches_in_stage(pattern, stage, job->spec->name.text));
}

/* --- jobs --- */

static int unknown_job(const struct plan *plan, const char *option, const char *pattern,
                       struct err *err)
{
    struct nearest nearest = {.text = pattern};

    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const struct plan_stage *stage = &plan->stages[i];

        if (strcmp(stage->name, pattern) == 0)
            return err_set(err, ERR_INVALID,
                           "%s takes jobs, but \"%s\" is a stage; write \"%s/*\" for all of its "
                           "jobs",
                           option, pattern, pattern);
        for (uint32_t j = 0; j < stage->job_count; j++) {
            if (stage->jobs[j].kind == PLAN_PLAIN)
                nearest_offer(&nearest, stage->jobs[j].name);
        }
    }
    if (nearest.best)
        return err_set(err, ERR_INVALID, "%s: there is no job \"%s\"; did you mean \"%s\"?", option,
                       pattern, nearest.best);
    return err_set(err, ERR_INVALID, "%s: there is no job \"%s\"; see \"runner plan\"", option,
                   pattern);
}

/* Sets `chosen`, by stage and job in the order of the plan, for those that a pattern matches. */
static int choose_jobs(const struct plan *plan, const char *option, const struct strvec *patterns,
                       bool *chosen, struct err *err)
{
    for (size_t p = 0; p < patterns->len; p++) {
        bool found = false;
        size_t at = 0;

        for (uint32_t i = 0; i < plan->stage_count; i++) {
            const struct plan_stage *stage = &plan->stages[i];

            for (uint32_t j = 0; j < stage->job_count; j++, at++) {
                if (stage->jobs[j].kind != PLAN_PLAIN ||
                    !matches_job(patterns->items[p], stage, &stage->jobs[j]))
                    continue;
                chosen[at] = true;
                found = true;
            }
        }
        if (!found)
            return unknown_job(plan, option, patterns->items[p], err);
    }
    return 0;
}

/* Leaves out the jobs that the option says: those that are chosen, or all others. */
static int leave_out_jobs(struct plan *plan, const char *option, const struct strvec *patterns,
                          bool leave_chosen, const char *why, struct err *err)
{
    CLEANUP_FREE bool *chosen = NULL;
    size_t count = 0;
    size_t at = 0;

    if (!patterns || !patterns->len)
        return 0;
    for (uint32_t i = 0; i < plan->stage_count; i++)
        count += plan->stages[i].job_count;
    chosen = xcalloc(count, sizeof(*chosen));
    if (choose_jobs(plan, option, patterns, chosen, err) < 0)
        return -1;
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        for (uint32_t j = 0; j < plan->stages[i].job_count; j++, at++) {
            struct plan_job *job = &plan->stages[i].jobs[j];

            if (job->kind == PLAN_PLAIN && !job->left_out && chosen[at] == leave_chosen)
                job->left_out = why;
        }
    }
    return 0;
}

/* --- stages --- */

static bool is_hook(const struct plan_stage *stage)
{
    return stage->kind == PLAN_PRE || stage->kind == PLAN_POST;
}

static int unknown_stage(const struct plan *plan, const char *pattern, struct err *err)
{
    struct nearest nearest = {.text = pattern};

    for (uint32_t i = 0; i < plan->stage_count; i++) {
        if (!is_hook(&plan->stages[i]))
            nearest_offer(&nearest, plan->stages[i].name);
    }
    if (nearest.best)
        return err_set(err, ERR_INVALID, "--from: there is no stage \"%s\"; did you mean \"%s\"?",
                       pattern, nearest.best);
    return err_set(err, ERR_INVALID, "--from: there is no stage \"%s\"; see \"runner plan\"",
                   pattern);
}

static bool follows(const struct plan *plan, uint32_t index, const bool *reached)
{
    const struct plan_flow *flow = plan->stages[index].flow;

    if (plan->order == PLAN_ORDER_SERIAL)
        return index > 0 && reached[index - 1];
    for (uint32_t i = 0; flow && i < flow->edge_count; i++) {
        if (reached[flow->edges[i].from])
            return true;
    }
    return false;
}

/* Goes on until nothing is added: a stage may depend on one that stands behind it in the file. */
static void reach(const struct plan *plan, bool *reached)
{
    bool more = true;

    while (more) {
        more = false;
        for (uint32_t i = 0; i < plan->stage_count; i++) {
            if (!reached[i] && follows(plan, i, reached))
                reached[i] = more = true;
        }
    }
}

static int leave_out_stages(struct plan *plan, const struct strvec *from, struct err *err)
{
    CLEANUP_FREE bool *reached = NULL;

    if (!from || !from->len)
        return 0;
    reached = xcalloc(plan->stage_count, sizeof(*reached));
    for (size_t p = 0; p < from->len; p++) {
        bool found = false;

        for (uint32_t i = 0; i < plan->stage_count; i++) {
            if (!is_hook(&plan->stages[i]) && matches(from->items[p], plan->stages[i].name))
                reached[i] = found = true;
        }
        if (!found)
            return unknown_stage(plan, from->items[p], err);
    }
    reach(plan, reached);
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        if (!reached[i] && !is_hook(&plan->stages[i]))
            plan->stages[i].left_out = before_from;
    }
    return 0;
}

/* Jobs go with their stage, and a stage goes with the last of its jobs, hooks and all. */
static void spread(struct plan_stage *stage)
{
    bool has_jobs = false;

    for (uint32_t i = 0; i < stage->job_count; i++)
        has_jobs = has_jobs || (stage->jobs[i].kind == PLAN_PLAIN && !stage->jobs[i].left_out);
    if (!stage->left_out && !has_jobs)
        stage->left_out = no_jobs;
    for (uint32_t i = 0; stage->left_out && i < stage->job_count; i++) {
        if (!stage->jobs[i].left_out)
            stage->jobs[i].left_out = stage->left_out;
    }
}

int plan_select(struct plan *plan, const struct plan_selection *selection, struct err *err)
{
    bool is_something_left = false;

    if (leave_out_stages(plan, selection->from, err) < 0 ||
        leave_out_jobs(plan, "--only", selection->only, false, not_only, err) < 0 ||
        leave_out_jobs(plan, "--skip", selection->skip, true, by_skip, err) < 0)
        return -1;
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        if (is_hook(&plan->stages[i]))
            continue;
        spread(&plan->stages[i]);
        is_something_left = is_something_left || !plan->stages[i].left_out;
    }
    return is_something_left ? 0
                             : err_set(err, ERR_INVALID,
                                       "nothing is left to run: --only, --skip and --from leave "
                                       "out every job");
}
