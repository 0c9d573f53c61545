#include "apis/docker/network.h"

#include "apis/docker/body.h"
#include "apis/docker/path.h"
#include "base/json_at.h"

/* From then on names are always unique, and CheckDuplicate is gone. */
enum { API_UNIQUE_NAMES = 44 };

static void add_ipam(struct body *b, const struct docker_network_create *o)
{
    json_t *ipam;
    json_t *list;

    if (!o->ipam_count && !o->ipam_driver && !o->ipam_options)
        return;
    ipam = body_object(b, NULL, "IPAM");
    body_str(b, ipam, "Driver", o->ipam_driver);
    body_map(b, ipam, "Options", o->ipam_options);
    list = json_array();
    for (size_t i = 0; i < o->ipam_count; i++) {
        json_t *config = json_object();

        body_str(b, config, "Subnet", o->ipam[i].subnet);
        body_str(b, config, "Gateway", o->ipam[i].gateway);
        body_str(b, config, "IPRange", o->ipam[i].ip_range);
        body_map(b, config, "AuxiliaryAddresses", o->ipam[i].aux_addresses);
        json_array_append_new(list, config);
    }
    json_object_set_new(ipam, "Config", list);
}

int docker_network_create(const struct ctx *ctx, struct docker_client *docker,
                          const struct docker_network_create *o, char **ret_id, struct err *err)
{
    struct body b;
    json_t *body;
    json_t *answer;
    int result;

    if (!docker_client_api_minor(docker) && docker_client_ping(ctx, docker, err) < 0)
        return -1;
    body_init(&b);
    body_str(&b, b.root, "Name", o->name);
    body_str(&b, b.root, "Driver", o->driver);
    body_str(&b, b.root, "Scope", o->scope);
    body_map(&b, NULL, "Options", o->options);
    body_map(&b, NULL, "Labels", o->labels);
    body_true(b.root, "Internal", o->internal);
    body_true(b.root, "Attachable", o->attachable);
    body_true(b.root, "EnableIPv6", o->enable_ipv6);
    if (o->disable_ipv4 && docker_client_api_minor(docker) >= 48)
        json_object_set_new(b.root, "EnableIPv4", json_false());
    body_true(b.root, "CheckDuplicate", docker_client_api_minor(docker) < API_UNIQUE_NAMES);
    add_ipam(&b, o);
    body = body_done(&b, err);
    if (!body)
        return -1;
    result = docker_call_create(ctx, docker, "/networks/create", body, &answer, err);
    json_decref(body);
    if (result < 0)
        return -1;
    *ret_id = json_at_dup(answer, "Id");
    json_decref(answer);
    return 0;
}

static struct docker_network read_network(const json_t *body)
{
    struct docker_network n = {
        .id = json_at_dup(body, "Id"),
        .name = json_at_dup(body, "Name"),
        .driver = json_at_dup(body, "Driver"),
        .scope = json_at_dup(body, "Scope"),
        .created = json_at_dup(body, "Created"),
        .internal = json_at_bool(body, "Internal"),
    };
    json_t *containers = (json_t *)json_at(body, "Containers");
    const char *id;
    json_t *container;

    json_at_strmap(body, "Labels", &n.labels);
    json_object_foreach (containers, id, container) {
        strmap_set(&n.containers, id, json_at_string(container, "Name"));
    }
    return n;
}

int docker_network_inspect(const struct ctx *ctx, struct docker_client *docker, const char *network,
                           struct docker_network *ret, struct err *err)
{
    json_t *body;

    if (docker_call_inspect(ctx, docker, "networks", network, &body, err) < 0)
        return -1;
    *ret = read_network(body);
    json_decref(body);
    return 0;
}

