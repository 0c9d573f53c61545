/* Waiting until services run.
 *
 * Every round lists the services and the tasks of the stack and looks at each service by itself. A
 * slot (a node, for a global service) counts as up when its newest task runs what the service says
 * now. A service that was created or changed must stay up for the time that its update_config calls
 * `monitor`, since a task that crashes has run for a moment, too.
 *
 * It is given up when that can be known: the swarm has paused or rolled back the update, a task may
 * not be started again, has failed too often, or has found no node for too long.
 * Source: Docker Engine API, Task, UpdateStatus; swarmkit's restart policy. */
#include <string.h>

#include "apis/docker/swarm.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "compose/stack_internal.h"

enum {
    POLL_MS = 200,
    MONITOR_MS = 5000,
    UNSCHEDULABLE_MS = 20000,
    FAILURE_LIMIT = 3,
    LOG_LINES = 10,
    REPORT_MS = 5000,
};

enum phase { PHASE_WAITING, PHASE_UP, PHASE_FAILED };

struct watch {
    const struct stack_target *target;
    enum phase phase;
    int64_t up_since_ms;      /* 0: not up */
    int64_t pending_since_ms; /* 0: every task has a node */
    bool rolling_back;
    bool warned;
    char *text;        /* what was said last about its state */
    char *why;         /* it failed */
    char *failed_task; /* id of the last task that has failed; NULL: none */
    bool failed_tty;
    bool image_missing;
};

struct slot {
    const struct docker_task *newest;
    int failures;
};

/* A service in one round. */
struct view {
    const struct stack_run *run;
    const struct docker_service *service;
    const struct docker_task_list *tasks;
    const struct docker_node_list *nodes;
    struct slot *slots;
    size_t slot_count;
    struct strmap slot_of; /* slot number or node → number in slots */
    int64_t wanted;
    int64_t up;
    bool job;
    bool global; /* its tasks have nodes, not slots */
    const struct docker_task *last_failed;
    const struct slot *worst; /* the slot with most failures */
    const struct docker_task *pending;
};

static bool has_failed(const struct docker_task *task)
{
    return task->state == DOCKER_TASK_FAILED || task->state == DOCKER_TASK_REJECTED ||
           task->state == DOCKER_TASK_ORPHANED;
}

static const json_t *task_spec(const struct docker_service *service)
{
    return json_object_get(service->spec, "TaskTemplate");
}

static const json_t *mode_of(const struct docker_service *service)
{
    return json_object_get(service->spec, "Mode");
}

/* Whether the task is of what the service is now. */
static bool is_current(const struct view *v, const struct docker_task *task)
{
    const json_t *now = task_spec(v->service);

    if (v->job)
        return task->job_iteration == v->service->job_iteration;
    return json_equal(json_object_get(task->spec, "ContainerSpec"),
                      json_object_get(now, "ContainerSpec")) &&
           json_integer_value(json_object_get(task->spec, "ForceUpdate")) ==
               json_integer_value(json_object_get(now, "ForceUpdate"));
}

static struct slot *slot_for(struct view *v, const struct docker_task *task)
{
    CLEANUP_FREE char *key =
        v->global ? xstrdup(task->node_id) : xasprintf("%jd", (intmax_t)task->slot);
    const char *number = strmap_get(&v->slot_of, key);

    if (number)
        return &v->slots[strtoul(number, NULL, 10)];
    strmap_setf(&v->slot_of, key, "%zu", v->slot_count);
    return &v->slots[v->slot_count++];
}

static void look_at_task(struct view *v, const struct docker_task *task)
{
    struct slot *slot;

    if (v->job && !is_current(v, task))
        return;
    slot = slot_for(v, task);
    if (!slot->newest || stack_time_compare(task->created, slot->newest->created) > 0)
        slot->newest = task;
    if (!has_failed(task) || strmap_has(&v->run->old_tasks, task->id))
        return;
    if (!v->last_failed || stack_time_compare(task->changed, v->last_failed->changed) > 0)
        v->last_failed = task;
    if (is_current(v, task))
        slot->failures++;
    if (!v->worst || slot->failures > v->worst->failures)
        v->worst = slot;
}

static const char *restart_condition(const struct view *v)
{
    const char *condition =
        compose_string(json_object_get(task_spec(v->service), "RestartPolicy"), "Condition");

    return condition ? condition : "any";
}

/* A task that has done its work and is not meant to do it again. */
static bool has_completed(const struct view *v, const struct docker_task *task)
{
    return task->state == DOCKER_TASK_COMPLETE &&
           (v->job || strcmp(restart_condition(v), "any") != 0);
}

