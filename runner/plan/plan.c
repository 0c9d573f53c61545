/* Building goes from names to meaning: first every level gets its siblings and their names, then
 * these are linked, and last everything that refers to them is checked. */
#include "plan/plan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "plan/artifacts.h"
#include "plan/check.h"
#include "plan/hosts.h"
#include "plan/inputs.h"
#include "plan/link.h"
#include "plan/settings.h"
#include "plan/spread.h"

struct build {
    struct plan *plan;
    struct diag_list *diags;
    bool *checked_hosts; /* by index */
};

/* --- names --- */

/* A name with its ${…} expanded in the scope around it; "LEVEL-N" when there is none. */
static char *make_name(const struct build *b, const struct plan_scope *scope,
                       const struct spec_str *name, const char *level, size_t index)
{
    char *expanded;

    if (!name->text)
        return xasprintf("%s-%zu", level, index + 1);
    expanded = plan_expand_at(b->plan, scope, name, b->diags);
    return expanded ? expanded : xstrdup(name->text);
}

/* "Build & test" becomes "build-test". */
static char *make_slug(const char *name)
{
    char *slug = xstrdup(name);
    char *to = slug;

    for (const char *from = name; *from; from++) {
        unsigned char c = (unsigned char)*from;

        if (isalnum(c) || c == '_' || c >= 0x80)
            *to++ = (char)tolower(c);
        else if (to > slug && to[-1] != '-')
            *to++ = '-';
    }
    while (to > slug && to[-1] == '-')
        to--;
    *to = '\0';
    return slug;
}

/* --- hooks --- */

static const struct spec_step *hook_spec(const struct build *b, const struct spec_str *command)
{
    struct spec_step *spec = xcalloc(1, sizeof(*spec));

    spec->pos = command->pos;
    spec->command = *command;
    spec_common_init(&spec->common);
    vec_push(&b->plan->hooks, spec);
    return spec;
}

static size_t post_count(const struct spec_post *post)
{
    return !!post->success.text + !!post->failure.text + !!post->cancelled.text +
           !!post->always.text;
}

static void init_hook_step(const struct build *b, const struct plan_job *job,
                           struct plan_step *step, const struct spec_str *command,
                           enum plan_kind kind, enum plan_post post)
{
    step->spec = hook_spec(b, command);
    step->scope = (struct plan_scope){&job->scope, &step->spec->common, job, false};
    step->name = xstrdup(kind == PLAN_PRE ? "pre" : "post");
    step->id = xstrdup(step->name);
    step->kind = kind;
    step->post = post;
}

/* The steps of a `post`, in the order in which those that are called for run. */
static void add_post_steps(const struct build *b, struct plan_job *job,
                           const struct spec_post *post)
{
    const struct spec_str *commands[] = {
        [PLAN_POST_SUCCESS] = &post->success,
        [PLAN_POST_FAILURE] = &post->failure,
        [PLAN_POST_CANCELLED] = &post->cancelled,
        [PLAN_POST_ALWAYS] = &post->always,
    };

    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        if (commands[i]->text)
            init_hook_step(b, job, &job->steps[job->step_count++], commands[i], PLAN_POST,
                           (enum plan_post)i);
    }
}

/* A job of nothing but hook steps, named like them. */
static void build_hook_job(const struct build *b, const struct plan_scope *parent,
                           struct plan_job *job, enum plan_kind kind, const struct spec_str *pre,
                           const struct spec_post *post)
{
    *job = (struct plan_job){.scope = {parent, &b->plan->no_settings, job, false},
                             .name = xstrdup(kind == PLAN_PRE ? "pre" : "post"),
                             .kind = kind,
                             .order = PLAN_ORDER_SERIAL};
    job->steps = xcalloc(pre ? 1 : post_count(post), sizeof(*job->steps));
    if (pre)
        init_hook_step(b, job, &job->steps[job->step_count++], pre, kind, PLAN_POST_ALWAYS);
    else
        add_post_steps(b, job, post);
}

