#include "compose/run.h"

#include "base/alloc.h"

struct hook {
    struct compose_session *session;
    const char *name;
    struct compose_lines lines;
};

static void on_line(void *arg, const char *text, size_t len)
{
    struct hook *hook = arg;

    (void)len;
    compose_output(hook->session, COMPOSE_OBJECT_CONTAINER, hook->name, text);
}

static int on_output(void *arg, enum docker_output stream, const char *data, size_t len,
                     struct err *err)
{
    struct hook *hook = arg;

    (void)stream;
    (void)err;
    compose_lines_add(&hook->lines, data, len);
    return 0;
}

static int one(const struct ctx *ctx, struct docker_client *docker, struct hook *hook,
               const json_t *description, const char *id, int64_t *ret_code, struct err *err)
{
    CLEANUP_STRVEC struct strvec command = {0};
    CLEANUP_STRMAP struct strmap environment = {0};
    struct docker_exec_create create = {.user = compose_string(description, "user"),
                                        .workdir = compose_string(description, "working_dir"),
                                        .privileged =
                                            compose_bool(description, "privileged", false),
                                        .env = &environment};
    int result;

    (void)compose_strings(description, "command", &command);
    compose_pairs(description, "environment", &environment);
    create.cmd = (const char *const *)command.items;
    hook->lines = (struct compose_lines){.partial = BUF_INIT, .line = on_line, .arg = hook};
    result = docker_exec_run(ctx, docker, id, &create, NULL, on_output, hook, ret_code, err);
    compose_lines_end(&hook->lines);
    return result;
}

int compose_hooks_run(const struct ctx *ctx, struct compose_session *session,
                      struct docker_client *docker, const json_t *service, const char *member,
                      const char *id, const char *name, struct err *err)
{
    struct hook hook = {.session = session, .name = name};
    size_t i;
    json_t *description;

    json_array_foreach (json_object_get(service, member), i, description) {
        int64_t code = 0;

        if (one(ctx, docker, &hook, description, id, &code, err) < 0)
            return err_wrap(err, "%s hook %zu of container %s", member, i + 1, name);
        if (code)
            return compose_error(session->project, description, err, ERR_CONFLICT,
                                 "%s hook %zu of container %s ended with exit code %jd", member,
                                 i + 1, name, (intmax_t)code);
    }
    return 0;
}
