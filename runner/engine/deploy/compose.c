/* Compose projects on a Docker daemon. */
#include <string.h>
#include <unistd.h>

#include "apis/docker/container.h"
#include "apis/docker/network.h"
#include "apis/docker/volume.h"
#include "base/alloc.h"
#include "base/logger.h"
#include "compose/converge.h"
#include "compose/network_remove.h"
#include "engine/deploy/binds.h"
#include "engine/deploy/daemon.h"
#include "engine/deploy/kind.h"

#define LABEL_PROJECT "com.docker.compose.project"
#define LABEL_SERVICE "com.docker.compose.service"
#define LABEL_NUMBER  "com.docker.compose.container-number"

enum { LOG_LINES = 100000, LOGS_MS = 30000 };

/* Ten seconds, or a little more. */
/* --- objects in the journal ---
 *
 * "network NAME", "volume NAME", "container NAME", and of a container that takes the place of
 * another "container NAME ID" or "container NAME ID running SINCE": that one's id, and what it was
 * doing. "attachment NETWORK ID HOW": a container that has left a network which is made anew, and
 * "former NAME HOW": that network. */

static int remove_container(const struct ctx *ctx, struct docker_client *client, const char *name,
                            struct err *err)
{
    return docker_container_remove(ctx, client, name, DOCKER_REMOVE_FORCE | DOCKER_REMOVE_VOLUMES,
                                   err);
}

/* Whether the one that was there before has its name, still or again. */
static bool is_back(const struct ctx *ctx, struct docker_client *client, const char *name,
                    const char *id)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container container = {0};

    return docker_container_inspect(ctx, client, name, &container, NULL) == 0 &&
           strcmp(container.id, id) == 0;
}

/* Since when it ran is what it says as long as it has not been stopped: a stop that was asked for
 * by who is dead may be in the middle of its grace, and would end what is started now. */
static int run_again(const struct ctx *ctx, struct docker_client *client,
                     const struct docker_container *before, const char *since, struct err *err)
{
    if (before->running && since && strcmp(before->started_at, since) == 0 &&
        docker_container_stop(ctx, client, before->id, NULL, -1, err) < 0)
        return -1;
    return docker_container_start(ctx, client, before->id, err);
}

/* running: NULL: it did not; else "running", or "running SINCE". */
static int put_back(const struct ctx *ctx, struct docker_client *client, const char *name,
                    const char *id, const char *running, struct err *err)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container before = {0};
    struct err why = ERR_INIT;

    /* Not found: its replacement has taken its place for good. */
    if (docker_container_inspect(ctx, client, id, &before, err) < 0)
        return -1;
    if (!is_back(ctx, client, name, id)) {
        if (remove_container(ctx, client, name, &why) < 0 && why.code != ERR_NOT_FOUND) {
            if (err)
                *err = why;
            return -1;
        }
        if (docker_container_rename(ctx, client, id, name, err) < 0)
            return -1;
    }
    if (!running)
        return 0;
    running = strchr(running, ' ');
    return run_again(ctx, client, &before, running ? running + 1 : NULL, err);
}

static int remove_one(const struct ctx *ctx, struct docker_client *client, const char *object,
                      struct err *err)
{
    CLEANUP_FREE char *copy = xstrdup(object);
    char *rest = copy;
    const char *kind = strsep(&rest, " ");
    const char *name = strsep(&rest, " ");
    const char *id = strsep(&rest, " ");

    if (!name)
        return err_set(err, ERR_INVALID, "\"%s\" is nothing of a project", object);
    /* Steps of the job may have been in it, whose containers are just being removed. */
    if (strcmp(kind, "network") == 0)
        return compose_network_remove(ctx, client, name, true, err);
    if (strcmp(kind, "former") == 0)
        return compose_restore_network(ctx, client, name, object + strlen("former ") + strlen(name),
                                       err);
    if (strcmp(kind, "attachment") == 0)
        return compose_attach_again(ctx, client, name, id ? id : "", rest ? rest : "", err);
    if (strcmp(kind, "volume") == 0)
        return docker_volume_remove(ctx, client, name, true, err);
    if (id)
        return put_back(ctx, client, name, id, rest, err);
    return remove_container(ctx, client, name, err);
}

static bool is_of_network(const char *object)
{
    return strncmp(object, "attachment ", strlen("attachment ")) == 0 ||
           strncmp(object, "former ", strlen("former ")) == 0;
}

/* New containers make room for those that come back, which may need each other, and to be in their
 * networks before they start; what both have used goes last. */
static int rank_of(const char *object)
{
    if (is_of_network(object))
        return DEPLOY_RANK_ORDERED(2);
    if (strncmp(object, "container ", strlen("container ")) != 0)
        return 3;
    return strchr(strchr(object, ' ') + 1, ' ') ? DEPLOY_RANK_ORDERED(2) : 1;
}