static void build_hook_stage(const struct build *b, enum plan_kind kind, const struct spec_str *pre,
                             const struct spec_post *post)
{
    struct plan_stage *stage = &b->plan->stages[b->plan->stage_count++];

    *stage = (struct plan_stage){.scope = {&b->plan->scope, &b->plan->no_settings, NULL, false},
                                 .name = xstrdup(kind == PLAN_PRE ? "pre" : "post"),
                                 .kind = kind,
                                 .fail_fast = true,
                                 .order = PLAN_ORDER_SERIAL,
                                 .jobs = xcalloc(1, sizeof(*stage->jobs)),
                                 .job_count = 1};
    build_hook_job(b, &stage->scope, &stage->jobs[0], kind, pre, post);
}

/* --- jobs and their steps --- */

static void build_step(const struct build *b, const struct plan_job *job, struct plan_step *step,
                       const struct spec_step *spec, size_t index)
{
    step->spec = spec;
    step->scope = (struct plan_scope){&job->scope, &spec->common, job, false};
    step->name = make_name(b, &job->scope, &spec->name, "step", index);
    step->id = spec->id.text ? xstrdup(spec->id.text) : make_slug(step->name);
    plan_read_conditions(spec->flow, &step->flow, b->diags);
}

static void link_steps(const struct build *b, struct plan_job *job)
{
    struct sibling *siblings = xcalloc(job->step_count, sizeof(*siblings));
    bool linked;

    for (uint32_t i = 0; i < job->step_count; i++) {
        struct plan_step *step = &job->steps[i];

        siblings[i] = (struct sibling){.id = step->id,
                                       .name = step->name,
                                       .spec = step->spec->flow,
                                       .flow = &step->flow,
                                       .kind = (enum plan_kind)step->kind,
                                       .span = 1};
    }
    linked = plan_link(siblings, job->step_count, PLAN_ORDER_SERIAL, "step", b->diags);
    job->order = linked ? PLAN_ORDER_GRAPH : PLAN_ORDER_SERIAL;
    free(siblings);
}

static void build_steps(const struct build *b, struct plan_job *job)
{
    const struct spec_job *spec = job->spec;

    job->steps = xcalloc(spec->step_count + 1 + post_count(&spec->post), sizeof(*job->steps));
    if (spec->pre.text)
        init_hook_step(b, job, &job->steps[job->step_count++], &spec->pre, PLAN_PRE,
                       PLAN_POST_ALWAYS);
    for (size_t i = 0; i < spec->step_count; i++)
        build_step(b, job, &job->steps[job->step_count++], &spec->steps[i], i);
    add_post_steps(b, job, &spec->post);
    link_steps(b, job);
}

/* Whether the name says an expression that begins so, and with it what makes the difference. */
static bool says(const struct spec_str *name, const char *expression)
{
    const char *open = name->text ? strstr(name->text, "{{") : NULL;

    return open && strstr(open, expression);
}

/* "unit" becomes "unit (a, 1, web-1)", unless the name makes the difference itself. */
static void add_difference_to_name(struct plan_job *job)
{
    CLEANUP_BUF struct buf name = BUF_INIT;
    const char *separator = " (";

    buf_addstr(&name, job->name);
    if (!says(&job->spec->name, "")) {
        strmap_foreach (axis, &job->matrix) {
            buf_addf(&name, "%s%s", separator, axis->value);
            separator = ", ";
        }
    }
    if (job->host && !says(&job->spec->name, "host")) {
        buf_addf(&name, "%s%s", separator, job->host->spec->name.text);
        separator = ", ";
    }
    if (*separator == ',')
        buf_addch(&name, ')');
    free(job->name);
    job->name = buf_steal(&name);
}

/* The job runs where the host says, whatever image it names. */
static void put_on_host(struct plan_stage *stage, struct plan_job *job)
{
    job->common = xcalloc(1, sizeof(*job->common));
    *job->common = job->spec->common;
    job->common->engine = job->host->common.engine;
    job->host_scope = (struct plan_scope){&stage->scope, &job->host->common, job, false};
    job->scope = (struct plan_scope){&job->host_scope, job->common, job, false};
}

