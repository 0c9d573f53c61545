#include "engine/docker/instance.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "apis/docker/container.h"
#include "apis/docker/network.h"
#include "apis/docker/timestamp.h"
#include "apis/docker/volume.h"
#include "apis/http/retry.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "engine/docker/address.h"
#include "engine/docker/docker.h"
#include "engine/docker/sweep.h"
#include "engine/docker/watchdog.h"

#define CLEANUP_MS       60000
#define AWAY_PATIENCE_MS 10000
#define AHEAD_THREADS    4
#define BEHIND_THREADS   4
#define REMOVE_ATTEMPTS  8

int instance_client_take(struct docker_instance *instance, struct docker_client **ret,
                         struct err *err)
{
    struct docker_client *client = NULL;

    pthread_mutex_lock(&instance->mu);
    if (instance->idle_clients.len > 0)
        client = instance->idle_clients.items[--instance->idle_clients.len];
    pthread_mutex_unlock(&instance->mu);
    if (!client)
        return docker_client_new(&instance->endpoint, instance->api_minor, ret, err);
    *ret = client;
    return 0;
}

void instance_client_give(struct docker_instance *instance, struct docker_client *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&instance->mu);
    vec_push(&instance->idle_clients, client);
    pthread_mutex_unlock(&instance->mu);
}

void instance_create_failed(struct docker_instance *instance, const struct err *err)
{
    switch (err->code) {
    case ERR_INVALID:
    case ERR_DENIED:
    case ERR_NOT_FOUND:
    case ERR_CONFLICT:
    case ERR_UNSUPPORTED:
        break;
    default:
        atomic_store(&instance->uncertain, true);
    }
}

void instance_remove_failed(struct docker_instance *instance, const char *kind, const char *name,
                            const struct err *err)
{
    log_debug("docker", "the %s %s cannot be removed now: %s", kind, name, err->message);
    atomic_store(&instance->uncertain, true);
}

void instance_labels(const struct docker_instance *instance, const char *role, const char *id,
                     struct strmap *ret)
{
    strmap_merge(ret, own_run_labels(instance->services->run));
    strmap_set(ret, OWN_LABEL_ROLE, role);
    strmap_set(ret, OWN_LABEL_ID, id);
}

int64_t instance_daemon_ms(const struct ctx *ctx, struct docker_client *client)
{
    CLEANUP_DOCKER_INFO struct docker_info info = {0};
    int64_t ns = 0;

    if (docker_system_info(ctx, client, &info, NULL) == 0)
        ns = timestamp_ns(info.system_time);
    return ns ? ns / 1000000 : clock_wall_ms();
}

bool instance_is_away(struct docker_instance *instance, const struct err *err)
{
    int64_t now = clock_monotonic_ms();
    bool nobody =
        err->code == ERR_UNAVAILABLE && (err->errnum == ECONNREFUSED || err->errnum == ENOENT);
    bool away;

    if (!nobody)
        return false;
    pthread_mutex_lock(&instance->mu);
    /* Successes are not all told: a failure long after the last one is a new outage. */
    if (!instance->away_since_ms || now - instance->away_seen_ms > AWAY_PATIENCE_MS)
        instance->away_since_ms = now;
    instance->away_seen_ms = now;
    away = now - instance->away_since_ms >= AWAY_PATIENCE_MS;
    pthread_mutex_unlock(&instance->mu);
    return away;
}

void instance_answered(struct docker_instance *instance)
{
    pthread_mutex_lock(&instance->mu);
    instance->away_since_ms = 0;
    pthread_mutex_unlock(&instance->mu);
}

/* Whether to go on after a failed removal; -1 with the reason when not, 1 when it is gone. */
static int removal_failed(const struct ctx *ctx, struct docker_instance *instance,
                          struct retry *retry, struct err *err)
{
    struct err wait = ERR_INIT;

    if (err->code == ERR_NOT_FOUND)
        return 1;
    /* ERR_CONFLICT: somebody else removes it at this moment, or a container is about to go. */
    if (err->code != ERR_CONFLICT && !retry_is_transient(err))
        return -1;
    if (instance_is_away(instance, err))
        return -1;
    return retry_wait(ctx, retry, -1, &wait);
}

typedef int remove_fn(const struct ctx *ctx, struct docker_client *client, const char *name,
                      struct err *err);

/* Until it is gone, or nothing more can be done about it. */
static int remove_object(const struct ctx *ctx, struct docker_instance *instance,
                         struct docker_client *client, const char *name, remove_fn *remove,
                         struct err *err)
{
    struct err local = ERR_INIT;
    struct retry retry;

