#include "plan/outline.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "plan/check.h"
#include "plan/inputs.h"
#include "plan/settings.h"

/* --- conditions --- */

/* Stands in for the run while a condition is evaluated before it. */
struct foresight {
    const struct plan *plan;
    const struct outline *node;
    bool all_goes_well; /* success() is true, and so on; else they are not known */
    bool late;          /* something in the settings there needs the run */
    bool unknown;       /* something was asked that only a run knows */
};

static int ask_value(void *arg, const char *const *path, size_t len, struct expr_value *ret,
                     struct err *err)
{
    struct foresight *f = arg;

    (void)path;
    (void)len;
    (void)ret;
    (void)err;
    f->unknown = true;
    return 0;
}

static int ask_function(void *arg, const char *function, const struct expr_value *args,
                        size_t count, struct expr_value *ret, struct err *err)
{
    static const char *const status[] = {"failure", "success", "cancelled", "always"};
    struct foresight *f = arg;

    (void)args;
    (void)count;
    (void)err;
    for (size_t i = 0; i < sizeof(status) / sizeof(*status); i++) {
        if (strcmp(status[i], function) == 0 && (f->all_goes_well || i == 3)) {
            *ret = expr_bool(i % 2);
            return 0;
        }
    }
    f->unknown = true;
    return 0;
}

static bool is_secret(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->spec->secret_count; i++) {
        if (strcmp(plan->spec->secrets[i].name.text, name) == 0)
            return true;
    }
    return false;
}

/* Whether the value of a variable is not known: a level has an expression in it that needs the run,
 * a step before this one can still set it, or it is made of a secret that has not been read. */
static bool is_late(const struct foresight *f, const char *name)
{
    const struct strmap *overrides = f->plan->inputs.overrides;
    bool without_secrets = f->plan->inputs.incomplete && f->plan->spec->secret_count;

    if (without_secrets && is_secret(f->plan, name))
        return true;
    if (overrides && strmap_has(overrides, name))
        return false;
    if (f->node->step && f->node->index > 0)
        return true;
    for (const struct plan_scope *scope = f->node->scope; (f->late || without_secrets) && scope;
         scope = scope->parent) {
        const struct spec_pairs *pairs = &scope->common->environment;

        for (size_t i = 0; i < pairs->len; i++) {
            if (strcmp(pairs->items[i].key, name) == 0)
                return plan_is_template(&pairs->items[i].value);
        }
    }
    return false;
}

/* Whether an input stands for one that the run will be given. */
static bool is_missing(const struct plan *plan, const char *name)
{
    const struct strmap *parameters = plan->inputs.parameters;
    const struct spec_input *input = inputs_find(plan, name);

    return plan->inputs.incomplete && input && !input->preset.text &&
           !(parameters && strmap_has(parameters, name));
}

static int note_name(void *arg, const char *const *path, size_t len, size_t offset, struct err *err)
{
    struct foresight *f = arg;

    (void)offset;
    (void)err;
    if ((strcmp(path[0], "env") == 0 && (len < 2 || is_late(f, path[1]))) ||
        (strcmp(path[0], "inputs") == 0 && (len < 2 || is_missing(f->plan, path[1]))))
        f->unknown = true;
    return 0;
}

/* Whether the condition is false for certain. */
static bool is_false(struct foresight *f, const struct plan_settings *settings,
                     const struct expr *condition, const struct spec_str *text)
{
    bool holds = true;

    f->unknown = false;
    if (!condition || expr_check(condition, note_name, f, NULL, NULL) < 0 ||
        plan_condition(f->plan, settings, condition, text, &holds, NULL) < 0)
        return false;
    return !holds && !f->unknown;
}

/* Whether `when.env` fails for certain. */
static bool misses_env(struct foresight *f, const struct plan_settings *settings,
                       const struct spec_when *when, struct buf *why)
{
    for (size_t i = 0; i < when->env.len; i++) {
        if (is_late(f, when->env.items[i].key))
            return false;
    }
    return !plan_env_matches(f->plan, settings, &when->env, why);
}

/* Why its conditions do not hold for certain, or if all goes well; NULL: they may. The caller
 * frees.
 */
static char *false_condition(const struct plan *plan, const struct outline *node,
                             bool all_goes_well)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    CLEANUP_BUF struct buf why = BUF_INIT;
    struct foresight f = {.plan = plan, .node = node, .all_goes_well = all_goes_well};
    const struct plan_runtime runtime = {.value = ask_value, .call = ask_function, .arg = &f};
    const struct plan_flow *flow = node->flow;
    const struct spec_str *text = NULL;

    if (!flow || !flow->spec || (!flow->condition && !flow->spec->when) ||
        plan_settings_resolve(plan, node->scope, &runtime, &settings, NULL, NULL, NULL) < 0)
        return NULL;
    f.late = f.unknown;
    if (is_false(&f, &settings, flow->condition, &flow->spec->condition))
        text = &flow->spec->condition;
    else if (flow->spec->when && misses_env(&f, &settings, flow->spec->when, &why))
        return buf_steal(&why);
    else if (is_false(&f, &settings, flow->when_expr,
                      flow->when_expr ? &flow->spec->when->expr : NULL))
        text = &flow->spec->when->expr;
    return text ? xasprintf("the condition \"%s\" does not hold", text->text) : NULL;
}

/* --- what will not run --- */

static void skip(struct outline *node, enum reason reason, char *why)
{
    node->reason = reason;
    node->skipped = why;
    node->runs = false;
}