/* What makes a job one of several; all of it may be NULL or 0. */
struct variant {
    const struct strmap *matrix;
    const struct plan_host *host;
    uint32_t batch;
    uint32_t group;
};

static void build_job(const struct build *b, struct plan_stage *stage, const struct spec_job *spec,
                      size_t index, const struct variant *variant)
{
    struct plan_job *job = &stage->jobs[stage->job_count++];
    struct plan_scope naming = {&stage->scope, &b->plan->no_settings, job, false};

    job->spec = spec;
    job->scope = (struct plan_scope){&stage->scope, &spec->common, job, false};
    job->group = variant->group;
    job->batch = variant->batch;
    job->host = variant->host;
    if (variant->matrix)
        strmap_merge(&job->matrix, variant->matrix);
    if (job->host)
        put_on_host(stage, job);
    job->name = make_name(b, &naming, &spec->name, "job", index);
    if (job->group)
        add_difference_to_name(job);
    plan_read_conditions(spec->flow, &job->flow, b->diags);
    build_steps(b, job);
}

/* The jobs of the batch before that of a job, which are right before its own. */
static void find_batch_before(const struct plan_stage *stage, uint32_t index,
                              struct sibling *sibling)
{
    const struct plan_job *job = &stage->jobs[index];

    if (job->batch < 2)
        return;
    while (stage->jobs[index].batch == job->batch)
        index--;
    sibling->after_end = index + 1;
    while (index > 0 && stage->jobs[index - 1].group == job->group &&
           stage->jobs[index - 1].batch == job->batch - 1)
        index--;
    sibling->after = index;
}

static void link_jobs(const struct build *b, struct plan_stage *stage)
{
    struct sibling *siblings = xcalloc(stage->job_count, sizeof(*siblings));

    for (uint32_t i = 0; i < stage->job_count; i++) {
        struct plan_job *job = &stage->jobs[i];
        uint32_t span = 1;

        while (job->group && i + span < stage->job_count &&
               stage->jobs[i + span].group == job->group)
            span++;
        siblings[i] =
            (struct sibling){.name = job->name,
                             .plain_name = job->group ? job->spec->name.text : NULL,
                             .spec = job->spec ? job->spec->flow : NULL,
                             .flow = &job->flow,
                             .kind = (enum plan_kind)job->kind,
                             .span = i > 0 && job->group && stage->jobs[i - 1].group == job->group
                                         ? 0
                                         : span};
        find_batch_before(stage, i, &siblings[i]);
    }
    if (plan_link(siblings, stage->job_count, (enum plan_order)stage->order, "job", b->diags))
        stage->order = PLAN_ORDER_GRAPH;
    free(siblings);
}

/* The job for each host, on it for each combination. */
static void build_variants(const struct build *b, struct plan_stage *stage, size_t index,
                           const struct plan_spread *spread)
{
    const struct spec_job *spec = &stage->spec->jobs[index];
    size_t hosts = spread->hosts.len ? spread->hosts.len : 1;
    size_t combinations = spread->combinations.len ? spread->combinations.len : 1;
    struct variant variant = {0};

    if (spread->is_group) {
        stage->groups =
            xreallocarray(stage->groups, stage->group_count + 1, sizeof(*stage->groups));
        stage->groups[stage->group_count++] = spread->group;
        variant.group = stage->group_count;
    }
    for (size_t i = 0; i < hosts; i++) {
        if (spread->hosts.len) {
            variant.host = spread->hosts.items[i];
            variant.batch = spread->batches[i];
        }
        for (size_t j = 0; j < combinations; j++) {
            if (spread->combinations.len)
                variant.matrix = &spread->combinations.items[j];
            build_job(b, stage, spec, index, &variant);
        }
    }
}

