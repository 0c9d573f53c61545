#include "engine/host/host.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/tree.h"
#include "engine/host/private.h"

static int host_connect(const struct ctx *ctx, const struct engine_services *services,
                        const char *url, struct engine_instance **ret, struct err *err)
{
    struct host_instance *instance;

    (void)ctx;
    (void)url;
    if (services->run && own_run_note(services->run, OWN_ENDPOINT, host_engine.name, err) < 0)
        return -1;
    instance = xcalloc(1, sizeof(*instance));
    instance->engine = &host_engine;
    instance->services = services;
    pthread_mutex_init(&instance->mu, NULL);
    *ret = (struct engine_instance *)instance;
    return 0;
}

static void host_disconnect(struct engine_instance *given)
{
    struct host_instance *instance = (struct host_instance *)given;

    if (!instance)
        return;
    vec_foreach (int *, socket, &instance->idle)
        close(*socket);
    vec_release(&instance->idle);
    host_files_release(instance);
    pthread_mutex_destroy(&instance->mu);
    free(instance);
}

int host_supervisor_take(const struct ctx *ctx, struct host_instance *instance, bool *ret_fresh,
                         struct err *err)
{
    const struct engine_services *services = instance->services;
    int socket = -1;

    pthread_mutex_lock(&instance->mu);
    if (instance->idle.len > 0)
        socket = instance->idle.items[--instance->idle.len];
    pthread_mutex_unlock(&instance->mu);
    *ret_fresh = socket < 0;
    if (socket >= 0)
        return socket;
    if (!services->supervisor)
        return err_set(err, ERR_UNSUPPORTED, "steps cannot be run here: there is no keeper");
    if (services->supervisor(services->supervisor_arg, ctx, &socket, err) < 0)
        return -1;
    if (fcntl(socket, F_SETFL, O_NONBLOCK) < 0) {
        err_errno(err, "cannot set up the supervisor's socket");
        close(socket);
        return -1;
    }
    return socket;
}

void host_supervisor_give_back(struct host_instance *instance, int socket)
{
    pthread_mutex_lock(&instance->mu);
    vec_push(&instance->idle, socket);
    pthread_mutex_unlock(&instance->mu);
}

static int host_probe(const struct ctx *ctx, struct engine_instance *instance, struct buf *report,
                      struct err *err)
{
    (void)ctx;
    (void)instance;
    if (!tree_supported())
        return err_set(err, ERR_UNSUPPORTED,
                       "/proc/PID/task/TID/children is missing, so what steps leave behind cannot "
                       "be found: mount /proc, or use a kernel with CONFIG_PROC_CHILDREN");
    buf_addf(report, "local processes, whole trees ended; steps run as %s",
             geteuid() == 0 ? "root or any user" : "this user only");
    return 0;
}

static int host_open(const struct ctx *ctx, struct engine_instance *instance,
                     const struct place_options *options, struct place **ret, struct err *err)
{
    struct host_place *place = xcalloc(1, sizeof(*place));

    (void)ctx;
    (void)err;
    place->engine = &host_engine;
    place->instance = (struct host_instance *)instance;
    place->workspace = xstrdup(options->workspace);
    *ret = (struct place *)place;
    return 0;
}

static bool host_shares_workspace(const struct ctx *ctx, struct place *place)
{
    (void)ctx;
    (void)place;
    return true;
}

static void host_close(struct place *given)
{
    struct host_place *place = (struct host_place *)given;

    if (!place)
        return;
    free(place->workspace);
    free(atomic_load(&place->chunk));
    free(place);
}

const struct engine host_engine = {
    .name = "host",
    .capabilities = ENGINE_LOCAL,
    .connect = host_connect,
    .disconnect = host_disconnect,
    .probe = host_probe,
    .open = host_open,
    .run = host_run,
    .check = host_check,
    .shares_workspace = host_shares_workspace,
    .close = host_close,
    .sweep = host_sweep,
};
