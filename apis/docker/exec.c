#include "apis/docker/body.h"
#include "apis/docker/container.h"
#include "apis/docker/path.h"
#include "apis/docker/stream.h"
#include "base/json_at.h"

#define EXIT_POLL_MS 10

int docker_exec_create(const struct ctx *ctx, struct docker_client *docker, const char *container,
                       const struct docker_exec_create *o, char **ret_id, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct body b;
    json_t *body;
    json_t *answer;
    int result;

    body_init(&b);
    body_list(&b, b.root, "Cmd", o->cmd);
    body_env(&b, b.root, "Env", o->env, NULL);
    body_str(&b, b.root, "WorkingDir", o->workdir);
    body_str(&b, b.root, "User", o->user);
    body_true(b.root, "AttachStdin", o->stdin_open);
    body_true(b.root, "AttachStdout", true);
    body_true(b.root, "AttachStderr", true);
    body_true(b.root, "Tty", o->tty);
    body_true(b.root, "Privileged", o->privileged);
    body = body_done(&b, err);
    if (!body)
        return -1;
    docker_path(&path, "containers", container, "exec");
    result = docker_call(ctx, docker, "POST", path.data, body, 0, &answer, err);
    json_decref(body);
    if (result < 0)
        return -1;
    *ret_id = json_at_dup(answer, "Id");
    json_decref(answer);
    return 0;
}

int docker_exec_start(const struct ctx *ctx, struct docker_client *docker, const char *exec_id,
                      bool tty, struct http_stream **ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, "exec", exec_id, "start");
    return docker_stream_open(ctx, docker, path.data,
                              tty ? "{\"Detach\":false,\"Tty\":true}"
                                  : "{\"Detach\":false,\"Tty\":false}",
                              ret, err);
}

int docker_exec_start_detached(const struct ctx *ctx, struct docker_client *docker,
                               const char *exec_id, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    json_t *body = json_pack("{s:b}", "Detach", 1);
    int result;

    docker_path(&path, "exec", exec_id, "start");
    result = docker_call(ctx, docker, "POST", path.data, body, 0, NULL, err);
    json_decref(body);
    return result;
}

int docker_exec_inspect(const struct ctx *ctx, struct docker_client *docker, const char *exec_id,
                        struct docker_exec *ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    const json_t *code;
    json_t *body;

    docker_path(&path, "exec", exec_id, "json");
    if (docker_call(ctx, docker, "GET", path.data, NULL, 0, &body, err) < 0)
        return -1;
    code = json_at(body, "ExitCode");
    ret->running = json_at_bool(body, "Running");
    ret->exit_code = json_is_integer(code) && !ret->running ? json_integer_value(code) : -1;
    ret->pid = json_at_int(body, "Pid");
    json_decref(body);
    return 0;
}

/* The output can end a little before the daemon knows of the exit. */
static int await_exit(const struct ctx *ctx, struct docker_client *docker, const char *exec_id,
                      int64_t *ret_code, struct err *err)
{
    struct docker_exec state;

    for (;;) {
        if (docker_exec_inspect(ctx, docker, exec_id, &state, err) < 0)
            return -1;
        if (!state.running)
            break;
        if (ctx_sleep(ctx, EXIT_POLL_MS, err) < 0)
            return -1;
    }
    *ret_code = state.exit_code;
    return 0;
}

int docker_exec_run(const struct ctx *ctx, struct docker_client *docker, const char *container,
                    const struct docker_exec_create *options, const struct buf *input,
                    docker_output_fn *output, void *arg, int64_t *ret_code, struct err *err)
{
    CLEANUP_FREE char *exec_id = NULL;
    CLEANUP_HTTP_STREAM struct http_stream *stream = NULL;
    struct docker_frames frames;

    if (docker_exec_create(ctx, docker, container, options, &exec_id, err) < 0 ||
        docker_exec_start(ctx, docker, exec_id, options->tty, &stream, err) < 0)
        return -1;
    if (input && http_stream_write_all(ctx, stream, input->data, input->len, err) < 0)
        return -1;
    docker_frames_init(&frames, options->tty, output, arg);
    if (docker_frames_read(ctx, &frames, stream, err) < 0)
        return -1;
    return await_exit(ctx, docker, exec_id, ret_code, err);
}