static void build_jobs(const struct build *b, struct plan_stage *stage)
{
    const struct spec_stage *spec = stage->spec;
    struct plan_spread *spreads = xcalloc(spec->job_count, sizeof(*spreads));
    size_t total = 0;

    for (size_t i = 0; i < spec->job_count; i++) {
        plan_spread_init(b->plan, stage, &spec->jobs[i], &spreads[i], b->diags);
        total += spreads[i].count;
    }
    /* Not to grow: scopes point into it. */
    stage->jobs = xcalloc(total + 2, sizeof(*stage->jobs));
    if (spec->pre.text)
        build_hook_job(b, &stage->scope, &stage->jobs[stage->job_count++], PLAN_PRE, &spec->pre,
                       NULL);
    for (size_t i = 0; i < spec->job_count; i++) {
        if (spreads[i].count)
            build_variants(b, stage, i, &spreads[i]);
        plan_spread_release(&spreads[i]);
    }
    if (post_count(&spec->post))
        build_hook_job(b, &stage->scope, &stage->jobs[stage->job_count++], PLAN_POST, NULL,
                       &spec->post);
    free(spreads);
    link_jobs(b, stage);
}

/* --- stages --- */

static void build_stage(const struct build *b, const struct spec_stage *spec, enum plan_kind kind,
                        size_t index)
{
    struct plan_stage *stage = &b->plan->stages[b->plan->stage_count++];

    stage->spec = spec;
    stage->scope = (struct plan_scope){&b->plan->scope, &spec->common, NULL, false};
    stage->kind = kind;
    stage->name = make_name(b, &b->plan->scope, &spec->name, "stage", index);
    stage->order = spec->run_mode == SPEC_RUN_MODE_SERIAL ? PLAN_ORDER_SERIAL : PLAN_ORDER_FREE;
    stage->fail_fast = spec->fail_fast != SPEC_FALSE;
    stage->max_parallel = spec->max_parallel > 0 ? (uint32_t)spec->max_parallel : 0;
    plan_read_conditions(spec->flow, &stage->flow, b->diags);
    build_jobs(b, stage);
}

static void link_stages(const struct build *b)
{
    struct plan *plan = b->plan;
    struct sibling *siblings = xcalloc(plan->stage_count, sizeof(*siblings));

    for (uint32_t i = 0; i < plan->stage_count; i++) {
        struct plan_stage *stage = &plan->stages[i];

        siblings[i] = (struct sibling){.name = stage->name,
                                       .spec = stage->spec ? stage->spec->flow : NULL,
                                       .flow = &stage->flow,
                                       .kind = (enum plan_kind)stage->kind,
                                       .span = 1};
    }
    plan->order = plan_link(siblings, plan->stage_count, PLAN_ORDER_SERIAL, "stage", b->diags)
                      ? PLAN_ORDER_GRAPH
                      : PLAN_ORDER_SERIAL;
    free(siblings);
}

static void build_stages(const struct build *b)
{
    struct plan *plan = b->plan;
    const struct spec_pipeline *spec = plan->spec;

    plan->stages = xcalloc(spec->stage_count + spec->finally_count + 2, sizeof(*plan->stages));
    if (spec->pre.text)
        build_hook_stage(b, PLAN_PRE, &spec->pre, NULL);
    for (size_t i = 0; i < spec->stage_count; i++)
        build_stage(b, &spec->stages[i], PLAN_PLAIN, i);
    for (size_t i = 0; i < spec->finally_count; i++)
        build_stage(b, &spec->finally[i], PLAN_FINALLY, i);
    if (post_count(&spec->post))
        build_hook_stage(b, PLAN_POST, NULL, &spec->post);
    link_stages(b);
}

/* --- checks --- */

static void index_steps(struct plan_job *job)
{
    for (uint32_t i = 0; i < job->step_count; i++) {
        const char *const names[] = {job->steps[i].id, job->steps[i].name};

        for (size_t j = 0; j < 2; j++) {
            uint32_t known;

            if (!text_index_find(&job->step_names, names[j], strlen(names[j]), &known))
                text_index_set(&job->step_names, names[j], strlen(names[j]), i);
        }
    }
}

