#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "plan/check.h"
#include "plan/settings.h"

struct build {
    struct plan *plan;
    struct diag_list *diags;
};

/* A name with its ${…} expanded in the scope around it; "LEVEL-N" when there is none. */
static char *make_name(const struct build *b, const struct plan_scope *parent,
                       const struct spec_str *name, const char *level, size_t index)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    char *expanded = NULL;

    if (!name->text)
        return xasprintf("%s-%zu", level, index + 1);
    if (!plan_is_template(name))
        return xstrdup(name->text);
    if (plan_settings_resolve(b->plan, parent, &settings, NULL, NULL) < 0 ||
        plan_expand(b->plan, &settings, name, &expanded, b->diags, NULL) < 0)
        return xstrdup(name->text);
    return expanded;
}

static void build_step(const struct build *b, const struct plan_job *job, struct plan_step *step,
                       const struct spec_step *spec, size_t index)
{
    step->spec = spec;
    step->scope = (struct plan_scope){.parent = &job->scope, .common = &spec->common};
    step->name = make_name(b, &job->scope, &spec->name, "step", index);
    plan_check_step(b->plan, step, b->diags);
}

static void build_job(const struct build *b, const struct plan_stage *stage, struct plan_job *job,
                      const struct spec_job *spec, size_t index)
{
    job->scope = (struct plan_scope){.parent = &stage->scope, .common = &spec->common};
    job->name = make_name(b, &stage->scope, &spec->name, "job", index);
    plan_check_scope(b->plan, &job->scope, b->diags);
    job->step_count = (uint32_t)spec->step_count;
    job->steps = xcalloc(spec->step_count, sizeof(*job->steps));
    for (size_t i = 0; i < spec->step_count; i++)
        build_step(b, job, &job->steps[i], &spec->steps[i], i);
}

static void build_stage(const struct build *b, struct plan_stage *stage,
                        const struct spec_stage *spec, size_t index)
{
    stage->scope = (struct plan_scope){.parent = &b->plan->scope, .common = &spec->common};
    stage->name = make_name(b, &b->plan->scope, &spec->name, "stage", index);
    plan_check_scope(b->plan, &stage->scope, b->diags);
    stage->serial = spec->run_mode == SPEC_RUN_MODE_SERIAL;
    stage->fail_fast = spec->fail_fast != SPEC_FALSE;
    stage->max_parallel = spec->max_parallel > 0 ? (uint32_t)spec->max_parallel : 0;
    stage->job_count = (uint32_t)spec->job_count;
    stage->jobs = xcalloc(spec->job_count, sizeof(*stage->jobs));
    for (size_t i = 0; i < spec->job_count; i++)
        build_job(b, stage, &stage->jobs[i], &spec->jobs[i], i);
}

/* A stage of one job of the given hook steps, all of them named like the stage. */
static void build_hook(const struct build *b, struct plan_stage *stage, enum plan_stage_kind kind,
                       const struct spec_step *const *specs, size_t count)
{
    const char *name = kind == PLAN_STAGE_PRE ? "pre" : "post";
    struct plan_job *job = xcalloc(1, sizeof(*job));

    *stage = (struct plan_stage){.scope = {&b->plan->scope, &b->plan->no_settings},
                                 .name = xstrdup(name),
                                 .kind = kind,
                                 .fail_fast = true,
                                 .jobs = job,
                                 .job_count = 1};
    job->scope = (struct plan_scope){&stage->scope, &b->plan->no_settings};
    job->name = xstrdup(name);
    job->steps = xcalloc(count, sizeof(*job->steps));
    job->step_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        job->steps[i].spec = specs[i];
        job->steps[i].scope = (struct plan_scope){&job->scope, &specs[i]->common};
        job->steps[i].name = xstrdup(name);
    }
}

static void init_hook_step(struct spec_step *step, const struct spec_str *command)
{
    *step = (struct spec_step){.pos = command->pos, .command = *command};
    spec_common_init(&step->common);
}