static void look_at_slot(struct view *v, const struct slot *slot)
{
    const struct docker_task *task = slot->newest;

    if (has_completed(v, task)) {
        v->wanted += v->global;
        v->up += is_current(v, task);
        return;
    }
    if (task->desired_state > DOCKER_TASK_RUNNING && !(v->job && has_failed(task)))
        return;
    v->wanted += v->global;
    if (task->state == DOCKER_TASK_RUNNING && is_current(v, task))
        v->up += !v->job;
    else if (task->state == DOCKER_TASK_PENDING && *task->error)
        v->pending = task;
}

static int64_t wanted_of(const struct docker_service *service)
{
    const json_t *replicated = json_object_get(mode_of(service), "Replicated");
    const json_t *job = json_object_get(mode_of(service), "ReplicatedJob");

    if (job)
        return compose_int(job, "TotalCompletions", compose_int(job, "MaxConcurrent", 1));
    return replicated ? compose_int(replicated, "Replicas", 1) : 0;
}

static void look(struct view *v)
{
    v->job = json_object_get(mode_of(v->service), "ReplicatedJob") ||
             json_object_get(mode_of(v->service), "GlobalJob");
    v->global = stack_is_global(v->service);
    v->wanted = wanted_of(v->service);
    v->slots = xcalloc(v->tasks->len + 1, sizeof(*v->slots));
    for (size_t i = 0; i < v->tasks->len; i++) {
        if (strcmp(v->tasks->items[i].service_id, v->service->id) == 0)
            look_at_task(v, &v->tasks->items[i]);
    }
    for (size_t i = 0; i < v->slot_count; i++)
        look_at_slot(v, &v->slots[i]);
}

static void view_release(struct view *v)
{
    free(v->slots);
    strmap_release(&v->slot_of);
}

/* --- what is said --- */

static const char *node_name(const struct view *v, const char *id)
{
    for (size_t i = 0; i < v->nodes->len; i++) {
        if (strcmp(v->nodes->items[i].id, id) == 0)
            return v->nodes->items[i].hostname;
    }
    return id;
}

/* "task shop_web.1 on node1: task: non-zero exit (3)" */
static void add_task(const struct view *v, const struct docker_task *task, struct buf *out)
{
    buf_addf(out, "task %s", v->service->name);
    if (!v->global)
        buf_addf(out, ".%jd", (intmax_t)task->slot);
    if (*task->node_id)
        buf_addf(out, " on %s", node_name(v, task->node_id));
    buf_addf(out, ": %s", *task->error ? task->error : docker_task_state_name(task->state));
}

static void say_state(const struct view *v, struct watch *w)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    buf_addf(&text, "%s: %jd of %jd tasks %s", v->service->name, (intmax_t)v->up,
             (intmax_t)v->wanted, v->job ? "are complete" : "run");
    if (v->pending)
        buf_addf(&text, "; waiting: %s", v->pending->error);
    else if (v->last_failed && v->up < v->wanted)
        buf_addf(&text, "; %s", *v->last_failed->error ? v->last_failed->error : "a task failed");
    if (w->text && strcmp(w->text, text.data) == 0)
        return;
    free(w->text);
    w->text = buf_steal(&text);
    if (w->target->changed || v->up < v->wanted)
        stack_say(&v->run->options->sink, STACK_NOTE_STATE, "%s", w->text);
}

static void fail(const struct view *v, struct watch *w, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void fail(const struct view *v, struct watch *w, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    const struct docker_task *task = v->last_failed;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&text, fmt, args);
    va_end(args);
    if (task) {
        buf_addstr(&text, "; ");
        add_task(v, task, &text);
        w->failed_task = *task->container_id ? xstrdup(task->id) : NULL;
        w->failed_tty = task->tty;
        w->image_missing = strstr(task->error, "No such image") != NULL;
    }
    w->phase = PHASE_FAILED;
    w->why = buf_steal(&text);
}

/* --- what is decided --- */

