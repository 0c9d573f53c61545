/* One thread, the caller's, decides what begins and asks the daemon about what is awaited whenever
 * its events say that something changed; other threads do the rest, each with a client of its own.
 * After a failure nothing more begins, and what is under way ends by itself. */
#include "compose/run.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "apis/docker/events.h"
#include "base/alloc.h"
#include "base/workers.h"
#include "compose/recipe.h"

#define THREADS_MAX    8
#define LAST_WAIT_MS   120000 /* for what has been replaced to go */
#define SETTLE_WAIT_MS 600000 /* for what is under way: each part of it has a limit of its own */

struct job {
    struct compose_run *run;
    size_t index;
};

struct execution {
    struct compose_run run;
    struct workers workers;
    struct docker_client *docker; /* of the deciding thread */
    struct docker_events *events;
    bool changed; /* a container did something since the last look */
    struct job *jobs;
    bool last;       /* what comes last may begin */
    struct ctx late; /* for that */
};

static bool has_failed(struct compose_run *run)
{
    bool failed;

    pthread_mutex_lock(&run->mu);
    failed = run->failed;
    pthread_mutex_unlock(&run->mu);
    return failed;
}

/* --- in threads --- */

static void fail(struct compose_run *run, const struct err *why)
{
    pthread_mutex_lock(&run->mu);
    if (!run->failed)
        run->failure = *why;
    run->failed = true;
    pthread_mutex_unlock(&run->mu);
}

static void set_status(struct compose_run *run, size_t index, enum compose_status status)
{
    pthread_mutex_lock(&run->mu);
    run->status[index] = status;
    pthread_mutex_unlock(&run->mu);
}

static void do_job(void *arg)
{
    const struct job *job = arg;
    struct compose_run *run = job->run;
    struct docker_client *docker = NULL;
    struct err why = ERR_INIT;
    const uint64_t one = 1;
    int result = ctx_check(run->ctx, &why);

    if (result == 0)
        result = compose_client_take(&run->session->clients, &docker, &why);
    if (result == 0)
        result = compose_action_do(run, &run->plan->actions.items[job->index], docker, &why);
    compose_client_give(&run->session->clients, docker);
    if (result < 0)
        fail(run, &why);
    pthread_mutex_lock(&run->mu);
    run->status[job->index] = result < 0 ? COMPOSE_FAILED : COMPOSE_DONE;
    run->running--;
    pthread_mutex_unlock(&run->mu);
    (void)!write(run->done_fd, &one, sizeof(one));
}

/* --- deciding --- */

/* Under mu. */
static bool may_begin(const struct execution *e, size_t index)
{
    const struct compose_run *run = &e->run;
    const struct compose_action *action = &run->plan->actions.items[index];

    if (run->status[index] != COMPOSE_WAITING || run->failed || action->last != e->last)
        return false;
    vec_foreach (const size_t *, needed, &action->needs) {
        if (run->status[*needed] != COMPOSE_DONE)
            return false;
    }
    return true;
}

static void begin(struct execution *e, size_t index)
{
    struct compose_run *run = &e->run;

    if (run->plan->actions.items[index].kind == COMPOSE_SERVICE_AWAIT) {
        run->status[index] = COMPOSE_RUNNING;
        return;
    }
    run->status[index] = COMPOSE_RUNNING;
    run->running++;
    pthread_mutex_unlock(&run->mu);
    workers_submit(&e->workers, do_job, &e->jobs[index]);
    pthread_mutex_lock(&run->mu);
}

/* Returns whether anything has begun. */
static bool begin_all(struct execution *e)
{
    struct compose_run *run = &e->run;
    bool any = false;

    pthread_mutex_lock(&run->mu);
    for (size_t i = 0; i < run->plan->actions.len; i++) {
        if (may_begin(e, i)) {
            begin(e, i);
            any = true;
        }
    }
    pthread_mutex_unlock(&run->mu);
    return any;
}

