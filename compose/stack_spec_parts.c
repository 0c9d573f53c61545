/* Mounts, files, ports and the deploy section of a service. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "compose/stack_internal.h"

/* --- mounts --- */

static void named_volume(const struct stack_run *run, const json_t *from, struct stack_spec *spec,
                         struct docker_mount *mount)
{
    const char *key = compose_string(from, "source");
    const json_t *volume = compose_volume(run->project, key);
    const json_t *options = json_object_get(from, "volume");
    struct strmap *labels;
    struct strmap *driver_options;

    mount->source = compose_string(volume, "name") ? compose_string(volume, "name") : key;
    mount->volume_nocopy = compose_bool(options, "nocopy", false);
    mount->volume_subpath = compose_string(options, "subpath");
    if (compose_bool(volume, "external", false))
        return;
    labels = stack_spec_map(spec);
    compose_pairs(options, "labels", labels);
    compose_pairs(volume, "labels", labels);
    strmap_set(labels, STACK_LABEL_NAMESPACE, run->options->name);
    driver_options = stack_spec_map(spec);
    compose_pairs(volume, "driver_opts", driver_options);
    mount->volume_labels = labels;
    mount->volume_driver = compose_string(volume, "driver");
    mount->volume_options = driver_options;
}

static int one_mount(const struct stack_run *run, const json_t *from, struct stack_spec *spec,
                     struct docker_mount *ret, struct err *err)
{
    const char *type = compose_string(from, "type");
    const json_t *tmpfs = json_object_get(from, "tmpfs");
    const json_t *bind = json_object_get(from, "bind");
    const char *recursive = compose_string(bind, "recursive");
    struct docker_mount mount = {
        .source = compose_string(from, "source"),
        .target = compose_string(from, "target"),
        .read_only = compose_bool(from, "read_only", false),
        .consistency = compose_string(from, "consistency"),
    };

    if (strcmp(type, "bind") == 0) {
        mount.type = DOCKER_MOUNT_BIND;
        mount.propagation = compose_string(bind, "propagation");
        mount.nonrecursive = recursive && strcmp(recursive, "disabled") == 0;
        mount.read_only_nonrecursive = recursive && strcmp(recursive, "writable") == 0;
        mount.read_only_recursive = recursive && strcmp(recursive, "readonly") == 0;
    } else if (strcmp(type, "volume") == 0) {
        mount.type = DOCKER_MOUNT_VOLUME;
        if (mount.source)
            named_volume(run, from, spec, &mount);
    } else if (strcmp(type, "tmpfs") == 0) {
        mount.type = DOCKER_MOUNT_TMPFS;
        mount.tmpfs_size_bytes = compose_bytes(tmpfs, "size", 0);
        mount.tmpfs_mode = (unsigned)compose_int(tmpfs, "mode", 0);
    } else {
        return compose_error(run->project, from, err, ERR_UNSUPPORTED,
                             "a mount of type \"%s\" is not possible in a swarm; bind, volume and "
                             "tmpfs are",
                             type);
    }
    *ret = mount;
    return 0;
}

/* "/path", "/path:size=64m,mode=1770": an element of the list `tmpfs`. */
static int short_tmpfs(const struct stack_run *run, const json_t *list, const char *text,
                       struct stack_spec *spec, struct docker_mount *ret, struct err *err)
{
    const char *colon = strchr(text, ':');
    struct docker_mount mount = {.type = DOCKER_MOUNT_TMPFS};
    const char *option = colon ? colon + 1 : "";

    mount.target = colon ? arena_strndup(&spec->arena, text, (size_t)(colon - text)) : text;
    while (*option) {
        size_t len = strcspn(option, ",");
        CLEANUP_FREE char *one = xstrndup(option, len);

        if (strncmp(one, "size=", 5) == 0) {
            if (parse_size_bytes(one + 5, &mount.tmpfs_size_bytes, err) < 0)
                return err_wrap(err, "tmpfs \"%s\"", text);
        } else if (strncmp(one, "mode=", 5) == 0) {
            mount.tmpfs_mode = (unsigned)strtoul(one + 5, NULL, 8);
        } else {
            return compose_error(run->project, list, err, ERR_UNSUPPORTED,
                                 "the option \"%s\" of a tmpfs is not possible in a swarm; size "
                                 "and mode are",
                                 one);
        }
        option += len + (option[len] == ',');
    }
    *ret = mount;
    return 0;
}

