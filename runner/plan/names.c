#include "plan/names.h"

#include <string.h>

#include "base/buf.h"
#include "base/nearest.h"
#include "plan/hosts.h"
#include "plan/inputs.h"

static const char *const roots[] = {"env",  "inputs", "matrix",   "host", "steps",
                                    "jobs", "stages", "pipeline", NULL};
static const char *const statuses[] = {"status", NULL};
static const char *const job_members[] = {"status", "outputs", NULL};
static const char *const step_members[] = {"status", "outputs", "exit_code", NULL};
static const char *const host_members[] = {"name", "engine", "roles", "environment", "vars", NULL};
static const char *const pipeline_members[] = {"name", "id", "status", NULL};

bool names_value(const struct plan *plan, const struct plan_scope *scope, const char *const *path,
                 size_t len, struct expr_value *ret)
{
    if (len == 2 && strcmp(path[0], "matrix") == 0) {
        *ret = expr_string(scope->job ? strmap_get(&scope->job->matrix, path[1]) : NULL);
        return true;
    }
    if (strcmp(path[0], "host") == 0) {
        if (scope->job && scope->job->host)
            *ret = plan_host_value(scope->job->host, path, len);
        return true;
    }
    if (len == 2 && strcmp(path[0], "inputs") == 0) {
        const struct spec_input *input = inputs_find(plan, path[1]);

        *ret = input ? inputs_value(plan, input) : (struct expr_value)EXPR_VALUE_NULL;
        return true;
    }
    if (len == 2 && strcmp(path[0], "pipeline") == 0 && strcmp(path[1], "name") == 0) {
        *ret = expr_string(plan->name);
        return true;
    }
    return false;
}

struct check {
    const struct plan *plan;
    const struct plan_scope *scope;
};

static int unknown(struct err *err, const struct nearest *nearest, const char *fmt,
                   const char *parent)
{
    CLEANUP_BUF struct buf message = BUF_INIT;

    buf_addf(&message, fmt, nearest->text, parent);
    if (nearest->best)
        buf_addf(&message, "; did you mean \"%s\"?", nearest->best);
    return err_set(err, ERR_INVALID, "%s", message.data);
}

static int check_member(const char *const *members, const char *name, const char *parent,
                        struct err *err)
{
    struct nearest nearest = {.text = name};

    for (; *members; members++) {
        if (strcmp(*members, name) == 0)
            return 0;
        nearest_offer(&nearest, *members);
    }
    return unknown(err, &nearest, "there is no \"%s\" in \"%s\"", parent);
}

static int check_matrix(const struct check *c, const char *name, struct err *err)
{
    struct nearest nearest = {.text = name};
    const struct plan_job *job = c->scope->job;

    if (!job || !job->matrix.len)
        return err_set(err, ERR_INVALID, "\"matrix.%s\" needs a job with a \"matrix\"", name);
    strmap_foreach (axis, &job->matrix) {
        if (strcmp(axis->key, name) == 0)
            return 0;
        nearest_offer(&nearest, axis->key);
    }
    /* An entry of `include` may give others of the same matrix a key that this one has not. */
    for (size_t i = 0; job->spec && i < job->spec->matrix->include_count; i++) {
        const struct spec_pairs *pairs = &job->spec->matrix->include[i];

        for (size_t j = 0; j < pairs->len; j++) {
            if (strcmp(pairs->items[j].key, name) == 0)
                return 0;
        }
    }
    return unknown(err, &nearest, "the matrix has no axis \"%s\"", "");
}

/* One that another host has may be missing from this one. */
static int check_host_var(const struct check *c, const char *name, struct err *err)
{
    struct nearest nearest = {.text = name};

    for (size_t i = 0; i < c->plan->host_count; i++) {
        const struct strmap *vars = &c->plan->hosts[i].vars;

        if (strmap_has(vars, name))
            return 0;
        strmap_foreach (var, vars)
            nearest_offer(&nearest, var->key);
    }
    return unknown(err, &nearest, "no host has a variable \"%s\"", "");
}