static void build_stages(const struct build *b)
{
    struct plan *plan = b->plan;
    const struct spec_pipeline *spec = plan->spec;
    const struct spec_step *pre = &plan->pre;
    const struct spec_step *post[4];
    size_t post_count = 0;

    spec_common_init(&plan->no_settings);
    init_hook_step(&plan->pre, &spec->pre);
    init_hook_step(&plan->post[PLAN_POST_SUCCESS], &spec->post.success);
    init_hook_step(&plan->post[PLAN_POST_FAILURE], &spec->post.failure);
    init_hook_step(&plan->post[PLAN_POST_CANCELLED], &spec->post.cancelled);
    init_hook_step(&plan->post[PLAN_POST_ALWAYS], &spec->post.always);
    for (size_t i = 0; i < 4; i++) {
        if (plan->post[i].command.text)
            post[post_count++] = &plan->post[i];
    }
    plan->stages = xcalloc(spec->stage_count + 2, sizeof(*plan->stages));
    if (spec->pre.text)
        build_hook(b, &plan->stages[plan->stage_count++], PLAN_STAGE_PRE, &pre, 1);
    for (size_t i = 0; i < spec->stage_count; i++)
        build_stage(b, &plan->stages[plan->stage_count++], &spec->stages[i], i);
    if (post_count)
        build_hook(b, &plan->stages[plan->stage_count++], PLAN_STAGE_POST, post, post_count);
}

/* -w, else the file's workdir, else the current directory. */
static void set_workdir(const struct build *b)
{
    struct plan *plan = b->plan;
    const struct plan_inputs *inputs = &plan->inputs;
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    CLEANUP_FREE char *expanded = NULL;
    CLEANUP_FREE char *joined = NULL;

    if (inputs->workdir)
        expanded = xstrdup(inputs->workdir);
    else if (plan_settings_resolve(plan, &plan->scope, &settings, NULL, NULL) < 0 ||
             plan_expand(plan, &settings, &plan->spec->common.workdir, &expanded, b->diags, NULL) <
                 0)
        return;
    if (!expanded || !*expanded)
        return;
    joined = fs_join(inputs->current_dir, expanded);
    free(plan->workdir);
    plan->workdir = fs_absolute(joined);
}

struct plan *plan_build(const struct spec_pipeline *spec, const struct plan_inputs *inputs,
                        struct diag_list *diags)
{
    struct plan *plan = xcalloc(1, sizeof(*plan));
    struct build b = {.plan = plan, .diags = diags};
    size_t errors_before = diags->error_count;

    plan->spec = spec;
    plan->inputs = *inputs;
    plan->scope = (struct plan_scope){.common = &spec->common};
    if (inputs->automatic)
        strmap_merge(&plan->automatic, inputs->automatic);
    plan->workdir = xstrdup(inputs->current_dir);
    plan->name = make_name(&b, &plan->scope, &spec->name, "pipeline", 0);
    strmap_set(&plan->automatic, "PIPELINE_NAME", plan->name);
    set_workdir(&b);
    strmap_set(&plan->automatic, "PIPELINE_WORKDIR", plan->workdir);
    plan_check_scope(plan, &plan->scope, diags);
    if (diags->error_count == errors_before)
        build_stages(&b);
    if (diags->error_count == errors_before)
        return plan;
    plan_free(plan);
    return NULL;
}

static void release_job(struct plan_job *job)
{
    for (uint32_t i = 0; i < job->step_count; i++)
        free(job->steps[i].name);
    free(job->steps);
    free(job->name);
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        struct plan_stage *stage = &plan->stages[i];

        for (uint32_t j = 0; j < stage->job_count; j++)
            release_job(&stage->jobs[j]);
        free(stage->jobs);
        free(stage->name);
    }
    free(plan->stages);
    free(plan->name);
    free(plan->workdir);
    strmap_release(&plan->automatic);
    free(plan);
}

enum plan_post plan_post_of(const struct plan *plan, const struct plan_step *step)
{
    return (enum plan_post)(step->spec - plan->post);
}

int64_t plan_timeout_ms(const struct plan_scope *scope)
{
    return scope->common->timeout_ms == SPEC_UNSET ? 0 : scope->common->timeout_ms;
}