/* A host is said to be wrong once, where the first of its jobs is. */
static void check_host(const struct build *b, struct plan_job *job)
{
    CLEANUP_DIAG_LIST struct diag_list same = {0};
    bool *checked = &b->checked_hosts[job->host - b->plan->hosts];

    plan_check_scope(b->plan, &job->host_scope, *checked ? &same : b->diags);
    *checked = true;
}

static void check_job(const struct build *b, struct plan_job *job, struct diag_list *diags)
{
    if (job->host)
        check_host(b, job);
    plan_check_scope(b->plan, &job->scope, diags);
    plan_check_conditions(b->plan, &job->scope, job->flow, diags);
    if (job->spec) {
        plan_check_concurrency(b->plan, &job->scope, job->spec->concurrency, diags);
        plan_check_caches(b->plan, &job->scope, job->spec->caches, job->spec->cache_count, diags);
        plan_check_services(b->plan, &job->scope, &job->spec->services, &b->plan->spec->services,
                            diags);
    }
    plan_check_job_artifacts(b->plan, job, diags);
    for (uint32_t i = 0; i < job->step_count; i++) {
        struct plan_step *step = &job->steps[i];

        plan_check_step(b->plan, step, diags);
        plan_check_conditions(b->plan, &step->scope, step->flow, diags);
        plan_check_caches(b->plan, &step->scope, step->spec->caches, step->spec->cache_count,
                          diags);
    }
}

/* What is wrong in the file is said once, not for every job of a group. */
static void check_all(const struct build *b)
{
    struct plan *plan = b->plan;

    plan_check_services(plan, &plan->scope, &plan->spec->services, NULL, b->diags);
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        struct plan_stage *stage = &plan->stages[i];
        uint32_t group = 0;

        plan_check_scope(plan, &stage->scope, b->diags);
        plan_check_conditions(plan, &stage->scope, stage->flow, b->diags);
        for (uint32_t j = 0; j < stage->job_count; j++) {
            struct plan_job *job = &stage->jobs[j];
            CLEANUP_DIAG_LIST struct diag_list same = {0};
            bool is_first = !job->group || job->group != group;

            check_job(b, job, is_first ? b->diags : &same);
            plan_check_artifact_sources(plan, i, j, is_first ? b->diags : &same);
            group = job->group;
        }
    }
}

static void complete(const struct build *b)
{
    struct plan *plan = b->plan;

    for (uint32_t i = 0; i < plan->stage_count; i++) {
        for (uint32_t j = 0; j < plan->stages[i].job_count; j++)
            index_steps(&plan->stages[i].jobs[j]);
    }
    plan->complete = true;
}

/* -w, else the file's workdir, else the current directory. */
static void set_workdir(const struct build *b)
{
    struct plan *plan = b->plan;
    const struct plan_inputs *inputs = &plan->inputs;
    CLEANUP_FREE char *expanded = NULL;
    CLEANUP_FREE char *joined = NULL;

    if (inputs->workdir)
        expanded = xstrdup(inputs->workdir);
    else if (plan->spec->common.workdir.text)
        expanded = plan_expand_at(plan, &plan->scope, &plan->spec->common.workdir, b->diags);
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
    size_t errors_at_first = diags->error_count;
    size_t errors_before;

    plan->spec = spec;
    plan->inputs = *inputs;
    plan->scope = (struct plan_scope){.common = &spec->common};
    spec_common_init(&plan->no_settings);
    if (inputs->automatic)
        strmap_merge(&plan->automatic, inputs->automatic);
    plan->workdir = xstrdup(inputs->current_dir);
    inputs_resolve(plan, diags);
    errors_before = diags->error_count;
    plan->name = make_name(&b, &plan->scope, &spec->name, "pipeline", 0);
    strmap_set(&plan->automatic, "PIPELINE_NAME", plan->name);
    set_workdir(&b);
    strmap_set(&plan->automatic, "PIPELINE_WORKDIR", plan->workdir);
    plan_check_scope(plan, &plan->scope, diags);
    plan_check_concurrency(plan, &plan->scope, spec->concurrency, diags);
    if (diags->error_count == errors_before)
        plan_hosts_init(plan, diags);
    if (diags->error_count == errors_before)
        build_stages(&b);
    if (diags->error_count == errors_before) {
        complete(&b);
        b.checked_hosts = xcalloc(plan->host_count, sizeof(*b.checked_hosts));
        check_all(&b);
        free(b.checked_hosts);
    }
    if (diags->error_count == errors_at_first)
        return plan;
    plan_free(plan);
    return NULL;
}