static int check_host(const struct check *c, const char *const *path, size_t len, struct err *err)
{
    const char *member = len > 1 ? path[1] : NULL;

    if (!c->scope->job || !c->scope->job->host)
        return err_set(err, ERR_INVALID, "\"host%s%s\" needs a job with \"run_on\"",
                       member ? "." : "", member ? member : "");
    if (!member)
        return 0;
    if (check_member(host_members, member, "host", err) < 0)
        return -1;
    return len > 2 && strcmp(member, "vars") == 0 ? check_host_var(c, path[2], err) : 0;
}

static int check_input(const struct check *c, const char *name, struct err *err)
{
    struct nearest nearest = {.text = name};

    if (inputs_find(c->plan, name))
        return 0;
    for (size_t i = 0; i < c->plan->spec->input_count; i++)
        nearest_offer(&nearest, c->plan->spec->inputs[i].name.text);
    return unknown(err, &nearest, "the pipeline has no input \"%s\"", "");
}

static int check_step(const struct check *c, const char *name, struct err *err)
{
    struct nearest nearest = {.text = name};
    const struct plan_job *job = c->scope->job;

    if (!job)
        return err_set(err, ERR_INVALID,
                       "\"steps.%s\" is known only inside of its job; elsewhere write "
                       "jobs.NAME.outputs.KEY",
                       name);
    if (!c->plan->complete || plan_find_step(job, name))
        return 0;
    for (uint32_t i = 0; i < job->step_count; i++) {
        nearest_offer(&nearest, job->steps[i].id);
        nearest_offer(&nearest, job->steps[i].name);
    }
    return unknown(err, &nearest, "the job has no step \"%s\"", "");
}

static int check_job(const struct check *c, const char *name, struct err *err)
{
    struct nearest nearest = {.text = name};
    struct plan_jobs jobs;

    if (!c->plan->complete || plan_find_jobs(c->plan, name, &jobs))
        return 0;
    for (uint32_t i = 0; i < c->plan->stage_count; i++) {
        for (uint32_t j = 0; j < c->plan->stages[i].job_count; j++)
            nearest_offer(&nearest, c->plan->stages[i].jobs[j].name);
    }
    return unknown(err, &nearest, "there is no job \"%s\"", "");
}

static int check_stage(const struct check *c, const char *name, struct err *err)
{
    struct nearest nearest = {.text = name};

    if (!c->plan->complete || plan_find_stage(c->plan, name))
        return 0;
    for (uint32_t i = 0; i < c->plan->stage_count; i++)
        nearest_offer(&nearest, c->plan->stages[i].name);
    return unknown(err, &nearest, "there is no stage \"%s\"", "");
}

static int check_name(void *arg, const char *const *path, size_t len, size_t offset,
                      struct err *err)
{
    const struct check *c = arg;
    struct nearest nearest = {.text = path[0]};
    const char *root = path[0];

    (void)offset;
    for (const char *const *known = roots; *known; known++) {
        if (strcmp(*known, root) == 0)
            nearest.text = NULL;
        else if (nearest.text)
            nearest_offer(&nearest, *known);
    }
    if (nearest.text)
        return unknown(err, &nearest, "unknown name \"%s\"", "");
    if (strcmp(root, "host") == 0)
        return check_host(c, path, len, err);
    if (strcmp(root, "env") == 0 || len < 2)
        return 0;
    if (strcmp(root, "inputs") == 0)
        return check_input(c, path[1], err);
    if (strcmp(root, "matrix") == 0)
        return check_matrix(c, path[1], err);
    if (strcmp(root, "pipeline") == 0)
        return check_member(pipeline_members, path[1], root, err);
    if (strcmp(root, "steps") == 0 && check_step(c, path[1], err) < 0)
        return -1;
    if (strcmp(root, "jobs") == 0 && check_job(c, path[1], err) < 0)
        return -1;
    if (strcmp(root, "stages") == 0 && check_stage(c, path[1], err) < 0)
        return -1;
    if (len < 3)
        return 0;
    return check_member(strcmp(root, "steps") == 0  ? step_members
                        : strcmp(root, "jobs") == 0 ? job_members
                                                    : statuses,
                        path[2], path[1], err);
}

int names_check(const struct plan *plan, const struct plan_scope *scope, const struct expr *expr,
                size_t *ret_offset, struct err *err)
{
    struct check c = {plan, scope};

    return expr_check(expr, check_name, &c, ret_offset, err);
}