int stack_spec_mounts(const struct stack_run *run, const json_t *service, struct stack_spec *spec,
                      struct err *err)
{
    const json_t *volumes = json_object_get(service, "volumes");
    const json_t *tmpfs = json_object_get(service, "tmpfs");
    struct docker_mount *list =
        arena_alloc(&spec->arena,
                    (json_array_size(volumes) + json_array_size(tmpfs) + 1) * sizeof(*list));
    size_t count = 0;
    size_t i;
    json_t *value;

    json_array_foreach (volumes, i, value) {
        if (one_mount(run, value, spec, &list[count++], err) < 0)
            return -1;
    }
    json_array_foreach (tmpfs, i, value) {
        if (short_tmpfs(run, tmpfs, json_string_value(value), spec, &list[count++], err) < 0)
            return -1;
    }
    spec->service.mounts = list;
    spec->service.mount_count = count;
    return 0;
}

/* --- secrets, configs, credentials --- */

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Compose writes the whole path of a secret, swarm the name below /run/secrets. */
static const char *file_target(enum docker_swarm_kind kind, const json_t *from)
{
    static const char secrets[] = "/run/secrets/";
    const char *target = compose_string(from, "target");
    size_t len = sizeof(secrets) - 1;

    if (!target)
        return compose_string(from, "source");
    if (kind == DOCKER_SECRET && strncmp(target, secrets, len) == 0 && target[len] &&
        !strchr(target + len, '/'))
        return target + len;
    return target;
}

/* By name, as the docker command sorts them, and by target, which it does not look at. */
static int by_name(const void *a, const void *b)
{
    const struct docker_service_file *left = a;
    const struct docker_service_file *right = b;
    int order = strcmp(left->name, right->name);

    return order ? order : strcmp(or_empty(left->target), or_empty(right->target));
}

static const struct docker_service_file *files(const struct stack_run *run,
                                               enum docker_swarm_kind kind, const json_t *service,
                                               struct stack_spec *spec, const char *runtime,
                                               size_t *ret_count)
{
    const json_t *from = json_object_get(service, kind == DOCKER_SECRET ? "secrets" : "configs");
    const struct strmap *names = kind == DOCKER_SECRET ? &run->secrets : &run->configs;
    const struct strmap *ids = kind == DOCKER_SECRET ? &run->secret_ids : &run->config_ids;
    struct docker_service_file *list =
        arena_alloc(&spec->arena, (json_array_size(from) + 2) * sizeof(*list));
    size_t count = 0;
    size_t i;
    json_t *value;

    json_array_foreach (from, i, value) {
        const char *source = compose_string(value, "source");
        const char *uid = compose_string(value, "uid");
        const char *gid = compose_string(value, "gid");
        const char *mode = compose_string(value, "mode");

        list[count++] = (struct docker_service_file){
            .id = or_empty(strmap_get(ids, source)),
            .name = or_empty(strmap_get(names, source)),
            .target = file_target(kind, value),
            .uid = uid ? uid : "0",
            .gid = gid ? gid : "0",
            .mode = mode ? (unsigned)strtoul(mode, NULL, 8) : 0444,
        };
    }
    if (runtime)
        list[count++] = (struct docker_service_file){
            .id = or_empty(strmap_get(ids, runtime)),
            .name = or_empty(strmap_get(names, runtime)),
        };
    qsort(list, count, sizeof(*list), by_name);
    *ret_count = count;
    return list;
}

int stack_spec_files(const struct stack_run *run, const json_t *service, struct stack_spec *spec,
                     struct err *err)
{
    const json_t *credential = json_object_get(service, "credential_spec");
    const char *config = compose_string(credential, "config");
    struct docker_service_spec *s = &spec->service;

    s->credential_file = compose_string(credential, "file");
    s->credential_registry = compose_string(credential, "registry");
    if (!!config + !!s->credential_file + !!s->credential_registry > 1)
        return compose_error(run->project, credential, err, ERR_INVALID,
                             "credential_spec takes one of config, file and registry");
    if (config && !compose_config(run->project, config))
        return compose_error(run->project, credential, err, ERR_INVALID,
                             "there is no config \"%s\"; add it to configs", config);
    s->secrets = files(run, DOCKER_SECRET, service, spec, NULL, &s->secret_count);
    s->configs = files(run, DOCKER_CONFIG, service, spec, config, &s->config_count);
    if (config)
        s->credential_config = or_empty(strmap_get(&run->config_ids, config));
    return 0;
}

