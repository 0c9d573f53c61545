#include "engine/docker/sibling.h"

#include <ctype.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "apis/docker/container.h"
#include "apis/docker/network.h"
#include "base/alloc.h"
#include "base/last_line.h"
#include "base/logger.h"
#include "engine/docker/address.h"
#include "engine/docker/self.h"

#define NAME_FORMAT "runner-launcher-%s"

enum { GROUPS_MAX = 256, DISCARD_MS = 10000 };

extern char **environ;

struct docker_sibling {
    struct docker_endpoint endpoint;
    struct docker_client *client;
    struct self self;
    char *name;                 /* of the container; NULL: nothing was made, or it is gone */
    struct http_stream *output; /* its standard error */
    struct docker_frames frames;
    struct last_line said;
};

/* --- where we are --- */

static int find_self(const struct ctx *ctx, struct docker_sibling *sibling, struct err *err)
{
    if (docker_client_new(&sibling->endpoint, 0, &sibling->client, err) < 0 ||
        docker_client_ping(ctx, sibling->client, err) < 0 ||
        self_find(ctx, sibling->client, &sibling->endpoint, &sibling->self, err) < 0)
        return -1;
    if (sibling->self.place != SELF_IN_CONTAINER)
        return err_set(err, ERR_UNSUPPORTED,
                       "this process is in none of the containers of the Docker daemon at %s",
                       sibling->endpoint.url);
    return 0;
}

int docker_sibling_new(const struct ctx *ctx, const struct engine_services *services,
                       struct docker_sibling **ret, struct err *err)
{
    CLEANUP_DOCKER_SIBLING struct docker_sibling *sibling = xcalloc(1, sizeof(*sibling));

    if (docker_find_endpoint(services, "docker", &sibling->endpoint, err) < 0 ||
        find_self(ctx, sibling, err) < 0)
        return -1;
    *ret = steal_ptr(&sibling);
    return 0;
}

void docker_sibling_free(struct docker_sibling *sibling)
{
    if (!sibling)
        return;
    http_stream_free(sibling->output);
    docker_client_free(sibling->client);
    docker_endpoint_release(&sibling->endpoint);
    self_release(&sibling->self);
    free(sibling->name);
    free(sibling);
}

bool docker_sibling_shares(const struct docker_sibling *sibling, const char *path)
{
    CLEANUP_FREE char *there = self_host_path(&sibling->self, path);

    return there != NULL;
}

const char *docker_sibling_self(const struct docker_sibling *sibling)
{
    return sibling->self.container.name;
}

/* --- what it is made from --- */

/* The environment of this process, whoever has set it; the daemon gives each its own HOSTNAME. */
static void read_environment(struct strmap *ret)
{
    for (char **variable = environ; *variable; variable++) {
        const char *equals = strchr(*variable, '=');
        CLEANUP_FREE char *name = equals ? xstrndup(*variable, (size_t)(equals - *variable)) : NULL;

        if (name && *name && strcmp(name, "HOSTNAME") != 0)
            strmap_set(ret, name, equals + 1);
    }
}

/* Who this process is by now, whatever the container was started as. */
static int read_groups(struct strvec *ret, struct err *err)
{
    gid_t groups[GROUPS_MAX];
    int count = getgroups(GROUPS_MAX, groups);

    if (count < 0)
        return err_errno(err, "cannot find the groups of this process");
    for (int i = 0; i < count; i++)
        strvec_pushf(ret, "%u", (unsigned)groups[i]);
    return 0;
}

/* podman tells "RLIMIT_NOFILE" of what it wants to be told as "nofile". */
static void rename_limits(json_t *config)
{
    static const char prefix[] = "RLIMIT_";
    size_t i;
    json_t *limit;

    json_array_foreach (json_object_get(config, "Ulimits"), i, limit) {
        const char *name = json_string_value(json_object_get(limit, "Name"));
        CLEANUP_FREE char *lower = NULL;

        if (!name || strncmp(name, prefix, strlen(prefix)) != 0)
            continue;
        lower = xstrdup(name + strlen(prefix));
        for (char *at = lower; *at; at++)
            *at = (char)tolower((unsigned char)*at);
        json_object_set_new(limit, "Name", json_string(lower));
    }
}

/* What is said of this container: limits, rights, devices, names … but for what must not be twice,
 * and for what comes by VolumesFrom. */