/* --- the end --- */

static void release_job(struct plan_job *job)
{
    for (uint32_t i = 0; i < job->step_count; i++) {
        free(job->steps[i].name);
        free(job->steps[i].id);
        plan_flow_free(job->steps[i].flow);
    }
    free(job->steps);
    free(job->name);
    strmap_release(&job->matrix);
    free(job->common);
    text_index_release(&job->step_names);
    plan_flow_free(job->flow);
}

static void release_stage(struct plan_stage *stage)
{
    for (uint32_t i = 0; i < stage->job_count; i++)
        release_job(&stage->jobs[i]);
    free(stage->jobs);
    free(stage->groups);
    free(stage->name);
    plan_flow_free(stage->flow);
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (uint32_t i = 0; i < plan->stage_count; i++)
        release_stage(&plan->stages[i]);
    free(plan->stages);
    plan_hosts_release(plan);
    vec_foreach (struct spec_step **, hook, &plan->hooks)
        free(*hook);
    vec_release(&plan->hooks);
    free(plan->name);
    free(plan->workdir);
    strmap_release(&plan->automatic);
    strmap_release(&plan->parameters);
    free(plan);
}

/* --- looking --- */

const struct plan_step *plan_find_step(const struct plan_job *job, const char *name)
{
    uint32_t number;

    if (!text_index_find(&job->step_names, name, strlen(name), &number))
        return NULL;
    return &job->steps[number];
}

static bool is_called(const struct plan_job *job, const char *name)
{
    return strcmp(job->name, name) == 0 ||
           (job->group && job->spec->name.text && strcmp(job->spec->name.text, name) == 0);
}

bool plan_find_jobs(const struct plan *plan, const char *name, struct plan_jobs *ret)
{
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const struct plan_stage *stage = &plan->stages[i];

        for (uint32_t j = 0; j < stage->job_count; j++) {
            if (!is_called(&stage->jobs[j], name))
                continue;
            *ret = (struct plan_jobs){.stage = i, .first = j, .count = 1};
            while (stage->jobs[j].group && j + ret->count < stage->job_count &&
                   stage->jobs[j + ret->count].group == stage->jobs[j].group &&
                   is_called(&stage->jobs[j + ret->count], name))
                ret->count++;
            return true;
        }
    }
    return false;
}

const struct plan_stage *plan_find_stage(const struct plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        if (strcmp(plan->stages[i].name, name) == 0)
            return &plan->stages[i];
    }
    return NULL;
}

int64_t plan_timeout_ms(const struct plan_scope *scope)
{
    return scope->common->timeout_ms == SPEC_UNSET ? 0 : scope->common->timeout_ms;
}

int64_t plan_schedule_timeout_ms(const struct plan_job *job)
{
    int64_t longest_ms = 0;

    for (uint32_t i = 0; i < job->step_count; i++) {
        const struct plan_scope *scope = &job->steps[i].scope;

        while (scope->parent && scope->common->schedule_timeout_ms == SPEC_UNSET)
            scope = scope->parent;
        if (scope->common->schedule_timeout_ms > longest_ms)
            longest_ms = scope->common->schedule_timeout_ms;
    }
    return longest_ms;
}