/* The swarm's own judgement of an update; true: there is nothing more to look at in this round. */
static bool judge_update(const struct view *v, struct watch *w)
{
    const struct docker_service *s = v->service;

    if (!w->target->changed)
        return false;
    if (strcmp(s->update_state, "updating") == 0)
        return true;
    if (strcmp(s->update_state, "rollback_started") == 0) {
        if (!w->rolling_back)
            stack_say(&v->run->options->sink, STACK_NOTE_FAILURE, "%s: being rolled back: %s",
                      s->name, s->update_message);
        w->rolling_back = true;
        return true;
    }
    if (strcmp(s->update_state, "paused") == 0)
        fail(v, w, "%s: the update is paused (%s)", s->name, s->update_message);
    else if (strcmp(s->update_state, "rollback_paused") == 0)
        fail(v, w, "%s: the rollback is paused (%s)", s->name, s->update_message);
    else if (strcmp(s->update_state, "rollback_completed") == 0)
        fail(v, w, "%s: was rolled back to what it was before (%s)", s->name, s->update_message);
    return w->phase == PHASE_FAILED;
}

/* Tasks that fail: may they be started again, and is that worth waiting for? */
static void judge_failures(const struct view *v, struct watch *w)
{
    const struct stack_options *o = v->run->options;
    int limit = o->failure_limit ? o->failure_limit : FAILURE_LIMIT;
    const json_t *policy = json_object_get(task_spec(v->service), "RestartPolicy");
    int64_t attempts = compose_int(policy, "MaxAttempts", 0);
    int failures = v->worst ? v->worst->failures : 0;

    if (!failures)
        return;
    if (strcmp(restart_condition(v), "none") == 0)
        fail(v, w, "%s: a task has failed, and is not started again", v->service->name);
    else if (attempts && failures > attempts)
        fail(v, w, "%s: a task has failed %d times, and is not started again", v->service->name,
             failures);
    else if (failures >= limit)
        fail(v, w, "%s: a task has failed %d times", v->service->name, failures);
}

static void judge_pending(const struct view *v, struct watch *w, int64_t now_ms)
{
    int64_t limit_ms = v->run->options->unschedulable_ms;
    char limit[CLOCK_DURATION_SIZE];

    if (!limit_ms)
        limit_ms = UNSCHEDULABLE_MS;
    if (!v->pending) {
        w->pending_since_ms = 0;
        return;
    }
    if (!w->pending_since_ms)
        w->pending_since_ms = now_ms;
    if (now_ms - w->pending_since_ms < limit_ms)
        return;
    clock_format_limit(limit_ms, limit, sizeof(limit));
    fail(v, w, "%s: a task has found no node for %s: %s", v->service->name, limit,
         v->pending->error);
}

/* A short `monitor` does not make one start of a task that keeps crashing a success. */
static int64_t monitor_ms(const struct view *v)
{
    int64_t ns = compose_int(json_object_get(v->service->spec, "UpdateConfig"), "Monitor", 0);
    int64_t ms = ns ? ns / 1000000 : MONITOR_MS;

    return v->worst && v->worst->failures && ms < MONITOR_MS ? MONITOR_MS : ms;
}

static void judge_up(const struct view *v, struct watch *w, int64_t now_ms)
{
    if (v->up < v->wanted || (v->job && !v->wanted)) {
        w->up_since_ms = 0;
        return;
    }
    if (!w->up_since_ms)
        w->up_since_ms = now_ms;
    if (w->target->changed && !v->job && now_ms - w->up_since_ms < monitor_ms(v))
        return;
    if (!v->wanted && json_object_get(mode_of(v->service), "Global"))
        stack_say(&v->run->options->sink, STACK_NOTE_WARNING,
                  "%s: runs nowhere, because no node meets its constraints", v->service->name);
    w->phase = PHASE_UP;
}

static void judge(const struct view *v, struct watch *w)
{
    int64_t now_ms = clock_monotonic_ms();

    say_state(v, w);
    if (judge_update(v, w)) {
        w->up_since_ms = 0;
        return;
    }
    judge_up(v, w, now_ms);
    if (w->phase == PHASE_WAITING)
        judge_failures(v, w);
    if (w->phase == PHASE_WAITING)
        judge_pending(v, w, now_ms);
}

/* --- rounds --- */

struct round {
    struct docker_service_list services;
    struct docker_task_list tasks;
    struct docker_node_list nodes;
};

static void round_release(struct round *round)
{
    docker_service_list_release(&round->services);
    docker_task_list_release(&round->tasks);
    docker_node_list_release(&round->nodes);
}

static const struct docker_service *service_of(const struct round *round, const char *id)
{
    for (size_t i = 0; i < round->services.len; i++) {
        if (strcmp(round->services.items[i].id, id) == 0)
            return &round->services.items[i];
    }
    return NULL;
}