/* The rules of docs/flow.md, as far as they are known to apply. */
static void look_at_dependencies(struct outline *node, const struct outline *siblings)
{
    const struct plan_flow *flow = node->flow;

    for (uint32_t i = 0; flow && i < flow->edge_count; i++) {
        const struct plan_edge *edge = &flow->edges[i];
        const struct outline *from = &siblings[edge->from];
        bool fails = edge->condition == SPEC_CONDITION_FAILED;
        bool misses =
            fails ? from->skipped != NULL : from->skipped && from->reason != REASON_POLICY;

        if (edge->condition == SPEC_CONDITION_COMPLETED || !misses ||
            (!edge->given && flow->asks_status))
            continue;
        skip(node, fails ? REASON_NONE : REASON_DEPENDENCY,
             xasprintf("it needs \"%s\" to %s, which is skipped", from->name,
                       fails ? "fail" : "succeed"));
        return;
    }
}

static bool wants_failure(const struct spec_when *when)
{
    for (size_t i = 0; when && i < when->status.len; i++) {
        if (strcmp(when->status.items[i].text, "success") == 0)
            return false;
    }
    return when && when->status.len > 0;
}

/* Whether it is for a failure or a cancel only. */
static bool is_for_trouble(const struct plan *plan, const struct outline *node)
{
    const struct plan_flow *flow = node->flow;
    CLEANUP_FREE char *why = NULL;

    if (node->step && node->kind == PLAN_POST)
        return node->step->post == PLAN_POST_FAILURE || node->step->post == PLAN_POST_CANCELLED;
    for (uint32_t i = 0; flow && i < flow->edge_count; i++) {
        if (flow->edges[i].condition == SPEC_CONDITION_FAILED)
            return true;
    }
    if (flow && flow->spec && wants_failure(flow->spec->when))
        return true;
    why = false_condition(plan, node, true);
    return why != NULL;
}

static void foresee(const struct plan *plan, struct outline *node, const struct outline *siblings)
{
    const char *left_out = node->stage ? node->stage->left_out
                           : node->job ? node->job->left_out
                                       : NULL;
    char *why;

    node->runs = node->up->runs;
    if (left_out) {
        skip(node, REASON_POLICY, xstrdup(left_out));
        return;
    }
    look_at_dependencies(node, siblings);
    if (node->skipped)
        return;
    why = false_condition(plan, node, false);
    if (why)
        skip(node, REASON_NONE, why);
    else if (is_for_trouble(plan, node))
        node->runs = false;
}

/* A hook of which no step is called for does not run. */
static void settle_hook(struct outline *node)
{
    bool is_called_for = node->kind != PLAN_POST;

    for (uint32_t i = 0; i < node->count; i++)
        is_called_for = is_called_for || node->children[i].runs;
    node->runs = node->runs && is_called_for;
}

/* --- the tree --- */

static void add_children(struct outline *node, uint32_t count, enum plan_order order)
{
    node->children = xcalloc(count, sizeof(*node->children));
    node->count = count;
    node->order = order;
    for (uint32_t i = 0; i < count; i++) {
        node->children[i].up = node;
        node->children[i].level = node->level + 1;
        node->children[i].index = i;
    }
}

static void foresee_children(const struct plan *plan, struct outline *node)
{
    CLEANUP_FREE uint32_t *sorted = outline_sorted(node);

    for (uint32_t i = 0; i < node->count; i++)
        foresee(plan, &node->children[sorted[i]], node->children);
}

static void add_steps(const struct plan *plan, struct outline *node)
{
    const struct plan_job *job = node->job;

    add_children(node, job->step_count, (enum plan_order)job->order);
    for (uint32_t i = 0; i < node->count; i++) {
        const struct plan_step *step = &job->steps[i];
        struct outline *child = &node->children[i];

        child->name = step->name;
        child->scope = &step->scope;
        child->flow = step->flow;
        child->step = step;
        child->kind = (enum plan_kind)step->kind;
    }
    foresee_children(plan, node);
    settle_hook(node);
}

static void add_jobs(const struct plan *plan, struct outline *node)
{
    const struct plan_stage *stage = node->stage;

    add_children(node, stage->job_count, (enum plan_order)stage->order);
    for (uint32_t i = 0; i < node->count; i++) {
        const struct plan_job *job = &stage->jobs[i];
        struct outline *child = &node->children[i];

        child->name = job->name;
        child->scope = &job->scope;
        child->flow = job->flow;
        child->job = job;
        child->kind = (enum plan_kind)job->kind;
    }
    foresee_children(plan, node);
    for (uint32_t i = 0; i < node->count; i++)
        add_steps(plan, &node->children[i]);
    settle_hook(node);
}

struct outline *outline_build(const struct plan *plan)
{
    struct outline *root = xcalloc(1, sizeof(*root));

    root->name = plan->name;
    root->scope = &plan->scope;
    root->runs = true;
    add_children(root, plan->stage_count, (enum plan_order)plan->order);
    for (uint32_t i = 0; i < root->count; i++) {
        const struct plan_stage *stage = &plan->stages[i];
        struct outline *child = &root->children[i];

        child->name = stage->name;
        child->scope = &stage->scope;
        child->flow = stage->flow;
        child->stage = stage;
        child->kind = (enum plan_kind)stage->kind;
    }
    foresee_children(plan, root);
    for (uint32_t i = 0; i < root->count; i++)
        add_jobs(plan, &root->children[i]);
    return root;
}

static void release(struct outline *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        release(&node->children[i]);
    free(node->children);
    free(node->skipped);
}

void outline_free(struct outline *root)
{
    if (!root)
        return;
    release(root);
    free(root);
}
