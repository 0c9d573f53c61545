/* Stacks in a Docker swarm. */
#include <string.h>
#include <unistd.h>

#include "apis/docker/network.h"
#include "apis/docker/service.h"
#include "apis/docker/swarm_object.h"
#include "apis/http/retry.h"
#include "base/alloc.h"
#include "compose/stack.h"
#include "engine/deploy/binds.h"
#include "engine/deploy/daemon.h"
#include "engine/deploy/kind.h"

/* Secrets and networks are in use for as long as the last task of a service takes to end, and a
 * network is still there for a moment after its removal: that it is not found is its end. */
enum { REMOVE_ATTEMPTS = 40, REMOVE_BASE_MS = 100, REMOVE_MAX_MS = 2000 };

enum { LOG_LINES = 100000, LINE_MAX_BYTES = 65536, LOGS_MS = 30000 };

/* --- objects in the journal: "service NAME" --- */

static int remove_once(const struct ctx *ctx, struct docker_client *client, const char *kind,
                       const char *name, struct err *err)
{
    if (strcmp(kind, stack_kind_name(STACK_SERVICE)) == 0)
        return docker_service_remove(ctx, client, name, err);
    if (strcmp(kind, stack_kind_name(STACK_SECRET)) == 0)
        return docker_swarm_object_remove(ctx, client, DOCKER_SECRET, name, err);
    if (strcmp(kind, stack_kind_name(STACK_CONFIG)) == 0)
        return docker_swarm_object_remove(ctx, client, DOCKER_CONFIG, name, err);
    return docker_network_remove(ctx, client, name, err);
}

/* Services use the rest. */
static int rank_of(const char *object)
{
    return strncmp(object, "service ", strlen("service ")) == 0 ? 1 : 2;
}

static int remove_object(const struct ctx *ctx, void *daemon, const char *object, struct err *err)
{
    const struct retry_policy policy = {.attempts = REMOVE_ATTEMPTS,
                                        .base_ms = REMOVE_BASE_MS,
                                        .max_delay_ms = REMOVE_MAX_MS};
    CLEANUP_FREE char *kind = xstrndup(object, strcspn(object, " "));
    const char *name = object[strlen(kind)] ? object + strlen(kind) + 1 : "";
    struct docker_client *client;
    struct retry retry;
    struct err why = ERR_INIT;

    if (daemon_client(daemon, &client, err) < 0)
        return -1;
    retry_init(&retry, &policy);
    do {
        why = (struct err)ERR_INIT;
    } while ((remove_once(ctx, client, kind, name, &why) == 0 ||
              (why.code != ERR_NOT_FOUND && !err_is_away(&why))) &&
             retry_wait(ctx, &retry, -1, NULL) == 0);
    docker_client_free(client);
    if (why.code == ERR_NOT_FOUND || why.code == ERR_NONE)
        return 0;
    if (err)
        *err = why;
    return -1;
}

/* --- deploying --- */

struct deploying {
    struct deployed *deployed;
    const struct ctx *ctx;
};

static void note(void *arg, enum stack_note kind, const char *text)
{
    struct deploying *d = arg;
    bool good = kind == STACK_NOTE_STEP || kind == STACK_NOTE_STATE;

    deployed_say(d->deployed, d->ctx, good ? OUTPUT_STDOUT : OUTPUT_STDERR, "%s%s",
                 kind == STACK_NOTE_WARNING ? "warning: " : "", text);
}

static int about_to_create(void *arg, enum stack_kind kind, const char *name, struct err *err)
{
    struct deploying *d = arg;
    CLEANUP_FREE char *object = xasprintf("%s %s", stack_kind_name(kind), name);

    return deployed_note(d->deployed, object, err);
}

static void refused(void *arg, enum stack_kind kind, const char *name)
{
    struct deploying *d = arg;
    CLEANUP_FREE char *object = xasprintf("%s %s", stack_kind_name(kind), name);

    deployed_forget(d->deployed, object);
}

struct service_log {
    struct deploying *deploying;
    const char *name;
    struct buf partial;
};

static int on_output(void *arg, enum docker_output output, const char *data, size_t len,
                     struct err *err)
{
    struct service_log *log = arg;
    const char *newline;

    (void)output;
    (void)err;
    buf_add(&log->partial, data, len);
    while ((newline = memchr(log->partial.data, '\n', log->partial.len))) {
        size_t line = (size_t)(newline - log->partial.data);

        deployed_keep_line(log->deploying->deployed, log->name, log->partial.data, line);
        buf_consume(&log->partial, line + 1);
    }
    if (log->partial.len > LINE_MAX_BYTES) {
        deployed_keep_line(log->deploying->deployed, log->name, log->partial.data,
                           log->partial.len);
        buf_reset(&log->partial);
    }
    return 0;
}

