#include "apis/docker/service_spec.h"

#include "apis/docker/parts.h"

enum {
    API_JOBS = 41,
    API_PIDS = 41,
    API_ULIMITS = 41,
    API_OOM_SCORE = 46,
};

static void add_list(json_t *parent, const char *key, json_t *list)
{
    if (json_array_size(list))
        json_object_set_new(parent, key, list);
    else
        json_decref(list);
}

static void add_files(struct body *b, json_t *container, const char *key, const char *id_key,
                      const char *name_key, const struct docker_service_file *files, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        const struct docker_service_file *f = &files[i];
        json_t *file = json_object();

        if (f->target) {
            json_t *target = body_object(b, file, "File");

            body_str(b, target, "Name", f->target);
            body_str(b, target, "UID", f->uid);
            body_str(b, target, "GID", f->gid);
            json_object_set_new(target, "Mode", json_integer(f->mode));
        } else {
            body_object(b, file, "Runtime");
        }
        body_str(b, file, id_key, f->id);
        body_str(b, file, name_key, f->name);
        json_array_append_new(list, file);
    }
    add_list(container, key, list);
}

static void add_dns(struct body *b, json_t *container, const struct docker_service_spec *s)
{
    json_t *dns;

    if (!s->dns && !s->dns_search && !s->dns_options)
        return;
    dns = body_object(b, container, "DNSConfig");
    body_list(b, dns, "Nameservers", s->dns);
    body_list(b, dns, "Search", s->dns_search);
    body_list(b, dns, "Options", s->dns_options);
}

/* Privileges are there even if they are empty, as the docker command sends them: to the swarm that
 * is not the same, and tasks would be replaced when the one changes what the other has made. */
static void add_credential(struct body *b, json_t *container, const struct docker_service_spec *s)
{
    json_t *privileges = body_object(b, container, "Privileges");
    json_t *spec;

    if (!s->credential_config && !s->credential_file && !s->credential_registry)
        return;
    spec = body_object(b, privileges, "CredentialSpec");
    body_str(b, spec, "Config", s->credential_config);
    body_str(b, spec, "File", s->credential_file);
    body_str(b, spec, "Registry", s->credential_registry);
}

static void add_process(struct body *b, json_t *container, const struct docker_service_spec *s)
{
    body_str(b, container, "Image", s->image);
    body_map(b, container, "Labels", s->container_labels);
    body_list(b, container, "Command", s->command);
    body_list(b, container, "Args", s->args);
    body_str(b, container, "Hostname", s->hostname);
    body_list(b, container, "Env", s->env);
    body_str(b, container, "Dir", s->dir);
    body_str(b, container, "User", s->user);
    body_list(b, container, "Groups", s->groups);
    body_str(b, container, "StopSignal", s->stop_signal);
    body_number(container, "StopGracePeriod", s->stop_grace_ns);
    body_true(container, "TTY", s->tty);
    body_true(container, "OpenStdin", s->open_stdin);
    body_true(container, "ReadOnly", s->read_only);
    body_str(b, container, "Isolation", s->isolation);
    body_bool(container, "Init", s->init);
}

static void add_container(struct body *b, json_t *task, const struct docker_service_spec *s,
                          int api_minor)
{
    json_t *container = body_object(b, task, "ContainerSpec");
    json_t *mounts = json_array();

    add_process(b, container, s);
    for (size_t i = 0; i < s->mount_count; i++)
        json_array_append_new(mounts, part_mount(b, &s->mounts[i], api_minor));
    add_list(container, "Mounts", mounts);
    part_healthcheck(b, container, "Healthcheck", s->healthcheck, api_minor);
    body_list(b, container, "Hosts", s->hosts);
    add_dns(b, container, s);
    add_files(b, container, "Secrets", "SecretID", "SecretName", s->secrets, s->secret_count);
    add_files(b, container, "Configs", "ConfigID", "ConfigName", s->configs, s->config_count);
    add_credential(b, container, s);
    body_map(b, container, "Sysctls", s->sysctls);
    body_list(b, container, "CapabilityAdd", s->cap_add);
    body_list(b, container, "CapabilityDrop", s->cap_drop);
    if (api_minor >= API_ULIMITS)
        part_ulimits(b, container, "Ulimits", s->ulimits, s->ulimit_count);
    if (api_minor >= API_OOM_SCORE)
        body_int(container, "OomScoreAdj", s->oom_score_adj);
}

static void add_amounts(struct body *b, json_t *resources, const char *key,
                        const struct docker_service_resources *r, int api_minor)
{
    json_t *amounts;
    json_t *generic = json_array();

    amounts = body_object(b, resources, key);
    body_int(amounts, "NanoCPUs", r->nano_cpus);
    body_int(amounts, "MemoryBytes", r->memory_bytes);
    if (api_minor >= API_PIDS)
        body_int(amounts, "Pids", r->pids);
    for (size_t i = 0; i < r->generic_count; i++) {
        json_t *one = json_object();
        json_t *discrete = body_object(b, one, "DiscreteResourceSpec");

        body_str(b, discrete, "Kind", r->generic[i].kind);
        json_object_set_new(discrete, "Value", json_integer(r->generic[i].value));
        json_array_append_new(generic, one);
    }
    add_list(amounts, "GenericResources", generic);
}

