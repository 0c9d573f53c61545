#include "compose/run.h"

#include <string.h>

#include "base/alloc.h"
#include "compose/recipe.h"

#define LOG_LINES    20
#define LOG_WAIT_MS  5000
#define OUTPUT_SHOWN 300
#define RESTARTS_MAX 3

static const char *const wanted[] = {
    [COMPOSE_UP] = "is not up",
    [COMPOSE_HEALTHY] = "is not healthy",
    [COMPOSE_COMPLETED] = "has not completed",
};

static bool is(const char *text, const char *other)
{
    return strcmp(text, other) == 0;
}

static enum compose_verdict ended(const struct docker_container *c, struct buf *why)
{
    buf_addf(why, "ended with exit code %jd", (intmax_t)c->exit_code);
    if (c->oom_killed)
        buf_addstr(why, " because it was out of memory");
    if (*c->error)
        buf_addf(why, " (%s)", c->error);
    return COMPOSE_NOT_MET;
}

static void add_health(const struct docker_container *c, const char *health, struct buf *out)
{
    size_t len = strcspn(c->health_output, "\r\n");

    buf_addstr(out, health);
    if (len)
        buf_addf(out, ": its check says \"%.*s\"", (int)(len < OUTPUT_SHOWN ? len : OUTPUT_SHOWN),
                 c->health_output);
}

static enum compose_verdict judge_health(const struct docker_container *c, struct buf *why)
{
    if (is(c->health, "healthy"))
        return COMPOSE_MET;
    if (is(c->health, "starting"))
        return COMPOSE_PENDING;
    buf_addstr(why, "is ");
    add_health(c, "unhealthy", why);
    return COMPOSE_NOT_MET;
}

enum compose_verdict compose_judge(const struct docker_container *c,
                                   enum compose_condition condition, struct buf *why)
{
    bool checked = *c->health && !is(c->health, "none");

    if (is(c->status, "exited")) {
        if (c->exit_code || condition == COMPOSE_HEALTHY)
            return ended(c, why);
        return COMPOSE_MET;
    }
    if (is(c->status, "dead") || is(c->status, "removing")) {
        buf_addf(why, "is %s", c->status);
        return COMPOSE_NOT_MET;
    }
    if (is(c->status, "paused")) {
        buf_addstr(why, "is paused; unpause it with `docker unpause`");
        return COMPOSE_NOT_MET;
    }
    if (is(c->status, "restarting") && condition != COMPOSE_COMPLETED &&
        c->restart_count >= RESTARTS_MAX) {
        buf_addf(why, "ends again and again, the last time with exit code %jd",
                 (intmax_t)c->exit_code);
        return COMPOSE_NOT_MET;
    }
    if (condition == COMPOSE_COMPLETED || is(c->status, "created") || is(c->status, "restarting"))
        return COMPOSE_PENDING;
    if (checked)
        return judge_health(c, why);
    if (condition == COMPOSE_UP)
        return COMPOSE_MET;
    buf_addstr(why, "has no health check, which what depends on it waits for");
    return COMPOSE_NOT_MET;
}

struct shown {
    struct compose_session *session;
    const char *name;
    struct compose_lines lines;
};

static void on_line(void *arg, const char *text, size_t len)
{
    struct shown *shown = arg;

    (void)len;
    compose_output(shown->session, COMPOSE_OBJECT_CONTAINER, shown->name, text);
}

static int on_output(void *arg, enum docker_output stream, const char *data, size_t len,
                     struct err *err)
{
    struct shown *shown = arg;

    (void)stream;
    (void)err;
    compose_lines_add(&shown->lines, data, len);
    return 0;
}

void compose_show_log(struct compose_session *session, struct docker_client *docker, const char *id,
                      const char *name)
{
    struct shown shown = {.session = session,
                          .name = name,
                          .lines = {.partial = BUF_INIT, .line = on_line, .arg = &shown}};
    CLEANUP_DOCKER_CONTAINER struct docker_container container = {0};
    const struct docker_logs options = {.flags = DOCKER_ATTACH_OUTPUT, .tail = LOG_LINES};
    struct docker_frames frames;
    struct ctx ctx;

    ctx_init_cleanup(&ctx, LOG_WAIT_MS);
    if (docker_container_inspect(&ctx, docker, id, &container, NULL) < 0)
        return;
    docker_frames_init(&frames, container.tty, on_output, &shown);
    (void)!docker_container_logs(&ctx, docker, id, &options, &frames, NULL);
    compose_lines_end(&shown.lines);
}

static int not_met(struct compose_run *run, struct docker_client *docker,
                   const struct compose_action *action, const struct docker_container *c,
                   const char *why, struct err *err)
{
    const struct compose_project *project = run->session->project;

    compose_show_log(run->session, docker, c->id, c->name);
    return compose_error(project, compose_service(project, action->service), err, ERR_CONFLICT,
                         "service \"%s\" %s: container %s %s", action->service,
                         wanted[action->condition], c->name, why);
}

static void explain_container(const struct docker_container *c, struct buf *out)
{
    buf_addf(out, "container %s is ", c->name);
    if (is(c->status, "running") && *c->health && !is(c->health, "none"))
        add_health(c, is(c->health, "starting") ? "not healthy yet" : c->health, out);
    else if (is(c->status, "restarting"))
        buf_addf(out, "starting again after exit code %jd", (intmax_t)c->exit_code);
    else
        buf_addf(out, "%s", is(c->status, "running") ? "still running" : c->status);
}

void compose_await_explain(struct compose_run *run, struct docker_client *docker,
                           const struct compose_action *action, struct buf *out)
{
    int64_t count = compose_scale(compose_service(run->session->project, action->service));
    struct ctx ctx;

    ctx_init_cleanup(&ctx, LOG_WAIT_MS);
    for (int number = 1; number <= count; number++) {
        CLEANUP_DOCKER_CONTAINER struct docker_container c = {0};
        CLEANUP_BUF struct buf why = BUF_INIT;
        const char *id = compose_run_container(run, action->service, number);

        if (!id || docker_container_inspect(&ctx, docker, id, &c, NULL) < 0 ||
            compose_judge(&c, action->condition, &why) == COMPOSE_MET)
            continue;
        buf_addf(out, "; service \"%s\" %s: ", action->service, wanted[action->condition]);
        explain_container(&c, out);
        compose_show_log(run->session, docker, c.id, c.name);
    }
}

int compose_await_check(struct compose_run *run, struct docker_client *docker,
                        const struct compose_action *action, enum compose_verdict *ret,
                        struct err *err)
{
    int64_t count = compose_scale(compose_service(run->session->project, action->service));

    *ret = COMPOSE_MET;
    for (int number = 1; number <= count; number++) {
        CLEANUP_DOCKER_CONTAINER struct docker_container c = {0};
        CLEANUP_BUF struct buf why = BUF_INIT;
        const char *id = compose_run_container(run, action->service, number);

        if (docker_container_inspect(run->ctx, docker, id, &c, err) < 0)
            return err_wrap(err, "service \"%s\"", action->service);
        switch (compose_judge(&c, action->condition, &why)) {
        case COMPOSE_MET:
            break;
        case COMPOSE_PENDING:
            *ret = COMPOSE_PENDING;
            break;
        case COMPOSE_NOT_MET:
            *ret = COMPOSE_NOT_MET;
            (void)not_met(run, docker, action, &c, why.data, err);
            return 0;
        }
    }
    return 0;
}