    retry_init(&retry, &(struct retry_policy){.attempts = REMOVE_ATTEMPTS,
                                              .base_ms = 50,
                                              .max_delay_ms = 5000});
    while (remove(ctx, client, name, &local) < 0) {
        int gone = removal_failed(ctx, instance, &retry, &local);

        if (gone > 0)
            break;
        if (gone < 0) {
            if (err)
                *err = local;
            return -1;
        }
    }
    instance_answered(instance);
    return 0;
}

static int remove_container(const struct ctx *ctx, struct docker_client *client, const char *name,
                            struct err *err)
{
    return docker_container_remove(ctx, client, name, DOCKER_REMOVE_FORCE | DOCKER_REMOVE_VOLUMES,
                                   err);
}

static int remove_volume(const struct ctx *ctx, struct docker_client *client, const char *name,
                         struct err *err)
{
    return docker_volume_remove(ctx, client, name, true, err);
}

/* What is left in it may be a container that is not ours to remove, as that of the runner. */
static void empty_network(const struct ctx *ctx, struct docker_client *client, const char *network)
{
    struct docker_network found = {0};

    if (docker_network_inspect(ctx, client, network, &found, NULL) < 0)
        return;
    strmap_foreach (container, &found.containers) {
        if (docker_network_disconnect(ctx, client, network, container->key, true, NULL) < 0)
            log_debug("docker", "%s stays in the network %s", container->value, network);
    }
    docker_network_release(&found);
}

/* That it is in use is said with 403, and is over when it has been emptied. */
static int remove_network(const struct ctx *ctx, struct docker_client *client, const char *name,
                          struct err *err)
{
    if (docker_network_remove(ctx, client, name, err) == 0)
        return 0;
    if (err->code == ERR_DENIED || err->code == ERR_CONFLICT) {
        empty_network(ctx, client, name);
        err->code = ERR_CONFLICT;
    }
    return -1;
}

int instance_remove_container(const struct ctx *ctx, struct docker_instance *instance,
                              struct docker_client *client, const char *container, struct err *err)
{
    return remove_object(ctx, instance, client, container, remove_container, err);
}

int instance_remove_volume(const struct ctx *ctx, struct docker_instance *instance,
                           struct docker_client *client, const char *volume, struct err *err)
{
    return remove_object(ctx, instance, client, volume, remove_volume, err);
}

int instance_remove_network(const struct ctx *ctx, struct docker_instance *instance,
                            struct docker_client *client, const char *network, struct err *err)
{
    return remove_object(ctx, instance, client, network, remove_network, err);
}

static void release(struct docker_instance *instance)
{
    vec_foreach (struct docker_client **, client, &instance->idle_clients)
        docker_client_free(*client);
    vec_release(&instance->idle_clients);
    workers_release(&instance->ahead);
    workers_release(&instance->behind);
    gate_release(&instance->starts);
    image_cache_release(&instance->images);
    tools_release(&instance->tools);
    self_release(&instance->self);
    docker_endpoint_release(&instance->endpoint);
    http_stream_free(instance->watchdog_lease);
    free(instance->watchdog);
    pthread_mutex_destroy(&instance->mu);
    free(instance);
}

static int init(struct docker_instance *instance, const struct engine_services *services,
                const char *url, struct err *err)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    instance->engine = &docker_engine;
    instance->services = services;
    pthread_mutex_init(&instance->mu, NULL);
    workers_init(&instance->ahead, AHEAD_THREADS);
    workers_init(&instance->behind, BEHIND_THREADS);
    instance->starts.event_fd = instance->tools.busy.event_fd = -1;
    instance->images.quiet_fd = -1;
    if (gate_init(&instance->starts, cpus > 0 ? 2 * (unsigned)cpus : 2, err) < 0 ||
        tools_init(&instance->tools, err) < 0 || image_cache_init(&instance->images, err) < 0)
        return -1;
    return docker_find_endpoint(services, url, &instance->endpoint, err);
}

int instance_begin(const struct ctx *ctx, struct docker_instance *instance,
                   struct docker_client *client, struct err *err)
{
    /* The engine URL that finds this daemon again, whatever the environment says then. */
    CLEANUP_FREE char *url = xasprintf(DOCKER_SCHEME "%s", instance->endpoint.url);

    if (own_run_note(instance->services->run, OWN_ENDPOINT, url, err) < 0)
        return -1;
    if (instance->self.place != SELF_IN_CONTAINER || instance->services->keep || instance->watchdog)
        return 0;
    return watchdog_start(ctx, instance, client, err);
}