static bool awaits(const struct execution *e, size_t index)
{
    return e->run.plan->actions.items[index].kind == COMPOSE_SERVICE_AWAIT &&
           e->run.status[index] == COMPOSE_RUNNING;
}

static void not_met(struct execution *e, size_t index, const struct err *why)
{
    const struct compose_action *action = &e->run.plan->actions.items[index];

    if (action->optional) {
        compose_warn(e->run.session, "%s; what depends on it does not require it", why->message);
        set_status(&e->run, index, COMPOSE_DONE);
        return;
    }
    set_status(&e->run, index, COMPOSE_FAILED);
    fail(&e->run, why);
}

/* Asks about everything that is awaited. *ret_settled: something is not any more. */
static int look(struct execution *e, bool *ret_settled, struct err *err)
{
    struct compose_run *run = &e->run;

    *ret_settled = e->changed = false;
    for (size_t i = 0; i < run->plan->actions.len && !has_failed(run); i++) {
        const struct compose_action *action = &run->plan->actions.items[i];
        enum compose_verdict verdict;
        struct err why = ERR_INIT;

        if (!awaits(e, i))
            continue;
        if (compose_await_check(run, e->docker, action, &verdict, &why) < 0) {
            if (err)
                *err = why;
            return -1;
        }
        *ret_settled = *ret_settled || verdict != COMPOSE_PENDING;
        if (verdict == COMPOSE_MET) {
            set_status(run, i, COMPOSE_DONE);
            compose_tell(run->session, COMPOSE_OBJECT_SERVICE, action->service,
                         action->condition == COMPOSE_COMPLETED ? "Completed"
                         : action->condition == COMPOSE_HEALTHY ? "Healthy"
                                                                : "Up");
        } else if (verdict == COMPOSE_NOT_MET) {
            not_met(e, i, &why);
        }
    }
    return 0;
}

/* Nothing is under way, and nothing can begin: threads may have ended since the last look. */
static bool is_over(struct execution *e)
{
    struct compose_run *run = &e->run;
    bool over;

    pthread_mutex_lock(&run->mu);
    over = run->running == 0;
    for (size_t i = 0; over && !run->failed && i < run->plan->actions.len; i++)
        over = !awaits(e, i) && !may_begin(e, i);
    pthread_mutex_unlock(&run->mu);
    return over;
}

static void on_event(void *arg, const struct docker_event *event)
{
    struct execution *e = arg;

    (void)event;
    e->changed = true;
}