static int remove_object(const struct ctx *ctx, void *daemon, const char *object, struct err *err)
{
    struct docker_client *client;
    struct err why = ERR_INIT;
    int result;

    if (daemon_client(daemon, &client, err) < 0)
        return -1;
    result = remove_one(ctx, client, object, &why);
    docker_client_free(client);
    if (result == 0 || why.code == ERR_NOT_FOUND)
        return 0;
    if (err)
        *err = why;
    return -1;
}

/* --- bringing up --- */

struct raising {
    struct deployed *deployed;
    const struct ctx *ctx;
    const struct compose_host *host;
    const char *project;
};

static const char *kind_of(enum compose_object kind)
{
    return kind == COMPOSE_OBJECT_NETWORK  ? "network"
           : kind == COMPOSE_OBJECT_VOLUME ? "volume"
                                           : "container";
}

static int own(void *arg, enum compose_object kind, const char *name,
               const struct compose_before *before, struct err *err)
{
    struct raising *r = arg;
    CLEANUP_FREE char *object = NULL;

    if (kind == COMPOSE_OBJECT_IMAGE)
        return 0; /* it stays for others */
    if (kind == COMPOSE_OBJECT_NETWORK && before)
        return 0; /* containers that come back need it */
    if (before)
        object = xasprintf("%s %s %s%s%s", kind_of(kind), name, before->id,
                           before->running ? " running " : "",
                           before->running ? before->started_at : "");
    else
        object = xasprintf("%s %s", kind_of(kind), name);
    return deployed_note(r->deployed, object, err);
}

static int detach(void *arg, const char *network, const char *container_id, const char *how,
                  struct err *err)
{
    struct raising *r = arg;
    CLEANUP_FREE char *object = xasprintf("attachment %s %s %s", network, container_id, how);

    return deployed_note(r->deployed, object, err);
}

static int unmake(void *arg, const char *network, const char *how, struct err *err)
{
    struct raising *r = arg;
    CLEANUP_FREE char *object = xasprintf("former %s %s", network, how);

    return deployed_note(r->deployed, object, err);
}

static void refused(void *arg, enum compose_object kind, const char *name)
{
    struct raising *r = arg;
    CLEANUP_FREE char *object = xasprintf("%s %s", kind_of(kind), name);

    deployed_forget(r->deployed, object);
}

static void on_event(void *arg, const struct compose_event *event)
{
    struct raising *r = arg;

    switch (event->type) {
    case COMPOSE_EVENT_STATE:
        deployed_say(r->deployed, r->ctx, OUTPUT_STDOUT, "%s %s: %s",
                     compose_object_name(event->object), event->name, event->text);
        break;
    case COMPOSE_EVENT_WARNING:
        deployed_say(r->deployed, r->ctx, OUTPUT_STDERR, "warning: %s", event->text);
        break;
    case COMPOSE_EVENT_OUTPUT:
        deployed_say(r->deployed, r->ctx, OUTPUT_STDERR, "%s | %s", event->name, event->text);
        break;
    case COMPOSE_EVENT_PROGRESS:
        deployed_progress(r->deployed, event->name, event->bytes, event->bytes_total);
        break;
    }
}

static void keep_line(void *arg, const char *container, bool is_stderr, const char *text,
                      size_t len)
{
    struct raising *r = arg;

    (void)is_stderr;
    deployed_keep_line(r->deployed, container, text, len);
}

static void keep_logs(void *arg)
{
    struct raising *r = arg;
    const struct compose_logs options = {.project_name = r->project,
                                         .tail = LOG_LINES,
                                         .line = keep_line,
                                         .arg = r};
    struct ctx ctx;

    ctx_init_cleanup(&ctx, LOGS_MS);
    if (compose_logs(&ctx, r->host, &options, NULL) < 0)
        log_debug("deploy", "the logs of %s cannot be read", r->project);
    ctx_release(&ctx);
}

static bool is_gone(const struct ctx *ctx, struct docker_client *client, const char *id)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container container = {0};
    struct err why = ERR_INIT;

    return docker_container_inspect(ctx, client, id, &container, &why) < 0 &&
           why.code == ERR_NOT_FOUND;
}

/* All is up: what was attached otherwise is in the networks that it should be in, and where what
 * was there before is gone, its replacement is to be removed as the others are. */
static int settle_replacements(const struct ctx *ctx, const struct daemon *daemon,
                               struct deployed *deployed, struct err *err)
{
    CLEANUP_STRVEC struct strvec objects = {0};
    struct docker_client *client;
    int result = 0;

    if (daemon_client(daemon, &client, err) < 0)
        return -1;
    for (size_t i = 0; i < deployed->objects.len; i++)
        strvec_push(&objects, deployed->objects.items[i]);
    for (size_t i = 0; i < objects.len && result == 0; i++) {
        const char *object = objects.items[i];
        const char *end = strchr(object + strcspn(object, " ") + 1, ' ');
        CLEANUP_FREE char *plain = end ? xstrndup(object, (size_t)(end - object)) : NULL;
        CLEANUP_FREE char *id = end ? xstrndup(end + 1, strcspn(end + 1, " ")) : NULL;

        if (is_of_network(object)) {
            deployed_forget(deployed, object);
            continue;
        }
        if (!plain || !is_gone(ctx, client, id))
            continue;
        result = deployed_note(deployed, plain, err);
        if (result == 0)
            deployed_forget(deployed, object);
    }
    docker_client_free(client);
    return result;
}