/* Finds out what the daemon is, and where we are for it. */
static int greet(const struct ctx *ctx, struct docker_instance *instance, struct err *err)
{
    static const char *const places[] = {[SELF_ON_HOST] = "on its host",
                                         [SELF_UNCERTAIN] = "perhaps on its host",
                                         [SELF_IN_CONTAINER] = "in one of its containers",
                                         [SELF_ELSEWHERE] = "on another machine"};
    struct docker_client *client;
    int result;

    if (docker_client_new(&instance->endpoint, 0, &client, err) < 0)
        return -1;
    result = docker_client_ping(ctx, client, err);
    /* What answers 404 is there, but no Docker. */
    if (result < 0 && err && err->code == ERR_NOT_FOUND)
        err->code = ERR_PROTOCOL;
    instance->api_minor = docker_client_api_minor(client);
    if (result == 0)
        result = self_find(ctx, client, &instance->endpoint, &instance->self, err);
    if (result == 0)
        log_debug("docker", "the daemon has API version 1.%d; this process is %s",
                  instance->api_minor, places[instance->self.place]);
    instance_client_give(instance, client);
    return result;
}

int docker_instance_connect(const struct ctx *ctx, const struct engine_services *services,
                            const char *url, struct engine_instance **ret, struct err *err)
{
    struct docker_instance *instance = xcalloc(1, sizeof(*instance));

    if (init(instance, services, url, err) < 0 || greet(ctx, instance, err) < 0) {
        release(instance);
        return -1;
    }
    *ret = (struct engine_instance *)instance;
    return 0;
}

static void sweep_run(const struct ctx *ctx, struct docker_instance *instance)
{
    const struct sweep_request request = {.run_id = own_run_id(instance->services->run)};
    struct err err = ERR_INIT;
    size_t count;

    if (docker_instance_sweep(ctx, (struct engine_instance *)instance, &request, &count, &err) == 0)
        return;
    own_run_leave(instance->services->run);
    log_warn("docker", "something may be left behind, for `runner reap` to remove: %s",
             err.message);
}

void docker_instance_disconnect(struct engine_instance *opaque)
{
    struct docker_instance *instance = (struct docker_instance *)opaque;
    struct docker_client *client = NULL;
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;

    ctx_init_cleanup(&ctx, CLEANUP_MS);
    if (!instance)
        return;
    if (instance_client_take(instance, &client, &err) == 0) {
        if (!instance->services->keep)
            tools_remove(&ctx, instance, client);
        watchdog_stop(&ctx, instance, client);
    } else if (instance->services->run) {
        atomic_store(&instance->uncertain, true);
    }
    instance_client_give(instance, client);
    if (atomic_load(&instance->uncertain) && !instance->services->keep)
        sweep_run(&ctx, instance);
    release(instance);
}

void docker_instance_prefetch(const struct ctx *ctx, struct engine_instance *instance,
                              const struct image_source *source, const char *platform)
{
    image_prefetch(ctx, (struct docker_instance *)instance, source, platform);
}

static const char *swarm_of(const struct docker_info *info)
{
    if (!info->swarm_state || strcmp(info->swarm_state, "active") != 0)
        return "no swarm";
    return info->swarm_manager ? "swarm manager" : "swarm worker";
}

int docker_instance_probe(const struct ctx *ctx, struct engine_instance *opaque, struct buf *report,
                          struct err *err)
{
    struct docker_instance *instance = (struct docker_instance *)opaque;
    CLEANUP_DOCKER_INFO struct docker_info info = {0};
    struct docker_client *client;
    int result;

    if (instance_client_take(instance, &client, err) < 0)
        return -1;
    result = docker_system_info(ctx, client, &info, err);
    instance_client_give(instance, client);
    if (result < 0)
        return -1;
    buf_addf(report, "%s (API 1.%d) at %s from %s: %s, %s, cgroup v%s, %lld CPUs, %lld MiB, %s",
             info.server_version, instance->api_minor, instance->endpoint.url,
             instance->endpoint.source, info.operating_system, info.storage_driver,
             info.cgroup_version, (long long)info.cpu_count, (long long)(info.memory_bytes >> 20),
             swarm_of(&info));
    return 0;
}

const char *docker_instance_mend(const struct err *err)
{
    if (err->code == ERR_NOT_FOUND)
        return "install and start Docker or podman, or name a daemon with --docker-host or "
               "DOCKER_HOST";
    if (err->code == ERR_INVALID || err->code == ERR_PROTOCOL)
        return "correct --docker-host, DOCKER_HOST or DOCKER_CONTEXT, whichever says it";
    if (err->code != ERR_UNAVAILABLE)
        return NULL;
    switch (err->errnum) {
    case EACCES:
    case EPERM:
        return "let this user use the socket: add the user to its group (sudo usermod -aG docker "
               "USER) and log in again";
    case ECONNREFUSED:
    case ENOENT:
        return "start the daemon (sudo systemctl start docker), or name another with "
               "--docker-host or DOCKER_HOST";
    default:
        return "see whether the address is right and the daemon listens there; certificates for "
               "TLS come from DOCKER_CERT_PATH or the context";
    }
}