/* --- ports --- */

static int by_port(const void *a, const void *b)
{
    const struct docker_service_port *left = a;
    const struct docker_service_port *right = b;

    if (left->published != right->published)
        return left->published < right->published ? -1 : 1;
    if (left->target != right->target)
        return left->target < right->target ? -1 : 1;
    return strcmp(left->protocol, right->protocol);
}

int stack_spec_ports(const struct stack_run *run, const json_t *service, struct stack_spec *spec,
                     struct err *err)
{
    const json_t *from = json_object_get(service, "ports");
    struct docker_service_port *list =
        arena_alloc(&spec->arena, (json_array_size(from) + 1) * sizeof(*list));
    size_t count = 0;
    size_t i;
    json_t *value;

    json_array_foreach (from, i, value) {
        const char *published = compose_string(value, "published");
        const char *protocol = compose_string(value, "protocol");
        const char *mode = compose_string(value, "mode");
        int64_t number = 0;

        if (published && *published && parse_int64(published, &number, NULL) < 0)
            return compose_error(run->project, value, err, ERR_UNSUPPORTED,
                                 "the published port is \"%s\", but a swarm takes no range for one "
                                 "target; name one port",
                                 published);
        list[count++] = (struct docker_service_port){
            .protocol = protocol ? protocol : "tcp",
            .target = (unsigned)compose_int(value, "target", 0),
            .published = (unsigned)number,
            .mode = mode ? mode : "ingress",
        };
    }
    qsort(list, count, sizeof(*list), by_port);
    spec->service.ports = list;
    spec->service.port_count = count;
    spec->service.endpoint_mode =
        compose_string(json_object_get(service, "deploy"), "endpoint_mode");
    return 0;
}

/* --- deploy --- */

static const struct docker_update_config *update_config(struct stack_spec *spec, const json_t *from)
{
    struct docker_update_config *update;

    if (!from)
        return NULL;
    update = arena_alloc(&spec->arena, sizeof(*update));
    *update = (struct docker_update_config){
        .parallelism = compose_int(from, "parallelism", 1),
        .delay_ns = compose_duration_ms(from, "delay", 0) * 1000000,
        .failure_action = compose_string(from, "failure_action"),
        .monitor_ns = compose_duration_ms(from, "monitor", 0) * 1000000,
        .max_failure_ratio = compose_number(from, "max_failure_ratio", 0),
        .order = compose_string(from, "order"),
    };
    return update;
}

static const int64_t *number(struct stack_spec *spec, int64_t value)
{
    int64_t *out = arena_alloc(&spec->arena, sizeof(*out));

    *out = value;
    return out;
}

static const struct docker_service_restart *restart_policy(struct stack_spec *spec,
                                                           const json_t *from)
{
    struct docker_service_restart *policy = arena_alloc(&spec->arena, sizeof(*policy));

    policy->condition = compose_string(from, "condition");
    if (json_object_get(from, "delay"))
        policy->delay_ns = number(spec, compose_duration_ms(from, "delay", 0) * 1000000);
    if (json_object_get(from, "max_attempts"))
        policy->max_attempts = number(spec, compose_int(from, "max_attempts", 0));
    if (json_object_get(from, "window"))
        policy->window_ns = number(spec, compose_duration_ms(from, "window", 0) * 1000000);
    return policy;
}

/* `restart` of the service counts where there is no policy in `deploy`; "no" is nothing, as for the
 * docker command, and the swarm's default restarts. */
static int legacy_restart(const struct stack_run *run, const json_t *service,
                          struct stack_spec *spec, struct err *err)
{
    const char *restart = compose_string(service, "restart");
    struct docker_service_restart *policy;
    int64_t attempts = 0;

    if (!restart || strcmp(restart, "no") == 0)
        return 0;
    policy = arena_alloc(&spec->arena, sizeof(*policy));
    policy->condition = "any";
    if (strncmp(restart, "on-failure", 10) == 0) {
        policy->condition = "on-failure";
        if (restart[10] == ':' && parse_int64(restart + 11, &attempts, err) < 0)
            return err_wrap(err, "restart \"%s\"", restart);
    } else if (strcmp(restart, "always") != 0 && strcmp(restart, "unless-stopped") != 0) {
        return compose_error(run->project, service, err, ERR_INVALID,
                             "restart is \"%s\"; it is no, always, unless-stopped or on-failure",
                             restart);
    }
    if (attempts > 0)
        policy->max_attempts = number(spec, attempts);
    spec->service.restart = policy;
    return 0;
}