/* Until an action has ended or a container has changed. */
static int wait_for_change(struct execution *e, struct err *err)
{
    struct pollfd done = {.fd = e->run.done_fd, .events = POLLIN};
    uint64_t count;

    while (!e->changed) {
        if (docker_events_check(e->events, err) < 0 ||
            docker_client_poll(e->run.ctx, e->docker, &done, 1, -1, err) < 0)
            return -1;
        if (read(e->run.done_fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
            break;
    }
    return 0;
}

/* Nothing that can begin is left; a circle would leave some. */
static int check_complete(const struct execution *e, struct err *err)
{
    for (size_t i = 0; i < e->run.plan->actions.len; i++) {
        const struct compose_action *action = &e->run.plan->actions.items[i];

        if (e->run.status[i] != COMPOSE_DONE && action->last == e->last)
            return err_set(err, ERR_CONFLICT, "%s of %s waits for itself",
                           compose_action_name(action->kind), action->name);
    }
    return 0;
}

static int drive(struct execution *e, struct err *err)
{
    for (;;) {
        bool begun = begin_all(e);
        bool settled;

        if (look(e, &settled, err) < 0)
            return -1;
        if (begun || settled)
            continue;
        if (is_over(e))
            break;
        if (wait_for_change(e, err) < 0)
            return -1;
    }
    if (!e->run.failed)
        return check_complete(e, err);
    if (err)
        *err = e->run.failure;
    return -1;
}

/* What threads are at ends in any case. */
static void settle(struct execution *e)
{
    struct pollfd done = {.fd = e->run.done_fd, .events = POLLIN};
    struct ctx ctx;
    size_t running;

    ctx_init_cleanup(&ctx, SETTLE_WAIT_MS);
    for (;;) {
        uint64_t count;

        pthread_mutex_lock(&e->run.mu);
        running = e->run.running;
        pthread_mutex_unlock(&e->run.mu);
        if (!running || ctx_poll(&ctx, &done, 1, -1, NULL) < 0)
            break;
        (void)!read(e->run.done_fd, &count, sizeof(count));
    }
}

/* --- after a failure --- */

/* Whether all actions of that kind for the container are done. */
static bool is_done(const struct compose_run *run, enum compose_action_kind kind,
                    const char *service, int number)
{
    for (size_t i = 0; i < run->plan->actions.len; i++) {
        const struct compose_action *action = &run->plan->actions.items[i];

        if (action->kind == kind && action->number == number && action->service &&
            strcmp(action->service, service) == 0 && run->status[i] != COMPOSE_DONE)
            return false;
    }
    return true;
}

/* A replacement that runs stays, and what it replaced goes; otherwise the old one comes back. */
static void settle_replacements(struct execution *e)
{
    struct compose_run *run = &e->run;
    struct ctx ctx;

    ctx_init_cleanup(&ctx, SETTLE_WAIT_MS);
    compose_undo_networks(run, e->docker);
    for (size_t i = 0; i < run->plan->actions.len; i++) {
        const struct compose_action *action = &run->plan->actions.items[i];

        bool replaced = action->kind == COMPOSE_CONTAINER_SET_ASIDE;

        if (run->status[i] == COMPOSE_WAITING ||
            !(replaced || action->kind == COMPOSE_CONTAINER_STOP))
            continue;
        if (!is_done(run, COMPOSE_CONTAINER_START, action->service, action->number))
            compose_undo_container(run, e->docker, action->service, action->number);
        else if (replaced)
            (void)!docker_container_remove(&ctx, e->docker, action->container->id,
                                           DOCKER_REMOVE_FORCE, NULL);
    }
}

/* What was up when it was asked may have ended while others were waited for. */
static int look_again(struct execution *e, struct err *err)
{
    for (size_t i = 0; i < e->run.plan->actions.len; i++) {
        const struct compose_action *action = &e->run.plan->actions.items[i];
        enum compose_verdict verdict;

        if (action->kind != COMPOSE_SERVICE_AWAIT || action->condition != COMPOSE_UP)
            continue;
        if (compose_await_check(&e->run, e->docker, action, &verdict, err) < 0 ||
            verdict == COMPOSE_NOT_MET)
            return -1;
    }
    return 0;
}

/* All is up, and what goes now could not be put back: from here on nothing is a failure that would
 * take the new ones away, nor is there an end of the caller's time. */
static void take_away(struct execution *e, const struct ctx *ctx)
{
    ctx_init_grace(&e->late, ctx, LAST_WAIT_MS);
    e->run.ctx = &e->late;
    e->last = true;
    (void)begin_all(e);
    settle(e);
    if (has_failed(&e->run))
        compose_warn(e->run.session, "all is up, but %s", e->run.failure.message);
    ctx_release(&e->late);
}

/* What it was that took too long. */
static void explain_timeout(struct execution *e, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_STRVEC struct strvec told = {0};

    if (!err || err->code != ERR_TIMEOUT)
        return;
    buf_addstr(&text, err->message);
    for (size_t i = 0; i < e->run.plan->actions.len && text.len < ERR_MESSAGE_SIZE; i++) {
        const struct compose_action *action = &e->run.plan->actions.items[i];

        if (!awaits(e, i) || strvec_has(&told, action->service))
            continue;
        strvec_push(&told, action->service);
        compose_await_explain(&e->run, e->docker, action, &text);
    }
    err_set(err, ERR_TIMEOUT, "%s", text.data);
}

static int run_plan(struct execution *e, const struct ctx *ctx, struct err *err)
{
    int result = drive(e, err);

    settle(e);
    if (result == 0)
        result = look_again(e, err);
    if (result == 0) {
        take_away(e, ctx);
        return 0;
    }
    /* Whatever was in its way says less than that. */
    if (ctx_done(ctx)) {
        (void)ctx_check(ctx, err);
        explain_timeout(e, err);
    }
    if (ctx_done(ctx) || e->run.options->undo) {
        if (e->run.session->sink->undoing)
            e->run.session->sink->undoing(e->run.session->sink->arg);
        compose_undo_all(&e->run, e->docker);
    } else
        settle_replacements(e);
    return -1;
}

/* --- setting up --- */

static bool will_be_made(const struct compose_plan *plan, const char *service, int number)
{
    vec_foreach (const struct compose_action *, action, &plan->actions) {
        if (action->kind == COMPOSE_CONTAINER_CREATE && action->number == number &&
            strcmp(action->service, service) == 0)
            return true;
    }
    return false;
}

/* The containers that stay. */
static void fill_ids(struct compose_run *run)
{
    const struct compose_project *project = run->session->project;

    for (size_t i = 0; i < project->order.len; i++) {
        const char *service = project->order.items[i];
        int64_t count = compose_scale(compose_service(project, service));

        for (int number = 1; number <= count; number++) {
            const struct compose_container *c =
                compose_find_container(project, run->state, service, number);
            CLEANUP_FREE char *key = xasprintf("%s/%d", service, number);

            if (c && !will_be_made(run->plan, service, number))
                strmap_set(&run->ids, key, c->id);
        }
    }
}

static int follow_events(struct execution *e, struct err *err)
{
    CLEANUP_FREE char *label =
        xasprintf("%s=%s", COMPOSE_LABEL_PROJECT, e->run.session->project->name);
    const struct docker_filter filters[] = {{"type", "container"}, {"label", label}};

    return docker_events_start(e->run.ctx, e->docker, filters, 2, 0, on_event, e, &e->events, err);
}

static int start_up(struct execution *e, struct err *err)
{
    struct compose_run *run = &e->run;
    size_t count = run->plan->actions.len;

    run->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (run->done_fd < 0)
        return err_errno(err, "cannot make a signal");
    run->status = xcalloc(count + 1, sizeof(*run->status));
    e->jobs = xcalloc(count + 1, sizeof(*e->jobs));
    for (size_t i = 0; i < count; i++)
        e->jobs[i] = (struct job){run, i};
    fill_ids(run);
    if (compose_client_take(&run->session->clients, &e->docker, err) < 0)
        return -1;
    return follow_events(e, err);
}

static void shut_down(struct execution *e)
{
    workers_release(&e->workers);
    docker_events_free(e->events);
    compose_client_give(&e->run.session->clients, e->docker);
    compose_effects_release(&e->run);
    strmap_release(&e->run.ids);
    free(e->run.status);
    free(e->jobs);
    if (e->run.done_fd >= 0)
        close(e->run.done_fd);
    pthread_mutex_destroy(&e->run.mu);
}

int compose_execute(const struct ctx *ctx, struct compose_session *session,
                    const struct compose_plan *plan, const struct compose_state *state,
                    const struct compose_up *options, const struct strmap *image_ids,
                    struct err *err)
{
    struct execution e = {.run = {.session = session,
                                  .plan = plan,
                                  .state = state,
                                  .options = options,
                                  .image_ids = image_ids,
                                  .ctx = ctx,
                                  .done_fd = -1,
                                  .failure = ERR_INIT}};
    int result;

    if (!plan->actions.len)
        return 0;
    pthread_mutex_init(&e.run.mu, NULL);
    workers_init(&e.workers, THREADS_MAX);
    result = start_up(&e, err);
    if (result == 0)
        result = run_plan(&e, ctx, err);
    shut_down(&e);
    return result;
}
