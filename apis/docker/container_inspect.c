#include "apis/docker/container.h"

#include "apis/docker/json.h"
#include "apis/docker/path.h"
#include "base/parse.h"

static char *name_without_slash(const char *name)
{
    return xstrdup(*name == '/' ? name + 1 : name);
}

static void read_mounts(const json_t *body, struct docker_container *c)
{
    const json_t *mounts = docker_json_at(body, "Mounts");
    size_t i;
    json_t *m;

    if (!json_array_size(mounts))
        return;
    c->mounts = xcalloc(json_array_size(mounts), sizeof(*c->mounts));
    json_array_foreach (mounts, i, m) {
        c->mounts[c->mount_count++] = (struct docker_mount_point){
            .type = docker_json_dup(m, "Type"),
            .name = docker_json_dup(m, "Name"),
            .source = docker_json_dup(m, "Source"),
            .destination = docker_json_dup(m, "Destination"),
            .writable = docker_json_bool(m, "RW"),
        };
    }
}

static void read_networks(const json_t *body, struct docker_container *c)
{
    json_t *networks = (json_t *)docker_json_at(body, "NetworkSettings.Networks");
    const char *name;
    json_t *n;

    if (!json_object_size(networks))
        return;
    c->networks = xcalloc(json_object_size(networks), sizeof(*c->networks));
    json_object_foreach (networks, name, n) {
        c->networks[c->network_count++] = (struct docker_endpoint_settings){
            .network = xstrdup(name),
            .network_id = docker_json_dup(n, "NetworkID"),
            .ip_address = docker_json_dup(n, "IPAddress"),
            .gateway = docker_json_dup(n, "Gateway"),
        };
    }
}

static unsigned port_number(const char *text)
{
    int64_t value;

    return parse_int64(text, &value, NULL) == 0 && value > 0 && value < 65536 ? (unsigned)value : 0;
}

static void read_ports(const json_t *body, struct docker_container *c)
{
    json_t *ports = (json_t *)docker_json_at(body, "NetworkSettings.Ports");
    VEC(struct docker_port_binding)
    found = {0};
    const char *key; /* "80/tcp" */
    json_t *bindings;

    json_object_foreach (ports, key, bindings) {
        size_t digits = strcspn(key, "/");
        CLEANUP_FREE char *number = xstrndup(key, digits);
        size_t i;
        json_t *b;

        json_array_foreach (bindings, i, b) {
            vec_push(&found, ((struct docker_port_binding){
                                 .container_port = port_number(number),
                                 .protocol = xstrdup(key[digits] ? key + digits + 1 : "tcp"),
                                 .host_ip = docker_json_dup(b, "HostIp"),
                                 .host_port = port_number(docker_json_str(b, "HostPort")),
                             }));
        }
    }
    c->ports = found.items;
    c->port_count = found.len;
}

static char *last_health_output(const json_t *body)
{
    const json_t *log = docker_json_at(body, "State.Health.Log");
    size_t count = json_array_size(log);

    return docker_json_dup(count ? json_array_get(log, count - 1) : NULL, "Output");
}

int docker_container_inspect_json(const struct ctx *ctx, struct docker_client *docker,
                                  const char *container, json_t **ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, "containers", container, "json");
    return docker_call(ctx, docker, "GET", path.data, NULL, 0, ret, err);
}

int docker_container_inspect(const struct ctx *ctx, struct docker_client *docker,
                             const char *container, struct docker_container *ret, struct err *err)
{
    struct docker_container c;
    json_t *body;

    if (docker_container_inspect_json(ctx, docker, container, &body, err) < 0)
        return -1;
    c = (struct docker_container){
        .id = docker_json_dup(body, "Id"),
        .name = name_without_slash(docker_json_str(body, "Name")),
        .image = docker_json_dup(body, "Config.Image"),
        .image_id = docker_json_dup(body, "Image"),
        .status = docker_json_dup(body, "State.Status"),
        .error = docker_json_dup(body, "State.Error"),
        .health = docker_json_dup(body, "State.Health.Status"),
        .health_output = last_health_output(body),
        .started_at = docker_json_dup(body, "State.StartedAt"),
        .finished_at = docker_json_dup(body, "State.FinishedAt"),
        .network_mode = docker_json_dup(body, "HostConfig.NetworkMode"),
        .log_driver = docker_json_dup(body, "HostConfig.LogConfig.Type"),
        .user = docker_json_dup(body, "Config.User"),
        .workdir = docker_json_dup(body, "Config.WorkingDir"),
        .running = docker_json_bool(body, "State.Running"),
        .tty = docker_json_bool(body, "Config.Tty"),
        .oom_killed = docker_json_bool(body, "State.OOMKilled"),
        .exit_code = docker_json_int(body, "State.ExitCode"),
        .pid = docker_json_int(body, "State.Pid"),
        .restart_count = docker_json_int(body, "RestartCount"),
    };
    docker_json_strmap(body, "Config.Labels", &c.labels);
    docker_json_keys(body, "Config.ExposedPorts", &c.exposed_ports);
    read_mounts(body, &c);
    read_networks(body, &c);
    read_ports(body, &c);
    json_decref(body);
    *ret = c;
    return 0;
}

