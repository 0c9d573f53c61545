#include "apis/docker/container.h"

#include "apis/docker/path.h"
#include "base/json_at.h"
#include "base/parse.h"

static char *name_without_slash(const char *name)
{
    return xstrdup(*name == '/' ? name + 1 : name);
}

static void read_mounts(const json_t *body, struct docker_container *c)
{
    const json_t *mounts = json_at(body, "Mounts");
    size_t i;
    json_t *m;

    if (!json_array_size(mounts))
        return;
    c->mounts = xcalloc(json_array_size(mounts), sizeof(*c->mounts));
    json_array_foreach (mounts, i, m) {
        c->mounts[c->mount_count++] = (struct docker_mount_point){
            .type = json_at_dup(m, "Type"),
            .name = json_at_dup(m, "Name"),
            .source = json_at_dup(m, "Source"),
            .destination = json_at_dup(m, "Destination"),
            .writable = json_at_bool(m, "RW"),
        };
    }
}

static void read_networks(const json_t *body, struct docker_container *c)
{
    json_t *networks = (json_t *)json_at(body, "NetworkSettings.Networks");
    const char *name;
    json_t *n;

    if (!json_object_size(networks))
        return;
    c->networks = xcalloc(json_object_size(networks), sizeof(*c->networks));
    json_object_foreach (networks, name, n) {
        c->networks[c->network_count++] = (struct docker_endpoint_settings){
            .network = xstrdup(name),
            .network_id = json_at_dup(n, "NetworkID"),
            .ip_address = json_at_dup(n, "IPAddress"),
            .gateway = json_at_dup(n, "Gateway"),
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
    json_t *ports = (json_t *)json_at(body, "NetworkSettings.Ports");
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
                                 .host_ip = json_at_dup(b, "HostIp"),
                                 .host_port = port_number(json_at_string(b, "HostPort")),
                             }));
        }
    }
    c->ports = found.items;
    c->port_count = found.len;
}

static char *last_health_output(const json_t *body)
{
    const json_t *log = json_at(body, "State.Health.Log");
    size_t count = json_array_size(log);

    return json_at_dup(count ? json_array_get(log, count - 1) : NULL, "Output");
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
        .id = json_at_dup(body, "Id"),
        .name = name_without_slash(json_at_string(body, "Name")),
        .image = json_at_dup(body, "Config.Image"),
        .image_id = json_at_dup(body, "Image"),
        .status = json_at_dup(body, "State.Status"),
        .error = json_at_dup(body, "State.Error"),
        .health = json_at_dup(body, "State.Health.Status"),
        .health_output = last_health_output(body),
        .started_at = json_at_dup(body, "State.StartedAt"),
        .finished_at = json_at_dup(body, "State.FinishedAt"),
        .network_mode = json_at_dup(body, "HostConfig.NetworkMode"),
        .log_driver = json_at_dup(body, "HostConfig.LogConfig.Type"),
        .user = json_at_dup(body, "Config.User"),
        .workdir = json_at_dup(body, "Config.WorkingDir"),
        .running = json_at_bool(body, "State.Running"),
        .tty = json_at_bool(body, "Config.Tty"),
        .oom_killed = json_at_bool(body, "State.OOMKilled"),
        .exit_code = json_at_int(body, "State.ExitCode"),
        .pid = json_at_int(body, "State.Pid"),
        .restart_count = json_at_int(body, "RestartCount"),
    };
    json_at_strmap(body, "Config.Labels", &c.labels);
    json_at_keys(body, "Config.ExposedPorts", &c.exposed_ports);
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
    const json_t *ports = json_at(entry, "Ports");
    size_t i;
    json_t *p;

    if (!json_array_size(ports))
        return;
    e->ports = xcalloc(json_array_size(ports), sizeof(*e->ports));
    json_array_foreach (ports, i, p) {
        e->ports[e->port_count++] = (struct docker_port_binding){
            .container_port = (unsigned)json_at_int(p, "PrivatePort"),
            .protocol = json_at_dup(p, "Type"),
            .host_ip = json_at_dup(p, "IP"),
            .host_port = (unsigned)json_at_int(p, "PublicPort"),
        };
    }
}

static void add_address(const json_t *settings, const char *member, const char *network,
                        struct docker_container_entry *e)
{
    const char *address = json_at_string(settings, member);

    if (*address)
        strmap_set(&e->addresses, address, network);
}

static void read_entry(const json_t *entry, struct docker_container_entry *e)
{
    const char *name = json_string_value(json_array_get(json_at(entry, "Names"), 0));
    json_t *networks = (json_t *)json_at(entry, "NetworkSettings.Networks");
    const char *network;
    json_t *settings;

    e->id = json_at_dup(entry, "Id");
    e->name = name_without_slash(name ? name : "");
    e->image = json_at_dup(entry, "Image");
    e->image_id = json_at_dup(entry, "ImageID");
    e->command = json_at_dup(entry, "Command");
    e->state = json_at_dup(entry, "State");
    e->status = json_at_dup(entry, "Status");
    e->created_s = json_at_int(entry, "Created");
    json_at_strmap(entry, "Labels", &e->labels);
    json_object_foreach (networks, network, settings) {
        strmap_set(&e->networks, network, json_at_string(settings, "NetworkID"));
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
