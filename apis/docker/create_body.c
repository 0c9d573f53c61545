#include "apis/docker/parts.h"
#include "base/alloc.h"
#include "base/vec.h"

enum {
    API_CGROUPNS = 41,
    API_ANNOTATIONS = 43,
    API_MANY_NETWORKS = 44,
    API_ENDPOINT_MAC = 44,
    API_GATEWAY_PRIORITY = 48,
};

static void add_ports(struct body *b, json_t *host, const struct docker_create *c)
{
    for (size_t i = 0; i < c->port_count; i++) {
        const struct docker_port *p = &c->ports[i];
        CLEANUP_FREE char *key =
            xasprintf("%u/%s", p->container_port, p->protocol ? p->protocol : "tcp");
        json_t *bindings;
        json_t *list;
        json_t *binding;

        body_object(b, body_object(b, NULL, "ExposedPorts"), key);
        if (p->expose_only)
            continue;
        bindings = body_object(b, host, "PortBindings");
        list = json_object_get(bindings, key);
        if (!list) {
            list = json_array();
            json_object_set_new(bindings, key, list);
        }
        binding = json_object();
        body_str(b, binding, "HostIp", p->host_ip);
        if (p->host_port) {
            CLEANUP_FREE char *number = p->host_port_end > p->host_port
                                            ? xasprintf("%u-%u", p->host_port, p->host_port_end)
                                            : xasprintf("%u", p->host_port);

            body_str(b, binding, "HostPort", number);
        }
        json_array_append_new(list, binding);
    }
}

/* Named volumes go into Binds when that can express them: podman (4.3) drops them from Mounts. A
 * bind of a path never does, because there a missing source would be made in silence. */
static bool goes_into_binds(const struct docker_mount *m)
{
    return m->type == DOCKER_MOUNT_VOLUME && m->source && !m->volume_subpath &&
           !(m->volume_labels && m->volume_labels->len) && !m->volume_driver;
}

static void add_volume_bind(struct strvec *binds, const struct docker_mount *m)
{
    const char *options = m->read_only && m->volume_nocopy ? ":ro,nocopy"
                          : m->read_only                   ? ":ro"
                          : m->volume_nocopy               ? ":nocopy"
                                                           : "";

    strvec_pushf(binds, "%s:%s%s", m->source, m->target, options);
}

static void add_storage(struct body *b, json_t *host, const struct docker_create *c, int api_minor)
{
    CLEANUP_STRVEC struct strvec binds = {0};
    json_t *mounts = json_array();

    strvec_extend(&binds, (char *const *)c->binds);
    for (size_t i = 0; i < c->mount_count; i++) {
        if (goes_into_binds(&c->mounts[i]))
            add_volume_bind(&binds, &c->mounts[i]);
        else
            json_array_append_new(mounts, part_mount(b, &c->mounts[i], api_minor));
    }
    body_list(b, host, "Binds", (const char *const *)binds.items);
    body_list(b, host, "VolumesFrom", c->volumes_from);
    body_map(b, host, "Tmpfs", c->tmpfs);
    for (const char *const *path = c->anonymous_volumes; path && *path; path++)
        body_object(b, body_object(b, NULL, "Volumes"), *path);
    body_map(b, host, "StorageOpt", c->storage_opt);
    if (json_array_size(mounts))
        json_object_set_new(host, "Mounts", mounts);
    else
        json_decref(mounts);
}

static json_t *endpoint_body(struct body *b, const struct docker_network_attach *a, int api_minor)
{
    json_t *endpoint = json_object();

    body_list(b, endpoint, "Aliases", a->aliases);
    body_list(b, endpoint, "Links", a->links);
    if (a->ipv4_address)
        body_str(b, body_object(b, endpoint, "IPAMConfig"), "IPv4Address", a->ipv4_address);
    if (a->ipv6_address)
        body_str(b, body_object(b, endpoint, "IPAMConfig"), "IPv6Address", a->ipv6_address);
    if (a->link_local_ips)
        body_list(b, body_object(b, endpoint, "IPAMConfig"), "LinkLocalIPs", a->link_local_ips);
    if (api_minor >= API_ENDPOINT_MAC)
        body_str(b, endpoint, "MacAddress", a->mac_address);
    body_map(b, endpoint, "DriverOpts", a->driver_options);
    if (api_minor >= API_GATEWAY_PRIORITY)
        body_int(endpoint, "GwPriority", a->gateway_priority);
    return endpoint;
}