static void add_placement(struct body *b, json_t *task, const struct docker_service_spec *s)
{
    json_t *placement = body_object(b, task, "Placement");
    json_t *preferences = json_array();
    json_t *platforms = json_array();

    body_list(b, placement, "Constraints", s->constraints);
    for (const char *const *label = s->spread; label && *label; label++) {
        json_t *preference = json_object();

        body_str(b, body_object(b, preference, "Spread"), "SpreadDescriptor", *label);
        json_array_append_new(preferences, preference);
    }
    add_list(placement, "Preferences", preferences);
    body_int(placement, "MaxReplicas", s->max_replicas_per_node);
    for (size_t i = 0; i < s->platform_count; i++) {
        json_t *platform = json_object();

        if (*s->platforms[i].architecture)
            body_str(b, platform, "Architecture", s->platforms[i].architecture);
        body_str(b, platform, "OS", s->platforms[i].os);
        json_array_append_new(platforms, platform);
    }
    add_list(placement, "Platforms", platforms);
}

static void add_networks(struct body *b, json_t *task, const struct docker_service_spec *s)
{
    json_t *list = json_array();

    for (size_t i = 0; i < s->network_count; i++) {
        json_t *network = json_object();

        body_str(b, network, "Target", s->networks[i].target);
        body_list(b, network, "Aliases", s->networks[i].aliases);
        body_map(b, network, "DriverOpts", s->networks[i].driver_options);
        json_array_append_new(list, network);
    }
    add_list(task, "Networks", list);
}

static void add_restart(struct body *b, json_t *task, const struct docker_service_restart *r)
{
    json_t *policy;

    if (!r)
        return;
    policy = body_object(b, task, "RestartPolicy");
    body_str(b, policy, "Condition", r->condition);
    body_number(policy, "Delay", r->delay_ns);
    body_number(policy, "MaxAttempts", r->max_attempts);
    body_number(policy, "Window", r->window_ns);
}

static void add_task(struct body *b, const struct docker_service_spec *s, int api_minor)
{
    json_t *task = body_object(b, NULL, "TaskTemplate");
    json_t *resources = body_object(b, task, "Resources");

    add_container(b, task, s, api_minor);
    if (s->limits)
        add_amounts(b, resources, "Limits", s->limits, api_minor);
    if (s->reservations)
        add_amounts(b, resources, "Reservations", s->reservations, api_minor);
    add_restart(b, task, s->restart);
    add_placement(b, task, s);
    add_networks(b, task, s);
    part_driver(b, task, "LogDriver", "Name", s->log_driver, "Options", s->log_options);
    body_int(task, "ForceUpdate", s->force_update);
}

static int add_mode(struct body *b, const struct docker_service_spec *s, int api_minor,
                    struct err *err)
{
    json_t *mode = body_object(b, NULL, "Mode");
    json_t *of;

    if (api_minor < API_JOBS && s->mode >= DOCKER_SERVICE_REPLICATED_JOB)
        return err_set(err, ERR_UNSUPPORTED,
                       "this Docker daemon knows no jobs (API 1.%d, 1.%d is needed)", api_minor,
                       API_JOBS);
    switch (s->mode) {
    case DOCKER_SERVICE_REPLICATED:
        json_object_set_new(body_object(b, mode, "Replicated"), "Replicas",
                            json_integer(s->replicas));
        break;
    case DOCKER_SERVICE_GLOBAL:
        body_object(b, mode, "Global");
        break;
    case DOCKER_SERVICE_REPLICATED_JOB:
        of = body_object(b, mode, "ReplicatedJob");
        json_object_set_new(of, "MaxConcurrent", json_integer(s->max_concurrent));
        json_object_set_new(of, "TotalCompletions", json_integer(s->replicas));
        break;
    case DOCKER_SERVICE_GLOBAL_JOB:
        body_object(b, mode, "GlobalJob");
        break;
    }
    return 0;
}

static void add_update(struct body *b, const char *key, const struct docker_update_config *u)
{
    json_t *update;

    if (!u)
        return;
    update = body_object(b, NULL, key);
    json_object_set_new(update, "Parallelism", json_integer(u->parallelism));
    body_int(update, "Delay", u->delay_ns);
    body_str(b, update, "FailureAction", u->failure_action);
    body_int(update, "Monitor", u->monitor_ns);
    json_object_set_new(update, "MaxFailureRatio", json_real(u->max_failure_ratio));
    body_str(b, update, "Order", u->order);
}

static void add_endpoint(struct body *b, const struct docker_service_spec *s)
{
    json_t *endpoint = body_object(b, NULL, "EndpointSpec");
    json_t *ports = json_array();

    body_str(b, endpoint, "Mode", s->endpoint_mode);
    for (size_t i = 0; i < s->port_count; i++) {
        const struct docker_service_port *p = &s->ports[i];
        json_t *port = json_object();

        body_str(b, port, "Name", p->name);
        body_str(b, port, "Protocol", p->protocol);
        body_int(port, "TargetPort", p->target);
        body_int(port, "PublishedPort", p->published);
        body_str(b, port, "PublishMode", p->mode);
        json_array_append_new(ports, port);
    }
    add_list(endpoint, "Ports", ports);
}

json_t *docker_service_body(const struct docker_service_spec *spec, int api_minor, struct err *err)
{
    struct body b;

    body_init(&b);
    body_str(&b, b.root, "Name", spec->name);
    body_map(&b, NULL, "Labels", spec->labels);
    add_task(&b, spec, api_minor);
    if (add_mode(&b, spec, api_minor, err) < 0) {
        json_decref(b.root);
        return NULL;
    }
    add_update(&b, "UpdateConfig", spec->update);
    add_update(&b, "RollbackConfig", spec->rollback);
    add_endpoint(&b, spec);
    return body_done(&b, err);
}
