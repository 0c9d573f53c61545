#include "engine/kubernetes/container.h"

#include "base/alloc.h"
#include "k8s/pod.h"

struct container_command {
    struct remote_command command;
    struct kube_exec *exec;
};

static struct kube_exec *exec_of(const struct remote_command *command)
{
    return ((const struct container_command *)command)->exec;
}

static int start(const struct ctx *ctx, const struct remote *remote, const char *const *argv,
                 bool with_stdin, struct remote_command **ret, struct err *err)
{
    const struct container_remote *container = (const struct container_remote *)remote;
    const struct kube_exec_options options = {.ns = container->ns,
                                              .pod = container->pod,
                                              .container = container->container,
                                              .command = argv,
                                              .with_stdin = with_stdin};
    struct container_command *command;
    struct kube_exec *exec;

    if (kube_exec_open(ctx, container->cluster, &options, &exec, err) < 0)
        return -1;
    command = xcalloc(1, sizeof(*command));
    command->command.ops = remote->ops;
    command->exec = exec;
    *ret = &command->command;
    return 0;
}

static enum remote_read read_command(struct remote_command *command, struct remote_output *ret,
                                     struct err *err)
{
    struct kube_exec_output output;

    switch (kube_exec_read(exec_of(command), &output, err)) {
    case KUBE_EXEC_OUTPUT:
        ret->stream = output.channel == KUBE_EXEC_STDOUT ? HELPER_STDOUT : HELPER_STDERR;
        ret->data = output.data;
        ret->len = output.len;
        return REMOTE_OUTPUT;
    case KUBE_EXEC_AGAIN:
        return REMOTE_AGAIN;
    case KUBE_EXEC_ENDED:
        return REMOTE_ENDED;
    case KUBE_EXEC_ERROR:
        break;
    }
    return REMOTE_ERROR;
}

static ssize_t write_command(struct remote_command *command, const void *data, size_t len,
                             struct err *err)
{
    return kube_exec_write(exec_of(command), data, len, err);
}

static size_t queued(const struct remote_command *command)
{
    return kube_exec_queued(exec_of(command));
}

static int wait_command(const struct ctx *ctx, struct remote_command *command, struct pollfd *fds,
                        size_t count, int timeout_ms, struct err *err)
{
    return kube_exec_wait(ctx, exec_of(command), fds, count, timeout_ms, err);
}

static int exit_code(const struct remote_command *command, int *ret, struct err *err)
{
    const struct kube_exec_result *result = kube_exec_result(exec_of(command));

    if (!result->exited) {
        if (err)
            *err = result->error;
        return -1;
    }
    *ret = result->exit_code;
    return 0;
}

static void free_command(struct remote_command *command)
{
    kube_exec_free(exec_of(command));
    free(command);
}

static const struct remote_ops ops = {
    .what = "pod",
    .start = start,
    .read = read_command,
    .write = write_command,
    .queued = queued,
    .wait = wait_command,
    .exit_code = exit_code,
    .free = free_command,
};

void container_remote_init(struct container_remote *container, const char *name)
{
    container->remote = (struct remote){.ops = &ops, .name = name, .helper = POD_HELPER};
}
