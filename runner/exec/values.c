#include "exec/values.h"

#include <string.h>

#include "base/alloc.h"
#include "event/json.h"
#include "exec/files.h"

/* A state as expressions name it: that of something that has not ended is empty. */
static struct expr_value status_of(const struct node *node)
{
    return state_is_final((enum state)node->state)
               ? expr_string(state_name((enum state)node->state))
               : (struct expr_value)EXPR_VALUE_NULL;
}

static const struct node *stage_node(const struct values *v, const struct plan_stage *stage)
{
    return &v->run->root->children[stage - v->run->plan->stages];
}

static struct expr_value map_value(const struct strmap *map)
{
    json_t *json = strmap_to_json(map);
    struct expr_value value = expr_from_json(json);

    json_decref(json);
    return value;
}

static bool step_value(const struct values *v, const char *const *path, size_t len,
                       struct expr_value *ret)
{
    const struct plan_step *step = v->job ? plan_find_step(v->job, path[1]) : NULL;
    const struct node *node;

    if (!step || len < 3)
        return false;
    node = &v->job_node->children[step - v->job->steps];
    if (strcmp(path[2], "status") == 0)
        *ret = status_of(node);
    else if (strcmp(path[2], "exit_code") == 0 && node->has_exit_code)
        *ret = expr_integer(node->exit_code);
    else if (strcmp(path[2], "outputs") == 0 && len == 4)
        *ret = expr_string(strmap_get(&node->outputs, path[3]));
    else if (strcmp(path[2], "outputs") == 0 && len == 3)
        *ret = map_value(&node->outputs);
    return true;
}

static bool all_ended(const struct node *nodes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!state_is_final((enum state)nodes[i].state))
            return false;
    }
    return true;
}

/* Of several jobs: the worst, as one of them decides what becomes of the stage. */
static struct expr_value worst_status(const struct node *nodes, uint32_t count)
{
    static const enum state order[] = {STATE_FAILED, STATE_CANCELLED, STATE_SUCCEEDED,
                                       STATE_SKIPPED};

    if (!all_ended(nodes, count))
        return (struct expr_value)EXPR_VALUE_NULL;
    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
        for (uint32_t j = 0; j < count; j++) {
            if (nodes[j].state == order[i])
                return status_of(&nodes[j]);
        }
    }
    return (struct expr_value)EXPR_VALUE_NULL;
}

/* The outputs of a job are those of its steps; the last step that set a key decides. */
static const char *job_output(const struct node *nodes, uint32_t count, const char *key)
{
    for (uint32_t i = count; i-- > 0;) {
        for (uint32_t j = nodes[i].child_count; j-- > 0;) {
            const char *value = strmap_get(&nodes[i].children[j].outputs, key);

            if (value)
                return value;
        }
    }
    return NULL;
}

static struct expr_value job_outputs(const struct node *nodes, uint32_t count)
{
    CLEANUP_STRMAP struct strmap all = {0};

    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < nodes[i].child_count; j++)
            strmap_merge(&all, &nodes[i].children[j].outputs);
    }
    return map_value(&all);
}

static bool job_value(const struct values *v, const char *const *path, size_t len,
                      struct expr_value *ret)
{
    struct plan_jobs jobs;
    const struct node *nodes;

    if (len < 3 || !plan_find_jobs(v->run->plan, path[1], &jobs))
        return false;
    nodes = &v->run->root->children[jobs.stage].children[jobs.first];
    if (strcmp(path[2], "status") == 0)
        *ret = worst_status(nodes, jobs.count);
    else if (strcmp(path[2], "outputs") == 0 && len == 4)
        *ret = expr_string(job_output(nodes, jobs.count, path[3]));
    else if (strcmp(path[2], "outputs") == 0 && len == 3)
        *ret = job_outputs(nodes, jobs.count);
    return true;
}

/* How the pipeline stands: failed as soon as something in it has. */
static struct expr_value pipeline_status(const struct values *v)
{
    const struct node *root = v->run->root;
    bool cancelled = false;

    for (uint32_t i = 0; i < root->child_count; i++) {
        if (node_has_failed(&root->children[i]))
            return expr_string(state_name(STATE_FAILED));
        cancelled = cancelled || root->children[i].state == STATE_CANCELLED;
    }
    if (ctx_done(v->run->ctx))
        cancelled = true;
    return expr_string(state_name(cancelled ? STATE_CANCELLED : STATE_SUCCEEDED));
}