static void release_ports(struct docker_port_binding *ports, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(ports[i].protocol);
        free(ports[i].host_ip);
    }
    free(ports);
}

void docker_container_release(struct docker_container *c)
{
    char *const strings[] = {c->id,          c->name,         c->image,      c->image_id,
                             c->status,      c->error,        c->health,     c->started_at,
                             c->finished_at, c->network_mode, c->log_driver, c->user,
                             c->workdir,     c->health_output};

    for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++)
        free(strings[i]);
    strmap_release(&c->labels);
    strvec_release(&c->exposed_ports);
    for (size_t i = 0; i < c->mount_count; i++) {
        free(c->mounts[i].type);
        free(c->mounts[i].name);
        free(c->mounts[i].source);
        free(c->mounts[i].destination);
    }
    for (size_t i = 0; i < c->network_count; i++) {
        free(c->networks[i].network);
        free(c->networks[i].network_id);
        free(c->networks[i].ip_address);
        free(c->networks[i].gateway);
    }
    free(c->mounts);
    free(c->networks);
    release_ports(c->ports, c->port_count);
    *c = (struct docker_container){0};
}

static void read_entry_ports(const json_t *entry, struct docker_container_entry *e)
{
    const json_t *ports = docker_json_at(entry, "Ports");
    size_t i;
    json_t *p;

    if (!json_array_size(ports))
        return;
    e->ports = xcalloc(json_array_size(ports), sizeof(*e->ports));
    json_array_foreach (ports, i, p) {
        e->ports[e->port_count++] = (struct docker_port_binding){
            .container_port = (unsigned)docker_json_int(p, "PrivatePort"),
            .protocol = docker_json_dup(p, "Type"),
            .host_ip = docker_json_dup(p, "IP"),
            .host_port = (unsigned)docker_json_int(p, "PublicPort"),
        };
    }
}

static void add_address(const json_t *settings, const char *member, const char *network,
                        struct docker_container_entry *e)
{
    const char *address = docker_json_str(settings, member);

    if (*address)
        strmap_set(&e->addresses, address, network);
}

static void read_entry(const json_t *entry, struct docker_container_entry *e)
{
    const char *name = json_string_value(json_array_get(docker_json_at(entry, "Names"), 0));
    json_t *networks = (json_t *)docker_json_at(entry, "NetworkSettings.Networks");
    const char *network;
    json_t *settings;

    e->id = docker_json_dup(entry, "Id");
    e->name = name_without_slash(name ? name : "");
    e->image = docker_json_dup(entry, "Image");
    e->image_id = docker_json_dup(entry, "ImageID");
    e->command = docker_json_dup(entry, "Command");
    e->state = docker_json_dup(entry, "State");
    e->status = docker_json_dup(entry, "Status");
    e->created_s = docker_json_int(entry, "Created");
    docker_json_strmap(entry, "Labels", &e->labels);
    json_object_foreach (networks, network, settings) {
        strmap_set(&e->networks, network, docker_json_str(settings, "NetworkID"));
        add_address(settings, "IPAddress", network, e);
        add_address(settings, "GlobalIPv6Address", network, e);
    }
    read_entry_ports(entry, e);
}

int docker_container_list_begin(const struct ctx *ctx, struct docker_client *docker, bool all,
                                const struct docker_filter *filters, size_t filter_count,
                                struct docker_pending **ret, struct err *err)
{
    return docker_call_list_begin(ctx, docker,
                                  all ? "/containers/json?all=1" : "/containers/json?all=0",
                                  filters, filter_count, ret, err);
}

int docker_container_list_end(const struct ctx *ctx, struct docker_pending *pending,
                              struct docker_container_list *ret, struct err *err)
{
    struct docker_container_list list = {0};
    json_t *body;
    size_t i;
    json_t *entry;

    if (docker_call_end(ctx, pending, &body, err) < 0)
        return -1;
    list.items = xcalloc(json_array_size(body) + 1, sizeof(*list.items));
    json_array_foreach (body, i, entry)
        read_entry(entry, &list.items[list.len++]);
    json_decref(body);
    *ret = list;
    return 0;
}

int docker_container_list(const struct ctx *ctx, struct docker_client *docker, bool all,
                          const struct docker_filter *filters, size_t filter_count,
                          struct docker_container_list *ret, struct err *err)
{
    struct docker_pending *pending;

    if (docker_container_list_begin(ctx, docker, all, filters, filter_count, &pending, err) < 0)
        return -1;
    return docker_container_list_end(ctx, pending, ret, err);
}

void docker_container_list_release(struct docker_container_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        struct docker_container_entry *e = &list->items[i];

        free(e->id);
        free(e->name);
        free(e->image);
        free(e->image_id);
        free(e->command);
        free(e->state);
        free(e->status);
        strmap_release(&e->labels);
        strmap_release(&e->networks);
        strmap_release(&e->addresses);
        release_ports(e->ports, e->port_count);
    }
    free(list->items);
    *list = (struct docker_container_list){0};
}