json_t *docker_create_endpoint(const struct docker_network_attach *attach, int api_minor,
                               struct err *err)
{
    struct body b;

    body_init(&b);
    json_decref(b.root);
    b.root = endpoint_body(&b, attach, api_minor);
    return body_done(&b, err);
}

static void add_network(struct body *b, json_t *host, const struct docker_create *c, int api_minor)
{
    const char *mode = c->network_mode;
    size_t count = c->network_count;

    if (!mode && count)
        mode = c->networks[0].network;
    body_str(b, host, "NetworkMode", mode);
    if (api_minor < API_ENDPOINT_MAC)
        body_str(b, b->root, "MacAddress", c->mac_address);
    body_list(b, host, "Links", c->links);
    body_list(b, host, "Dns", c->dns);
    body_list(b, host, "DnsSearch", c->dns_search);
    body_list(b, host, "DnsOptions", c->dns_options);
    body_list(b, host, "ExtraHosts", c->extra_hosts);
    if (count > 1 && api_minor < API_MANY_NETWORKS)
        count = 1;
    for (size_t i = 0; i < count; i++) {
        json_t *endpoints =
            body_object(b, body_object(b, NULL, "NetworkingConfig"), "EndpointsConfig");

        json_object_set_new(endpoints, c->networks[i].network,
                            endpoint_body(b, &c->networks[i], api_minor));
    }
}

static void add_security(struct body *b, json_t *host, const struct docker_create *c, int api_minor)
{
    body_true(host, "Privileged", c->privileged);
    body_true(host, "ReadonlyRootfs", c->read_only_rootfs);
    body_list(b, host, "CapAdd", c->cap_add);
    body_list(b, host, "CapDrop", c->cap_drop);
    body_list(b, host, "SecurityOpt", c->security_opt);
    if (c->system_paths_unconfined) {
        json_object_set_new(host, "MaskedPaths", json_array());
        json_object_set_new(host, "ReadonlyPaths", json_array());
    }
    body_list(b, host, "GroupAdd", c->group_add);
    body_str(b, host, "PidMode", c->pid_mode);
    body_str(b, host, "IpcMode", c->ipc_mode);
    body_str(b, host, "UTSMode", c->uts_mode);
    body_str(b, host, "UsernsMode", c->userns_mode);
    if (api_minor >= API_CGROUPNS)
        body_str(b, host, "CgroupnsMode", c->cgroupns_mode);
    body_map(b, host, "Sysctls", c->sysctls);
    body_int(host, "OomScoreAdj", c->oom_score_adj);
}

static void add_devices(struct body *b, json_t *host, const struct docker_create *c)
{
    json_t *list;

    if (!c->device_count)
        return;
    list = json_array();
    for (size_t i = 0; i < c->device_count; i++) {
        const struct docker_device *d = &c->devices[i];
        json_t *device = json_object();

        body_str(b, device, "PathOnHost", d->host_path);
        body_str(b, device, "PathInContainer",
                 d->container_path ? d->container_path : d->host_path);
        body_str(b, device, "CgroupPermissions", d->permissions ? d->permissions : "rwm");
        json_array_append_new(list, device);
    }
    json_object_set_new(host, "Devices", list);
}

static void add_rates(struct body *b, json_t *host, const char *key, const char *member,
                      const struct docker_blkio_rate *rates)
{
    json_t *list;

    if (!rates)
        return;
    list = json_array();
    for (; rates->path; rates++) {
        json_t *entry = json_object();

        body_str(b, entry, "Path", rates->path);
        body_int(entry, member, rates->rate);
        json_array_append_new(list, entry);
    }
    json_object_set_new(host, key, list);
}

static void add_blkio(struct body *b, json_t *host, const struct docker_blkio *blkio)
{
    body_int(host, "BlkioWeight", blkio->weight);
    add_rates(b, host, "BlkioWeightDevice", "Weight", blkio->weight_devices);
    add_rates(b, host, "BlkioDeviceReadBps", "Rate", blkio->read_bps);
    add_rates(b, host, "BlkioDeviceWriteBps", "Rate", blkio->write_bps);
    add_rates(b, host, "BlkioDeviceReadIOps", "Rate", blkio->read_iops);
    add_rates(b, host, "BlkioDeviceWriteIOps", "Rate", blkio->write_iops);
}

