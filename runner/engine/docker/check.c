#include "engine/docker/check.h"

#include <string.h>

#include "base/alloc.h"
#include "base/last_line.h"
#include "engine/docker/place.h"
#include "helper/helper.h"

/* The id of the container that runs it; the caller frees. NULL: none. */
static char *find_container(struct docker_place *place, const struct runnable *running)
{
    char *id = NULL;

    pthread_mutex_lock(&place->mu);
    for (const struct running *r = place->running; r; r = r->next) {
        if (strcmp(r->runnable->id, running->id) == 0)
            id = xstrdup(r->container->id);
    }
    pthread_mutex_unlock(&place->mu);
    return id;
}

static int on_output(void *arg, enum docker_output stream, const char *data, size_t len,
                     struct err *err)
{
    (void)stream;
    (void)err;
    last_line_add(arg, data, len);
    return 0;
}

static int ask(const struct ctx *ctx, struct docker_place *place, const char *container,
               const char *const *cmd, const struct buf *request, struct last_line *said,
               int64_t *ret_code, struct err *err)
{
    const struct docker_exec_create create = {.cmd = cmd, .stdin_open = request != NULL};
    struct docker_client *client;
    struct err why = ERR_INIT;
    int result;

    if (instance_client_take(place->instance, &client, err) < 0)
        return -1;
    result =
        docker_exec_run(ctx, client, container, &create, request, on_output, said, ret_code, &why);
    instance_client_give(place->instance, client);
    /* A container that just ends makes the daemon refuse in many ways: none of them is for good. */
    if (result < 0)
        return err_set(err, why.code == ERR_INVALID ? ERR_UNAVAILABLE : why.code, "%s",
                       why.message);
    return 0;
}

static int check_address(const struct ctx *ctx, struct docker_place *place, const char *container,
                         const char *host, const struct probe *probe, struct err *err)
{
    const size_t prefix = strlen(HELPER_MESSAGE_PREFIX);
    struct last_line said = {0};
    char port[8];
    const char *const cmd[] = {TOOLS_HELPER, "probe", probe->kind == PROBE_HTTP ? "http" : "tcp",
                               host,         port,    probe->path,
                               NULL};
    int64_t code = -1;

    snprintf(port, sizeof(port), "%u", probe->port);
    if (ask(ctx, place, container, cmd, NULL, &said, &code, err) < 0)
        return -1;
    if (code == 0)
        return 0;
    if (strncmp(said.text, HELPER_MESSAGE_PREFIX, prefix) == 0)
        return err_set(err, ERR_UNAVAILABLE, "cannot %s", said.text + prefix);
    return err_set(err, ERR_UNAVAILABLE, "the helper ends with %lld%s%s", (long long)code,
                   *said.text ? ": " : "", said.text);
}

static int check_command(const struct ctx *ctx, struct docker_place *place, const char *container,
                         const struct runnable *running, const struct probe *probe, struct err *err)
{
    static const char *const cmd[] = {TOOLS_HELPER, "exec", NULL};
    CLEANUP_BUF struct buf request = BUF_INIT;
    struct last_line said = {0};
    int64_t code = -1;

    helper_request_begin(&request);
    for (const char *const *arg = probe->argv; *arg; arg++)
        helper_request_string(&request, HELPER_ARG, *arg);
    if (running->environment)
        helper_request_env(&request, running->environment);
    if (running->workdir)
        helper_request_string(&request, HELPER_CWD, running->workdir);
    if (helper_request_end(&request, err) < 0 ||
        ask(ctx, place, container, cmd, &request, &said, &code, err) < 0)
        return -1;
    if (code == 0)
        return 0;
    return err_set(err, ERR_UNAVAILABLE, "the command ends with %lld%s%s", (long long)code,
                   *said.text ? ": " : "", said.text);
}

/* Whether the address means the service itself. */
static bool is_itself(const struct runnable *service, const char *host)
{
    return !host || strcmp(host, service->service->name) == 0 || strcmp(host, "localhost") == 0 ||
           strcmp(host, "127.0.0.1") == 0;
}