int docker_network_describe(const struct ctx *ctx, struct docker_client *docker,
                            const char *network, json_t **ret, struct err *err)
{
    static const char *const members[] = {"Name",       "Driver",     "Options",    "Labels",
                                          "Internal",   "Attachable", "EnableIPv4", "EnableIPv6",
                                          "ConfigFrom", "IPAM"};
    json_t *body;

    if (docker_call_inspect(ctx, docker, "networks", network, &body, err) < 0)
        return -1;
    *ret = json_object();
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        json_t *value = json_object_get(body, members[i]);

        if (value && !json_is_null(value))
            json_object_set(*ret, members[i], value);
    }
    /* The name "" is that of no network. */
    if (!*json_at_string(*ret, "ConfigFrom.Network"))
        json_object_del(*ret, "ConfigFrom");
    json_decref(body);
    return 0;
}

int docker_network_restore(const struct ctx *ctx, struct docker_client *docker,
                           const json_t *description, struct err *err)
{
    json_t *body = json_copy((json_t *)description);
    json_t *answer;
    int result;

    if (docker_client_api_minor(docker) < API_UNIQUE_NAMES)
        json_object_set_new(body, "CheckDuplicate", json_true());
    result = docker_call_create(ctx, docker, "/networks/create", body, &answer, err);
    json_decref(body);
    if (result == 0)
        json_decref(answer);
    return result;
}

int docker_network_list_begin(const struct ctx *ctx, struct docker_client *docker,
                              const struct docker_filter *filters, size_t filter_count,
                              struct docker_pending **ret, struct err *err)
{
    return docker_call_list_begin(ctx, docker, "/networks", filters, filter_count, ret, err);
}

int docker_network_list_end(const struct ctx *ctx, struct docker_pending *pending,
                            struct docker_network_list *ret, struct err *err)
{
    json_t *body;
    json_t *entry;
    size_t i;

    if (docker_call_end(ctx, pending, &body, err) < 0)
        return -1;
    ret->items = xcalloc(json_array_size(body) + 1, sizeof(*ret->items));
    ret->len = json_array_size(body);
    json_array_foreach (body, i, entry) {
        ret->items[i] = read_network(entry);
    }
    json_decref(body);
    return 0;
}

int docker_network_list(const struct ctx *ctx, struct docker_client *docker,
                        const struct docker_filter *filters, size_t filter_count,
                        struct docker_network_list *ret, struct err *err)
{
    struct docker_pending *pending;

    if (docker_network_list_begin(ctx, docker, filters, filter_count, &pending, err) < 0)
        return -1;
    return docker_network_list_end(ctx, pending, ret, err);
}

void docker_network_release(struct docker_network *n)
{
    free(n->id);
    free(n->name);
    free(n->driver);
    free(n->scope);
    free(n->created);
    strmap_release(&n->labels);
    strmap_release(&n->containers);
    *n = (struct docker_network){0};
}

void docker_network_list_release(struct docker_network_list *list)
{
    for (size_t i = 0; i < list->len; i++)
        docker_network_release(&list->items[i]);
    free(list->items);
    *list = (struct docker_network_list){0};
}

int docker_network_remove(const struct ctx *ctx, struct docker_client *docker, const char *network,
                          struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, "networks", network, NULL);
    return docker_call(ctx, docker, "DELETE", path.data, NULL, 0, NULL, err);
}

int docker_network_connect(const struct ctx *ctx, struct docker_client *docker,
                           const char *container, const struct docker_network_attach *attach,
                           struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    json_t *endpoint;
    json_t *body;
    int result;

    if (!docker_client_api_minor(docker) && docker_client_ping(ctx, docker, err) < 0)
        return -1;
    endpoint = docker_create_endpoint(attach, docker_client_api_minor(docker), err);
    if (!endpoint)
        return -1;
    body = json_pack("{s:s, s:o}", "Container", container, "EndpointConfig", endpoint);
    docker_path(&path, "networks", attach->network, "connect");
    result = docker_call(ctx, docker, "POST", path.data, body, 0, NULL, err);
    json_decref(body);
    return result;
}

int docker_network_disconnect(const struct ctx *ctx, struct docker_client *docker,
                              const char *network, const char *container, bool force,
                              struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    json_t *body = json_pack("{s:s, s:b}", "Container", container, "Force", force);
    int result;

    docker_path(&path, "networks", network, "disconnect");
    result = docker_call(ctx, docker, "POST", path.data, body, 0, NULL, err);
    json_decref(body);
    return result;
}