static void add_resources(struct body *b, json_t *host, const struct docker_create *c)
{
    body_int(host, "NanoCpus", c->cpus_milli * 1000000);
    body_int(host, "CpuShares", c->cpu_shares);
    body_int(host, "CpuPeriod", c->cpu_period_us);
    body_int(host, "CpuQuota", c->cpu_quota_us);
    body_int(host, "CpuRealtimePeriod", c->cpu_realtime_period_us);
    body_int(host, "CpuRealtimeRuntime", c->cpu_realtime_runtime_us);
    body_int(host, "CpuCount", c->cpu_count);
    body_int(host, "CpuPercent", c->cpu_percent);
    body_str(b, host, "CpusetCpus", c->cpuset_cpus);
    body_str(b, host, "CgroupParent", c->cgroup_parent);
    body_int(host, "Memory", c->memory_bytes);
    body_int(host, "MemorySwap", c->memory_swap_bytes);
    body_int(host, "MemoryReservation", c->memory_reservation_bytes);
    body_number(host, "MemorySwappiness", c->memory_swappiness);
    body_true(host, "OomKillDisable", c->oom_kill_disable);
    body_int(host, "PidsLimit", c->pids_limit);
    body_int(host, "ShmSize", c->shm_bytes);
    part_ulimits(b, host, "Ulimits", c->ulimits, c->ulimit_count);
    add_devices(b, host, c);
    body_list(b, host, "DeviceCgroupRules", c->device_cgroup_rules);
    add_blkio(b, host, &c->blkio);
}

static void add_lifecycle(struct body *b, json_t *host, const struct docker_create *c,
                          int api_minor)
{
    if (api_minor >= API_ANNOTATIONS)
        body_map(b, host, "Annotations", c->annotations);
    body_bool(host, "Init", c->init);
    body_true(host, "AutoRemove", c->auto_remove);
    body_str(b, host, "Runtime", c->runtime);
    body_str(b, host, "Isolation", c->isolation);
    if (c->restart_policy) {
        json_t *policy = body_object(b, host, "RestartPolicy");

        body_str(b, policy, "Name", c->restart_policy);
        body_int(policy, "MaximumRetryCount", c->restart_max_retries);
    }
    part_driver(b, host, "LogConfig", "Type", c->log_driver, "Config", c->log_options);
}

static void add_config(struct body *b, const struct docker_create *c)
{
    static const char *const no_entrypoint[] = {"", NULL};
    const char *const *entrypoint = c->entrypoint;

    /* An empty list would leave the image's in force; [""] is how the API drops it. */
    if (c->clear_entrypoint && (!entrypoint || !entrypoint[0]))
        entrypoint = no_entrypoint;
    body_str(b, b->root, "Image", c->image);
    body_list(b, b->root, "Cmd", c->cmd);
    body_list(b, b->root, "Entrypoint", entrypoint);
    body_env(b, b->root, "Env", c->env, c->env_unset);
    body_map(b, NULL, "Labels", c->labels);
    body_str(b, b->root, "WorkingDir", c->workdir);
    body_str(b, b->root, "User", c->user);
    body_str(b, b->root, "Hostname", c->hostname);
    body_str(b, b->root, "Domainname", c->domainname);
    body_str(b, b->root, "StopSignal", c->stop_signal);
    body_number(b->root, "StopTimeout", c->stop_timeout_s);
    body_true(b->root, "Tty", c->tty);
    body_true(b->root, "OpenStdin", c->open_stdin);
    body_true(b->root, "StdinOnce", c->stdin_once);
    body_true(b->root, "AttachStdin", c->attach_stdin);
    body_true(b->root, "AttachStdout", c->attach_output);
    body_true(b->root, "AttachStderr", c->attach_output);
}

json_t *docker_create_body(const struct docker_create *c, int api_minor, struct err *err)
{
    struct body b;
    json_t *host;

    body_init(&b);
    add_config(&b, c);
    part_healthcheck(&b, b.root, "Healthcheck", c->healthcheck, api_minor);
    host = body_object(&b, NULL, "HostConfig");
    if (c->host_config)
        json_object_update(host, (json_t *)c->host_config);
    add_ports(&b, host, c);
    add_storage(&b, host, c, api_minor);
    add_network(&b, host, c, api_minor);
    add_security(&b, host, c, api_minor);
    add_resources(&b, host, c);
    add_lifecycle(&b, host, c, api_minor);
    return body_done(&b, err);
}