static void watch_one(const struct stack_run *run, const struct round *round, struct watch *w)
{
    struct view v = {.run = run,
                     .service = service_of(round, w->target->id),
                     .tasks = &round->tasks,
                     .nodes = &round->nodes};

    if (!v.service) {
        w->phase = PHASE_FAILED;
        w->why = xasprintf("%s: somebody has removed the service", w->target->name);
        return;
    }
    look(&v);
    judge(&v, w);
    view_release(&v);
}

/* 1: there is more to wait for. */
static int one_round(const struct stack_run *run, struct watch *watches, size_t count,
                     struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct docker_filter filter = stack_filter(run->options->name, &text);
    CLEANUP(round_release) struct round round = {0};
    bool waiting = false;
    bool failed = false;

    if (docker_service_list(run->ctx, run->docker, &filter, 1, &round.services, err) < 0 ||
        docker_task_list(run->ctx, run->docker, &filter, 1, &round.tasks, err) < 0 ||
        docker_node_list(run->ctx, run->docker, NULL, 0, &round.nodes, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (watches[i].phase == PHASE_WAITING)
            watch_one(run, &round, &watches[i]);
        waiting = waiting || watches[i].phase == PHASE_WAITING;
        failed = failed || watches[i].phase == PHASE_FAILED;
    }
    return waiting && !failed;
}

/* --- at the end --- */

static int keep_output(void *arg, enum docker_output stream, const char *data, size_t len,
                       struct err *err)
{
    (void)stream;
    (void)err;
    buf_add(arg, data, len);
    return 0;
}

static void show_logs(const struct ctx *ctx, const struct stack_run *run, const struct watch *w)
{
    const struct docker_logs options = {.flags = DOCKER_ATTACH_OUTPUT, .tail = LOG_LINES};
    CLEANUP_BUF struct buf output = BUF_INIT;
    struct docker_frames frames;

    if (!w->failed_task)
        return;
    docker_frames_init(&frames, w->failed_tty, keep_output, &output);
    if (docker_task_logs(ctx, run->docker, w->failed_task, &options, &frames, NULL) < 0)
        return;
    for (char *line = output.data; *line;) {
        char *end = strchrnul(line, '\n');
        bool last = !*end;

        *end = '\0';
        stack_say(&run->options->sink, STACK_NOTE_LOG, "%s: %s", w->target->name, line);
        line = last ? end : end + 1;
    }
}

/* All services that have failed, in the notes with the output of their last task, in err by name.
 */
static int report(const struct stack_run *run, const struct watch *watches, size_t count,
                  struct err *err)
{
    CLEANUP_BUF struct buf all = BUF_INIT;
    enum err_code code = ERR_CONFLICT;
    struct ctx ctx;

    ctx_init_cleanup(&ctx, REPORT_MS);
    for (size_t i = 0; i < count; i++) {
        if (watches[i].phase != PHASE_FAILED)
            continue;
        stack_say(&run->options->sink, STACK_NOTE_FAILURE, "%s", watches[i].why);
        show_logs(&ctx, run, &watches[i]);
        buf_addf(&all, "%s%s", all.len ? "; " : "", watches[i].why);
        if (watches[i].image_missing)
            code = ERR_IMAGE_PULL;
    }
    ctx_release(&ctx);
    return err_set(err, code, "%s", all.data);
}

/* What an end of the ctx found unfinished. */
static int unfinished(const struct watch *watches, size_t count, struct err *err)
{
    CLEANUP_BUF struct buf all = BUF_INIT;
    CLEANUP_FREE char *limit = NULL;

    if (err->code != ERR_TIMEOUT)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (watches[i].phase == PHASE_WAITING)
            buf_addf(&all, "; %s", watches[i].text ? watches[i].text : watches[i].target->name);
    }
    limit = xstrdup(err->message);
    return err_set(err, ERR_TIMEOUT, "%s%s", limit, all.data);
}

int stack_wait(const struct stack_run *run, const struct stack_target *targets, size_t count,
               struct err *err)
{
    struct watch *watches = xcalloc(count + 1, sizeof(*watches));
    int result;

    for (size_t i = 0; i < count; i++)
        watches[i].target = &targets[i];
    while ((result = one_round(run, watches, count, err)) > 0) {
        result = ctx_sleep(run->ctx, POLL_MS, err);
        if (result < 0)
            break;
    }
    if (result < 0)
        result = unfinished(watches, count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        if (watches[i].phase == PHASE_FAILED)
            result = report(run, watches, count, err);
    }
    for (size_t i = 0; i < count; i++) {
        free(watches[i].text);
        free(watches[i].why);
        free(watches[i].failed_task);
    }
    free(watches);
    return result;
}