/* --- where things are --- */

/* web: the address in a network; web_80: where port 80 is published, or else that address. */
static void tell_container(struct deployed *deployed, const char *host, const char *service,
                           const struct docker_container *container)
{
    const char *address = NULL;

    for (size_t i = 0; i < container->network_count && !address; i++) {
        if (*container->networks[i].ip_address)
            address = container->networks[i].ip_address;
    }
    if (address)
        deployed_tell(deployed, service, address);
    for (size_t i = 0; address && i < container->exposed_ports.len; i++) {
        CLEANUP_FREE char *port = xstrndup(container->exposed_ports.items[i],
                                           strcspn(container->exposed_ports.items[i], "/"));

        deployed_tell_port(deployed, service, port, address, port);
    }
    for (size_t i = 0; i < container->port_count; i++) {
        const struct docker_port_binding *binding = &container->ports[i];
        bool any = !*binding->host_ip || strcmp(binding->host_ip, "0.0.0.0") == 0 ||
                   strcmp(binding->host_ip, "::") == 0;
        CLEANUP_FREE char *port = xasprintf("%u", binding->container_port);
        CLEANUP_FREE char *host_port = xasprintf("%u", binding->host_port);

        if (binding->host_port)
            deployed_tell_port(deployed, service, port, any ? host : binding->host_ip, host_port);
    }
}

/* What cannot be seen is not told: all of it is there. */
static void tell(const struct ctx *ctx, struct daemon *daemon, struct deployed *deployed,
                 const char *project)
{
    CLEANUP_FREE char *label = xasprintf(LABEL_PROJECT "=%s", project);
    CLEANUP_FREE char *host = docker_endpoint_host(&daemon->endpoint);
    const struct docker_filter filters[] = {{"label", label}, {"label", LABEL_NUMBER "=1"}};
    CLEANUP_DOCKER_CONTAINER_LIST struct docker_container_list list = {0};
    struct docker_client *client;

    if (daemon_client(daemon, &client, NULL) < 0)
        return;
    if (docker_container_list(ctx, client, false, filters, 2, &list, NULL) == 0) {
        for (size_t i = 0; i < list.len; i++) {
            CLEANUP_DOCKER_CONTAINER struct docker_container container = {0};
            const char *service = strmap_get(&list.items[i].labels, LABEL_SERVICE);

            if (service &&
                docker_container_inspect(ctx, client, list.items[i].id, &container, NULL) == 0)
                tell_container(deployed, host, service, &container);
        }
    }
    docker_client_free(client);
}

static int translate_binds(const struct ctx *ctx, const struct daemon *daemon,
                           const struct compose_project *project, struct err *err)
{
    struct docker_client *client;
    int result;

    if (daemon_client(daemon, &client, err) < 0)
        return -1;
    result =
        deploy_translate_binds(ctx, client, &daemon->endpoint, project, COMPOSE_TARGET_DOCKER, err);
    docker_client_free(client);
    return result;
}

static int up(const struct ctx *ctx, void *opaque, struct deployed *deployed, struct err *err)
{
    const struct deployment_shape *shape = deployed->runnable->deployment;
    struct daemon *daemon = opaque;
    const struct compose_host host = {&daemon->endpoint, (const char *const *)environ};
    const struct compose_up options = {.no_wait = !shape->wait,
                                       .remove_orphans = shape->prune,
                                       .undo = !deployed->keep};
    CLEANUP_COMPOSE_SOURCES struct compose_sources sources = {0};
    CLEANUP_COMPOSE_PROJECT struct compose_project *project = NULL;
    struct raising raising = {.deployed = deployed, .ctx = ctx, .host = &host};
    const struct compose_sink sink = {.event = on_event,
                                      .own = own,
                                      .detach = detach,
                                      .unmake = unmake,
                                      .refused = refused,
                                      .undoing = keep_logs,
                                      .arg = &raising};

    if (deployed_load(deployed, ctx, COMPOSE_TARGET_DOCKER, &sources, &project, err) < 0)
        return 1;
    raising.project = project->name;
    if (translate_binds(ctx, daemon, project, err) < 0 ||
        compose_up(ctx, &host, project, &options, &sink, err) < 0)
        return err->code == ERR_UNAVAILABLE ? -1 : 1;
    if (!shape->lasting && settle_replacements(ctx, daemon, deployed, err) < 0)
        return -1;
    tell(ctx, daemon, deployed, project->name);
    return 0;
}

const struct deploy_kind compose_kind = {
    .connect = daemon_find,
    .disconnect = daemon_leave,
    .tells_undo = true,
    .up = up,
    .rank = rank_of,
    .remove = remove_object,
};