/* Whether what a name stands for cannot change any more. */
static bool is_settled(const struct values *v, const char *const *path, size_t len)
{
    const struct plan_step *step;
    const struct plan_stage *stage;
    struct plan_jobs jobs;

    if (len < 2)
        return true;
    if (strcmp(path[0], "steps") == 0) {
        step = v->job ? plan_find_step(v->job, path[1]) : NULL;
        return !step || all_ended(&v->job_node->children[step - v->job->steps], 1);
    }
    if (strcmp(path[0], "jobs") == 0)
        return !plan_find_jobs(v->run->plan, path[1], &jobs) ||
               all_ended(&v->run->root->children[jobs.stage].children[jobs.first], jobs.count);
    if (strcmp(path[0], "stages") == 0) {
        stage = plan_find_stage(v->run->plan, path[1]);
        return !stage || all_ended(stage_node(v, stage), 1);
    }
    return strcmp(path[0], "pipeline") != 0 || strcmp(path[1], "status") != 0;
}

/* Names that are there but have no value are null: names that are not have been found before the
 * run, except where they are made of values. Looked up under the bus's lock: other threads end what
 * is asked for. */
static int value(void *arg, const char *const *path, size_t len, struct expr_value *ret,
                 struct err *err)
{
    const struct values *v = arg;
    const struct plan_stage *stage;

    pthread_mutex_lock(&v->run->bus->mu);
    if (v->ahead && !is_settled(v, path, len)) {
        pthread_mutex_unlock(&v->run->bus->mu);
        return err_set(err, ERR_INVALID, "%s.%s is not known yet", path[0], path[1]);
    }
    if (len >= 2 && strcmp(path[0], "steps") == 0) {
        step_value(v, path, len, ret);
    } else if (len >= 2 && strcmp(path[0], "jobs") == 0) {
        job_value(v, path, len, ret);
    } else if (len == 3 && strcmp(path[0], "stages") == 0) {
        stage = plan_find_stage(v->run->plan, path[1]);
        if (stage && strcmp(path[2], "status") == 0)
            *ret = status_of(stage_node(v, stage));
    } else if (len == 2 && strcmp(path[0], "pipeline") == 0) {
        if (strcmp(path[1], "id") == 0)
            *ret = expr_string(v->run->id);
        else if (strcmp(path[1], "status") == 0)
            *ret = pipeline_status(v);
    }
    expr_value_own(ret);
    pthread_mutex_unlock(&v->run->bus->mu);
    return 0;
}

/* hashFiles() and exists(). */
static int ask_files(const struct values *v, const char *function, const struct expr_value *args,
                     size_t count, struct expr_value *ret, struct err *err)
{
    CLEANUP_FREE const char **globs = xcalloc(count, sizeof(*globs));
    const char *workdir = v->run->plan->workdir;
    char hash[SHA256_HEX_SIZE];
    bool found = false;
    int result;

    for (size_t i = 0; i < count; i++)
        globs[i] = args[i].text;
    if (strcmp(function, "exists") == 0) {
        result = files_exist(v->ctx, workdir, globs, count, &found, err);
        *ret = expr_bool(found);
    } else {
        result = files_hash(v->ctx, workdir, globs, count, hash, err);
        *ret = expr_string(hash);
        if (result == 0)
            expr_value_own(ret);
    }
    if (result < 0)
        *ret = (struct expr_value)EXPR_VALUE_NULL;
    return result < 0 ? err_wrap(err, "%s()", function) : 0;
}

static int call(void *arg, const char *function, const struct expr_value *args, size_t count,
                struct expr_value *ret, struct err *err)
{
    const struct values *v = arg;
    struct siblings_state state = {0};

    if (strcmp(function, "hashFiles") == 0 || strcmp(function, "exists") == 0)
        return ask_files(v, function, args, count, ret, err);
    if (strcmp(function, "always") == 0) {
        *ret = expr_bool(true);
        return 0;
    }
    if (v->ahead)
        return err_set(err, ERR_INVALID, "%s() is not known yet", function);
    if (v->siblings)
        state = siblings_before(v->siblings, v->index);
    if (strcmp(function, "success") == 0)
        *ret = expr_bool(!state.failed && !state.cancelled);
    else if (strcmp(function, "failure") == 0)
        *ret = expr_bool(state.failed);
    else if (strcmp(function, "cancelled") == 0)
        *ret = expr_bool(state.cancelled);
    else
        return err_set(err, ERR_UNSUPPORTED, "%s() is not supported yet by this version", function);
    return 0;
}

void values_init(struct plan_runtime *runtime, struct values *values,
                 const struct strmap *environment)
{
    *runtime = (struct plan_runtime){.value = value,
                                     .call = call,
                                     .arg = values,
                                     .environment = environment};
}