static int read_host_config(const struct ctx *ctx, const struct docker_sibling *sibling,
                            json_t **ret, struct err *err)
{
    static const char *const others[] = {"Binds",           "Mounts",        "PortBindings",
                                         "PublishAllPorts", "Links",         "ContainerIDFile",
                                         "GroupAdd",        "RestartPolicy", "AutoRemove",
                                         "VolumesFrom",     "ConsoleSize"};
    json_t *all;
    json_t *config;

    if (docker_container_inspect_json(ctx, sibling->client, sibling->self.container.id, &all, err) <
        0)
        return -1;
    config = json_incref(json_object_get(all, "HostConfig"));
    json_decref(all);
    if (!json_is_object(config)) {
        json_decref(config);
        return err_set(err, ERR_PROTOCOL, "the daemon does not tell what %s was made from",
                       sibling->self.container.name);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        json_object_del(config, others[i]);
    rename_limits(config);
    *ret = config;
    return 0;
}

/* The program is the first process of its container: it waits for all others itself. */
static int create(const struct ctx *ctx, struct docker_sibling *sibling,
                  const struct docker_sibling_options *options, const json_t *host_config,
                  struct err *err)
{
    static const char *const no_check[] = {"NONE", NULL};
    const struct docker_healthcheck healthcheck = {.test = no_check};
    const struct docker_container *self = &sibling->self.container;
    const char *const volumes_from[] = {self->id, NULL};
    const bool init = false;
    CLEANUP_STRMAP struct strmap env = {0};
    CLEANUP_STRMAP struct strmap labels = {0};
    CLEANUP_STRVEC struct strvec groups = {0};
    CLEANUP_FREE char *id = NULL;
    CLEANUP_FREE char *user = xasprintf("%u:%u", (unsigned)getuid(), (unsigned)getgid());
    char program[PATH_MAX] = "";
    char directory[PATH_MAX];
    const char *const entrypoint[] = {program, NULL};
    struct docker_create create = {.name = sibling->name,
                                   .image = self->image_id,
                                   .entrypoint = entrypoint,
                                   .cmd = options->arguments,
                                   .env = &env,
                                   .labels = &labels,
                                   .user = user,
                                   .workdir = getcwd(directory, sizeof(directory)),
                                   .healthcheck = &healthcheck,
                                   .stop_signal = "SIGTERM",
                                   .stop_timeout_s = &options->stop_timeout_s,
                                   .init = &init,
                                   .auto_remove = true,
                                   .volumes_from = volumes_from,
                                   .host_config = host_config};

    if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
        return err_errno(err, "cannot find this program");
    if (read_groups(&groups, err) < 0)
        return -1;
    read_environment(&env);
    create.group_add = (const char *const *)groups.items;
    strmap_set(&labels, OWN_LABEL_RUN, options->id);
    strmap_set(&labels, OWN_LABEL_ROLE, "launcher");
    strmap_set(&labels, OWN_LABEL_ID, options->what);
    return docker_container_create(ctx, sibling->client, &create, &id, err);
}

/* --- networks --- */

/* The one that the container is made in. */
static bool is_first(const struct docker_container *self,
                     const struct docker_endpoint_settings *network)
{
    const char *mode = self->network_mode;

    if (strcmp(mode, "default") == 0 || strcmp(mode, "bridge") == 0)
        return strcmp(network->network, "bridge") == 0 || self->network_count == 1;
    return strcmp(mode, network->network) == 0 || strcmp(mode, network->network_id) == 0;
}

/* This container may still be in that of a job which was killed. */
static int is_of_run(const struct ctx *ctx, struct docker_client *client, const char *id, bool *ret,
                     struct err *err)
{
    CLEANUP_DOCKER_NETWORK struct docker_network network = {0};

    if (docker_network_inspect(ctx, client, id, &network, err) < 0)
        return -1;
    *ret = strmap_has(&network.labels, OWN_LABEL_RUN);
    return 0;
}

static int join_networks(const struct ctx *ctx, struct docker_sibling *sibling, struct err *err)
{
    const struct docker_container *self = &sibling->self.container;

    if (strcmp(self->network_mode, "host") == 0 || strcmp(self->network_mode, "none") == 0 ||
        strncmp(self->network_mode, "container:", strlen("container:")) == 0)
        return 0;
    for (size_t i = 0; i < self->network_count; i++) {
        const struct docker_network_attach attach = {.network = self->networks[i].network_id};
        bool of_run = false;

        if (is_first(self, &self->networks[i]))
            continue;
        if (is_of_run(ctx, sibling->client, self->networks[i].network_id, &of_run, err) < 0 ||
            (!of_run &&
             docker_network_connect(ctx, sibling->client, sibling->name, &attach, err) < 0))
            return err_wrap(err, "the network %s", self->networks[i].network);
    }
    return 0;
}

/* --- life --- */

static int add_said(void *arg, enum docker_output stream, const char *data, size_t len,
                    struct err *err)
{
    struct docker_sibling *sibling = arg;

    (void)stream;
    (void)err;
    last_line_add(&sibling->said, data, len);
    return 0;
}

int docker_sibling_start(const struct ctx *ctx, struct docker_sibling *sibling,
                         const struct docker_sibling_options *options, struct err *err)
{
    json_t *host_config = NULL;
    int result;

    if (read_host_config(ctx, sibling, &host_config, err) < 0)
        return -1;
    sibling->name = xasprintf(NAME_FORMAT, options->id);
    result = create(ctx, sibling, options, host_config, err);
    json_decref(host_config);
    docker_frames_init(&sibling->frames, false, add_said, sibling);
    if (result < 0 || join_networks(ctx, sibling, err) < 0 ||
        docker_container_attach(ctx, sibling->client, sibling->name, DOCKER_ATTACH_STDERR,
                                &sibling->output, err) < 0)
        return -1;
    return docker_container_start(ctx, sibling->client, sibling->name, err);
}

int docker_sibling_discard(struct docker_sibling *sibling, struct err *err)
{
    CLEANUP_FREE char *name = steal_ptr(&sibling->name);
    CLEANUP_CTX struct ctx ctx;
    struct err why = ERR_INIT;

    if (!name)
        return 0;
    ctx_init_cleanup(&ctx, DISCARD_MS);
    /* ERR_CONFLICT: it goes already, as it has ended. */
    if (docker_container_remove(&ctx, sibling->client, name,
                                DOCKER_REMOVE_FORCE | DOCKER_REMOVE_VOLUMES, &why) == 0 ||
        why.code == ERR_NOT_FOUND || why.code == ERR_CONFLICT)
        return 0;
    return err_set(err, why.code, "the container %s cannot be removed: %s", name, why.message);
}

int docker_sibling_fd(const struct docker_sibling *sibling)
{
    return http_stream_fd(sibling->output);
}

bool docker_sibling_ended(struct docker_sibling *sibling, struct err *err)
{
    struct err why = ERR_INIT;
    enum docker_pump pump;

    do
        pump = docker_frames_pump(&sibling->frames, sibling->output, &why);
    while (pump == DOCKER_PUMP_MORE);
    if (pump == DOCKER_PUMP_IDLE)
        return false;
    err_set(err, ERR_SYSTEM, "%s",
            *sibling->said.text         ? sibling->said.text
            : pump == DOCKER_PUMP_ERROR ? why.message
                                        : "it said nothing");
    return true;
}

void docker_sibling_detach(struct docker_sibling *sibling)
{
    http_stream_free(steal_ptr(&sibling->output));
}

int docker_sibling_await_end(const struct ctx *ctx, struct docker_sibling *sibling, struct err *err)
{
    CLEANUP_DOCKER_WAIT struct docker_wait *wait = NULL;
    struct err why = ERR_INIT;
    int64_t code;

    if (docker_container_wait_start(ctx, sibling->client, sibling->name, DOCKER_WAIT_REMOVED, &wait,
                                    &why) == 0 &&
        docker_wait_result(ctx, wait, &code, &why) == 0)
        return 0;
    return why.code == ERR_NOT_FOUND ? 0 : err_set(err, why.code, "%s", why.message);
}

/* ERR_CONFLICT: it runs, or is being removed already. */
int docker_sibling_remove_idle(const struct ctx *ctx, struct docker_sibling *sibling,
                               const char *id, struct err *err)
{
    CLEANUP_FREE char *name = xasprintf(NAME_FORMAT, id);
    struct err why = ERR_INIT;

    if (docker_container_remove(ctx, sibling->client, name, DOCKER_REMOVE_VOLUMES, &why) == 0 ||
        why.code == ERR_NOT_FOUND || why.code == ERR_CONFLICT)
        return 0;
    return err_set(err, why.code, "%s", why.message);
}
