#include "engine/docker/beside.h"

#include "base/alloc.h"

#define EXIT_POLL_MS 10

static int read_to_end(const struct ctx *ctx, struct http_stream *stream, docker_output_fn *output,
                       void *arg, struct err *err)
{
    struct docker_frames frames;
    struct pollfd fd = {.fd = http_stream_fd(stream), .events = POLLIN};

    docker_frames_init(&frames, false, output, arg);
    for (;;) {
        switch (docker_frames_pump(&frames, stream, err)) {
        case DOCKER_PUMP_ERROR:
            return -1;
        case DOCKER_PUMP_END:
            return 0;
        case DOCKER_PUMP_MORE:
            break;
        case DOCKER_PUMP_IDLE:
            if (ctx_poll(ctx, &fd, 1, -1, err) < 0)
                return -1;
        }
    }
}

/* The output can end a little before the daemon knows of the exit. */
static int await_exit(const struct ctx *ctx, struct docker_client *client, const char *exec,
                      int64_t *ret_code, struct err *err)
{
    struct docker_exec state;

    do {
        if (docker_exec_inspect(ctx, client, exec, &state, err) < 0)
            return -1;
        if (!state.running)
            break;
    } while (ctx_sleep(ctx, EXIT_POLL_MS, err) == 0);
    if (state.running)
        return -1;
    *ret_code = state.exit_code;
    return 0;
}

int beside_run(const struct ctx *ctx, struct docker_client *client, const char *container,
               const char *const *cmd, const struct buf *input, docker_output_fn *output, void *arg,
               int64_t *ret_code, struct err *err)
{
    const struct docker_exec_create create = {.cmd = cmd, .stdin_open = input != NULL};
    CLEANUP_FREE char *exec = NULL;
    CLEANUP_HTTP_STREAM struct http_stream *stream = NULL;

    if (docker_exec_create(ctx, client, container, &create, &exec, err) < 0 ||
        docker_exec_start(ctx, client, exec, false, &stream, err) < 0)
        return -1;
    if (input && http_stream_write_all(ctx, stream, input->data, input->len, err) < 0)
        return -1;
    if (read_to_end(ctx, stream, output, arg, err) < 0)
        return -1;
    return await_exit(ctx, client, exec, ret_code, err);
}