/* A service is looked at from where it will be used, under its name. */
static int check_service_address(const struct ctx *ctx, struct docker_place *place,
                                 const struct runnable *service, const struct probe *probe,
                                 struct err *err)
{
    CLEANUP_FREE char *holder = place_holder_name(ctx, place);

    if (!holder)
        return err_set(err, ERR_UNAVAILABLE, "the network of the services is away");
    return check_address(ctx, place, holder,
                         is_itself(service, probe->host) ? service->service->name : probe->host,
                         probe, err);
}

static int inspect(const struct ctx *ctx, struct docker_place *place, const char *container,
                   struct docker_container *ret, struct err *err)
{
    struct docker_client *client;
    int result;

    if (instance_client_take(place->instance, &client, err) < 0)
        return -1;
    result = docker_container_inspect(ctx, client, container, ret, err);
    instance_client_give(place->instance, client);
    return result;
}

static int check_health(const struct docker_container *found, struct err *err)
{
    struct last_line said = {0};

    if (strcmp(found->health, "healthy") == 0)
        return 0;
    last_line_add(&said, found->health_output, strlen(found->health_output));
    return err_set(err, ERR_UNAVAILABLE, "its health check says %s%s%s", found->health,
                   *said.text ? ": " : "", said.text);
}

/* What the image says of itself. */
static int check_image(const struct ctx *ctx, struct docker_place *place, const char *container,
                       const struct runnable *service, bool listening, struct err *err)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container found = {0};

    if (inspect(ctx, place, container, &found, err) < 0)
        return -1;
    if (*found.health)
        return check_health(&found, err);
    for (size_t i = 0; listening && i < found.exposed_ports.len; i++) {
        struct probe probe = {.kind = PROBE_TCP};
        struct port_mapping port;

        if (port_mapping_parse(found.exposed_ports.items[i], &port, NULL) < 0 || port.udp)
            continue;
        probe.port = port.port;
        if (check_service_address(ctx, place, service, &probe, err) < 0)
            return -1;
    }
    return 0;
}

/* The host of the daemon as this process reaches it. */
static char *daemon_host(const struct docker_instance *instance)
{
    if (instance->self.place != SELF_ELSEWHERE)
        return xstrdup("127.0.0.1");
    return docker_endpoint_host(&instance->endpoint);
}

int docker_place_published(const struct ctx *ctx, struct place *opaque,
                           const struct runnable *service, struct strmap *ret, struct err *err)
{
    struct docker_place *place = (struct docker_place *)opaque;
    CLEANUP_DOCKER_CONTAINER struct docker_container found = {0};
    CLEANUP_FREE char *container = find_container(place, service);
    CLEANUP_FREE char *host = daemon_host(place->instance);

    if (!container)
        return err_set(err, ERR_UNAVAILABLE, "its container does not run");
    if (inspect(ctx, place, container, &found, err) < 0)
        return -1;
    for (size_t i = 0; i < found.port_count; i++) {
        const struct docker_port_binding *port = &found.ports[i];
        bool udp = strcmp(port->protocol, "udp") == 0;
        CLEANUP_FREE char *key = xasprintf("%u%s", port->container_port, udp ? "/udp" : "");

        strmap_setf(ret, key, "%s:%u", host, port->host_port);
    }
    return 0;
}

int docker_place_check(const struct ctx *ctx, struct place *opaque, const struct runnable *running,
                       const struct probe *probe, struct err *err)
{
    struct docker_place *place = (struct docker_place *)opaque;
    CLEANUP_FREE char *container = find_container(place, running);

    if (!container)
        return err_set(err, ERR_UNAVAILABLE, "its container does not run");
    switch (probe->kind) {
    case PROBE_IMAGE:
        return check_image(ctx, place, container, running, probe->listening, err);
    case PROBE_TCP:
    case PROBE_HTTP:
        if (running->service)
            return check_service_address(ctx, place, running, probe, err);
        return check_address(ctx, place, container, probe->host ? probe->host : "127.0.0.1", probe,
                             err);
    case PROBE_COMMAND:
        return check_command(ctx, place, container, running, probe, err);
    }
    return err_set(err, ERR_UNSUPPORTED, "this cannot be asked in a container");
}
