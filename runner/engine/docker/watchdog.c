#include "engine/docker/watchdog.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "apis/docker/container.h"
#include "base/alloc.h"
#include "engine/docker/docker.h"
#include "engine/docker/instance.h"

#define SWEEP_MS 120000

/* Whatever tells the docker client where its daemon is. */
static const char *const passed_on[] = {"DOCKER_HOST",    "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
                                        "DOCKER_CONTEXT", "DOCKER_CONFIG",     "HOME",
                                        "XDG_RUNTIME_DIR"};

/* Our own mounts again, so that socket, certificates and configuration are where we have them. */
static size_t copy_mounts(const struct docker_container *self, struct docker_mount *mounts)
{
    size_t count = 0;

    for (size_t i = 0; i < self->mount_count; i++) {
        const struct docker_mount_point *from = &self->mounts[i];
        bool volume = strcmp(from->type, "volume") == 0;

        if (volume || strcmp(from->type, "bind") == 0)
            mounts[count++] =
                (struct docker_mount){.type = volume ? DOCKER_MOUNT_VOLUME : DOCKER_MOUNT_BIND,
                                      .source = volume ? from->name : from->source,
                                      .target = from->destination,
                                      .read_only = !from->writable};
    }
    return count;
}

static int create(const struct ctx *ctx, struct docker_instance *instance,
                  struct docker_client *client, char **ret_id, struct err *err)
{
    const struct docker_container *self = &instance->self.container;
    const char *run = own_run_id(instance->services->run);
    CLEANUP_STRMAP struct strmap labels = {0};
    CLEANUP_STRMAP struct strmap env = {0};
    CLEANUP_FREE char *name = xasprintf("runner-%s-watchdog", run);
    CLEANUP_FREE struct docker_mount *mounts = xcalloc(self->mount_count + 1, sizeof(*mounts));
    char program[PATH_MAX] = "";
    const char *entrypoint[] = {program, NULL};
    const char *cmd[] = {"watchdog", "--run", run, NULL};
    const bool init = true;
    struct docker_create options = {.name = name,
                                    .image = self->image_id,
                                    .entrypoint = entrypoint,
                                    .cmd = cmd,
                                    .env = &env,
                                    .labels = &labels,
                                    .user = self->user,
                                    .mounts = mounts,
                                    .open_stdin = true,
                                    .stdin_once = true,
                                    .attach_stdin = true,
                                    .auto_remove = true,
                                    .init = &init};

    if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
        return err_errno(err, "cannot find the runner's own program");
    for (size_t i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++) {
        if (getenv(passed_on[i]))
            strmap_set(&env, passed_on[i], getenv(passed_on[i]));
    }
    instance_labels(instance, "watchdog", run, &labels);
    options.mount_count = copy_mounts(self, mounts);
    /* The network of a dying container is of no use; a unix socket needs none. */
    options.network_mode = instance->endpoint.unix_socket ? "none" : self->network_mode;
    return docker_container_create(ctx, client, &options, ret_id, err);
}

int watchdog_start(const struct ctx *ctx, struct docker_instance *instance,
                   struct docker_client *client, struct err *err)
{
    if (create(ctx, instance, client, &instance->watchdog, err) < 0 ||
        docker_container_attach(ctx, client, instance->watchdog, DOCKER_ATTACH_STDIN,
                                &instance->watchdog_lease, err) < 0 ||
        docker_container_start(ctx, client, instance->watchdog, err) < 0) {
        watchdog_stop(ctx, instance, client);
        return err_wrap(err, "cannot start the watchdog container");
    }
    return 0;
}

void watchdog_stop(const struct ctx *ctx, struct docker_instance *instance,
                   struct docker_client *client)
{
    struct err err = ERR_INIT;

    if (!instance->watchdog)
        return;
    if (instance_remove_container(ctx, instance, client, instance->watchdog, &err) < 0)
        instance_remove_failed(instance, "container", instance->watchdog, &err);
    free(steal_ptr(&instance->watchdog));
}

/* Returns when standard input has ended. */
static int await_end_of_input(const struct ctx *ctx, struct err *err)
{
    char scratch[256];
    ssize_t n;

    do {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

        if (ctx_poll(ctx, &input, 1, -1, err) < 0)
            return -1;
        n = read(STDIN_FILENO, scratch, sizeof(scratch));
    } while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
    return 0;
}

static int sweep(struct engine_instance *instance, const char *run_id, struct err *err)
{
    struct sweep_request request = {.run_id = run_id};
    CLEANUP_CTX struct ctx ctx;
    size_t count;

    ctx_init_cleanup(&ctx, SWEEP_MS);
    return docker_engine.sweep(&ctx, instance, &request, &count, err);
}

int docker_watchdog_main(const struct ctx *ctx, const char *docker_host, const char *run_id,
                         struct err *err)
{
    struct engine_services services = {.docker_host = docker_host};
    struct engine_instance *instance;
    int result;

    if (docker_engine.connect(ctx, &services, "docker", &instance, err) < 0)
        return -1;
    result = await_end_of_input(ctx, err);
    if (result == 0)
        result = sweep(instance, run_id, err);
    docker_engine.disconnect(instance);
    return result;
}