static const struct docker_service_resources *resources(struct stack_spec *spec, const json_t *from)
{
    const json_t *list = json_object_get(from, "generic_resources");
    struct docker_service_resources *out;
    struct docker_service_generic *generic;
    size_t i;
    json_t *value;

    if (!from)
        return NULL;
    out = arena_alloc(&spec->arena, sizeof(*out));
    generic = arena_alloc(&spec->arena, (json_array_size(list) + 1) * sizeof(*generic));
    json_array_foreach (list, i, value) {
        const json_t *discrete = json_object_get(value, "discrete_resource_spec");

        generic[i] = (struct docker_service_generic){.kind = compose_string(discrete, "kind"),
                                                     .value = compose_int(discrete, "value", 0)};
    }
    *out = (struct docker_service_resources){
        .nano_cpus = llround(compose_number(from, "cpus", 0) * 1e9),
        .memory_bytes = compose_bytes(from, "memory", 0),
        .pids = compose_int(from, "pids", 0),
        .generic = generic,
        .generic_count = json_array_size(list),
    };
    return out;
}

static void add_placement(struct stack_spec *spec, const json_t *placement)
{
    const json_t *preferences = json_object_get(placement, "preferences");
    const char **spread =
        arena_alloc(&spec->arena, (json_array_size(preferences) + 1) * sizeof(*spread));
    size_t i;
    json_t *value;

    json_array_foreach (preferences, i, value) {
        spread[i] = compose_string(value, "spread");
    }
    spec->service.constraints = stack_spec_list(spec, json_object_get(placement, "constraints"));
    spec->service.spread = spread;
    spec->service.max_replicas_per_node = compose_int(placement, "max_replicas_per_node", 0);
}

static int add_mode(const struct stack_run *run, const json_t *service, struct stack_spec *spec,
                    struct err *err)
{
    static const struct {
        const char *name;
        enum docker_service_mode mode;
    } modes[] = {
        {"replicated", DOCKER_SERVICE_REPLICATED},
        {"global", DOCKER_SERVICE_GLOBAL},
        {"replicated-job", DOCKER_SERVICE_REPLICATED_JOB},
        {"global-job", DOCKER_SERVICE_GLOBAL_JOB},
    };
    const json_t *deploy = json_object_get(service, "deploy");
    const char *name = compose_string(deploy, "mode");
    struct docker_service_spec *s = &spec->service;
    size_t i = 0;

    while (name && i < sizeof(modes) / sizeof(*modes) && strcmp(modes[i].name, name) != 0)
        i++;
    if (i == sizeof(modes) / sizeof(*modes))
        return compose_error(run->project, deploy, err, ERR_INVALID,
                             "deploy.mode is \"%s\"; it is replicated, global, replicated-job or "
                             "global-job",
                             name);
    s->mode = modes[i].mode;
    if ((s->mode == DOCKER_SERVICE_GLOBAL || s->mode == DOCKER_SERVICE_GLOBAL_JOB) &&
        json_object_get(deploy, "replicas"))
        return compose_error(run->project, deploy, err, ERR_INVALID,
                             "deploy.replicas means nothing for the mode %s; leave it out", name);
    s->replicas = compose_scale(service);
    s->max_concurrent = s->replicas;
    return 0;
}

int stack_spec_deploy(const struct stack_run *run, const json_t *service, struct stack_spec *spec,
                      struct err *err)
{
    const json_t *deploy = json_object_get(service, "deploy");
    const json_t *policy = json_object_get(deploy, "restart_policy");
    const json_t *amounts = json_object_get(deploy, "resources");
    struct docker_service_spec *s = &spec->service;

    s->update = update_config(spec, json_object_get(deploy, "update_config"));
    s->rollback = update_config(spec, json_object_get(deploy, "rollback_config"));
    s->limits = resources(spec, json_object_get(amounts, "limits"));
    s->reservations = resources(spec, json_object_get(amounts, "reservations"));
    add_placement(spec, json_object_get(deploy, "placement"));
    if (policy)
        s->restart = restart_policy(spec, policy);
    else if (legacy_restart(run, service, spec, err) < 0)
        return -1;
    return add_mode(run, service, spec, err);
}