/* Before it is taken back. */
static void keep_logs(struct deploying *d, struct docker_client *client, const char *stack)
{
    CLEANUP_FREE char *label = xasprintf(STACK_LABEL_NAMESPACE "=%s", stack);
    const struct docker_filter filter = {"label", label};
    const struct docker_logs options = {.flags = DOCKER_ATTACH_OUTPUT, .tail = LOG_LINES};
    CLEANUP_DOCKER_SERVICE_LIST struct docker_service_list list = {0};
    struct ctx ctx;

    ctx_init_cleanup(&ctx, LOGS_MS);
    if (docker_service_list(&ctx, client, &filter, 1, &list, NULL) == 0) {
        for (size_t i = 0; i < list.len; i++) {
            struct service_log log = {d, list.items[i].name, BUF_INIT};
            struct docker_frames frames;

            docker_frames_init(&frames, list.items[i].tty, on_output, &log);
            (void)!docker_service_logs(&ctx, client, list.items[i].id, &options, &frames, NULL);
            if (log.partial.len)
                deployed_keep_line(d->deployed, log.name, log.partial.data, log.partial.len);
            buf_release(&log.partial);
        }
    }
    ctx_release(&ctx);
}

/* web_80: where that port is published on this node. */
static void tell_port(struct deployed *deployed, const char *service, const char *host,
                      int64_t target, const char *published)
{
    CLEANUP_FREE char *port = xasprintf("%lld", (long long)target);

    deployed_tell_port(deployed, service, port, host, published);
}

static void tell_given_ports(struct deployed *deployed, const struct compose_project *project,
                             const char *host)
{
    const json_t *services = json_object_get(project->model, "services");
    const json_t *service;
    const char *name;

    json_object_foreach ((json_t *)services, name, service) {
        const json_t *port;
        size_t i;

        json_array_foreach (json_object_get(service, "ports"), i, port) {
            const char *published = compose_string(port, "published");

            if (published && *published)
                tell_port(deployed, name, host, compose_int(port, "target", 0), published);
        }
    }
}

/* Those that the swarm has chosen. What cannot be seen is not told: all of it is there. */
static void tell_chosen_ports(const struct ctx *ctx, struct docker_client *client,
                              struct deployed *deployed, const char *stack, const char *host)
{
    CLEANUP_FREE char *label = xasprintf(STACK_LABEL_NAMESPACE "=%s", stack);
    const struct docker_filter filter = {"label", label};
    CLEANUP_DOCKER_SERVICE_LIST struct docker_service_list list = {0};
    const size_t prefix = strlen(stack) + 1;

    if (docker_service_list(ctx, client, &filter, 1, &list, NULL) < 0)
        return;
    for (size_t i = 0; i < list.len; i++) {
        const struct docker_service *service = &list.items[i];
        const json_t *port;
        size_t n;

        json_array_foreach (service->ports, n, port) {
            CLEANUP_FREE char *published =
                xasprintf("%lld", (long long)compose_int(port, "PublishedPort", 0));

            if (strcmp(published, "0") != 0 && strlen(service->name) > prefix)
                tell_port(deployed, service->name + prefix, host,
                          compose_int(port, "TargetPort", 0), published);
        }
    }
}

static int deploy(const struct ctx *ctx, void *opaque, struct deployed *deployed, struct err *err)
{
    const struct deployment_shape *shape = deployed->runnable->deployment;
    struct daemon *daemon = opaque;
    CLEANUP_FREE char *host = docker_endpoint_host(&daemon->endpoint);
    struct deploying deploying = {deployed, ctx};
    const struct stack_options options = {.name = shape->name,
                                          .with_registry_auth = true,
                                          .prune = shape->prune,
                                          .wait = shape->wait,
                                          .envp = (const char *const *)environ,
                                          .sink = {.note = note,
                                                   .about_to_create = about_to_create,
                                                   .refused = refused,
                                                   .arg = &deploying}};
    CLEANUP_COMPOSE_SOURCES struct compose_sources sources = {0};
    CLEANUP_COMPOSE_PROJECT struct compose_project *project = NULL;
    CLEANUP_STACK_RECORD struct stack_record record = {0};
    struct docker_client *client;
    int result;

    if (deployed_load(deployed, ctx, COMPOSE_TARGET_SWARM, &sources, &project, err) < 0)
        return 1;
    if (daemon_client(daemon, &client, err) < 0)
        return -1;
    result =
        deploy_translate_binds(ctx, client, &daemon->endpoint, project, COMPOSE_TARGET_SWARM, err);
    if (result == 0)
        result = stack_deploy(ctx, client, project, &options, &record, err);
    if (result < 0)
        keep_logs(&deploying, client, shape->name);
    if (result == 0) {
        tell_given_ports(deployed, project, host);
        tell_chosen_ports(ctx, client, deployed, shape->name, host);
    }
    docker_client_free(client);
    if (result < 0)
        return err->code == ERR_UNAVAILABLE ? -1 : 1;
    return 0;
}

const struct deploy_kind swarm_kind = {
    .connect = daemon_find,
    .disconnect = daemon_leave,
    .up = deploy,
    .rank = rank_of,
    .remove = remove_object,
};
