/* The networks of a stack. Only those that services are attached to are made, as `docker stack`
 * does. */
#include <string.h>

#include "base/alloc.h"
#include "compose/stack_internal.h"

#define NETWORK_DEFAULT "default"

void stack_service_networks(const json_t *service, struct strvec *out)
{
    const char *key;
    json_t *attach;

    json_object_foreach (json_object_get(service, "networks"), key, attach) {
        strvec_push(out, key);
    }
    if (!out->len)
        strvec_push(out, NETWORK_DEFAULT);
}

char *stack_network_name(const struct stack_run *run, const char *key)
{
    const char *name = compose_string(compose_network(run->project, key), "name");

    return name ? xstrdup(name) : stack_scoped(run, key);
}

/* The keys of all networks that services use. */
static void used_networks(const struct stack_run *run, struct strmap *out)
{
    const struct strvec *services = &run->project->order;

    for (size_t i = 0; i < services->len; i++) {
        CLEANUP_STRVEC struct strvec keys = {0};

        stack_service_networks(compose_service(run->project, services->items[i]), &keys);
        for (size_t k = 0; k < keys.len; k++)
            strmap_set(out, keys.items[k], "");
    }
}

static bool is_external(const struct stack_run *run, const char *key)
{
    return compose_bool(compose_network(run->project, key), "external", false);
}

/* Networks that every node has by itself; only they can be used without being of the swarm. */
static bool is_of_each_node(const char *name)
{
    return strcmp(name, "host") == 0 || strcmp(name, "none") == 0 || strcmp(name, "bridge") == 0;
}

static int check_external(struct stack_run *run, const char *key, const char *name, struct err *err)
{
    const json_t *from = compose_network(run->project, key);
    CLEANUP_DOCKER_NETWORK struct docker_network network = {0};

    if (is_of_each_node(name))
        return 0;
    if (docker_network_inspect(run->ctx, run->docker, name, &network, err) < 0) {
        if (err && err->code != ERR_NOT_FOUND)
            return -1;
        return compose_error(run->project, from, err, ERR_NOT_FOUND,
                             "there is no network \"%s\", but \"%s\" is external; make it with "
                             "\"docker network create --driver overlay %s\"",
                             name, key, name);
    }
    if (strcmp(network.scope, "swarm") != 0)
        return compose_error(run->project, from, err, ERR_CONFLICT,
                             "the external network \"%s\" is one of this node only (%s), not of "
                             "the swarm; services need a network of the driver overlay",
                             name, network.scope);
    strmap_set(&run->network_ids, name, network.id);
    return 0;
}

int stack_networks_check(struct stack_run *run, struct err *err)
{
    CLEANUP_STRMAP struct strmap keys = {0};

    used_networks(run, &keys);
    strmap_foreach (entry, &keys) {
        CLEANUP_FREE char *name = stack_network_name(run, entry->key);

        if (is_external(run, entry->key) && check_external(run, entry->key, name, err) < 0)
            return -1;
    }
    return 0;
}

/* How the network is made; lists and maps belong to *ipam and the maps. */
static struct docker_network_create recipe(const json_t *from, struct strmap *labels,
                                           struct strmap *options, struct docker_ipam_config **ipam)
{
    const json_t *list = json_object_get(json_object_get(from, "ipam"), "config");
    const char *driver = compose_string(from, "driver");
    struct docker_network_create create = {
        .driver = driver ? driver : "overlay",
        .options = options,
        .labels = labels,
        .internal = compose_bool(from, "internal", false),
        .attachable = compose_bool(from, "attachable", false),
        .enable_ipv6 = compose_bool(from, "enable_ipv6", false),
        .ipam_driver = compose_string(json_object_get(from, "ipam"), "driver"),
        .ipam_count = json_array_size(list),
    };
    size_t i;
    json_t *value;

    compose_pairs(from, "labels", labels);
    compose_pairs(from, "driver_opts", options);
    *ipam = xcalloc(create.ipam_count + 1, sizeof(**ipam));
    json_array_foreach (list, i, value) {
        (*ipam)[i].subnet = compose_string(value, "subnet");
        (*ipam)[i].gateway = compose_string(value, "gateway");
        (*ipam)[i].ip_range = compose_string(value, "ip_range");
    }
    create.ipam = *ipam;
    return create;
}

static int create_network(struct stack_run *run, const char *key, const char *name, struct err *err)
{
    const json_t *from = compose_network(run->project, key);
    CLEANUP_STRMAP struct strmap labels = {0};
    CLEANUP_STRMAP struct strmap options = {0};
    CLEANUP_FREE struct docker_ipam_config *ipam = NULL;
    CLEANUP_FREE char *id = NULL;
    struct docker_network_create create = recipe(from, &labels, &options, &ipam);

    create.name = name;
    strmap_set(&labels, STACK_LABEL_NAMESPACE, run->options->name);
    if (stack_announce(run, STACK_NETWORK, name, err) < 0)
        return -1;
    if (docker_network_create(run->ctx, run->docker, &create, &id, err) < 0) {
        if (err && err->code == ERR_CONFLICT) {
            stack_refused(run, STACK_NETWORK, name);
            return err_set(
                err, ERR_CONFLICT,
                "a network \"%s\" exists that is not of the stack %s; remove it, or give "
                "the network another name, or say that it is external",
                name, run->options->name);
        }
        return err_wrap(err, "network %s", name);
    }
    stack_record_created(run->record, STACK_NETWORK, id, name);
    strmap_set(&run->network_ids, name, id);
    return 0;
}

/* What an earlier try has found may be gone; external networks stay. */
static void forget_ours(struct stack_run *run)
{
    CLEANUP_STRMAP struct strmap keys = {0};

    used_networks(run, &keys);
    strmap_foreach (entry, &keys) {
        CLEANUP_FREE char *name = stack_network_name(run, entry->key);

        if (!is_external(run, entry->key))
            strmap_remove(&run->network_ids, name);
    }
}

int stack_networks_create(struct stack_run *run, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct docker_filter filter = stack_filter(run->options->name, &text);
    CLEANUP_DOCKER_NETWORK_LIST struct docker_network_list have = {0};
    CLEANUP_STRMAP struct strmap keys = {0};

    if (docker_network_list(run->ctx, run->docker, &filter, 1, &have, err) < 0)
        return -1;
    forget_ours(run);
    for (size_t i = 0; i < have.len; i++)
        strmap_set(&run->network_ids, have.items[i].name, have.items[i].id);
    used_networks(run, &keys);
    strmap_foreach (entry, &keys) {
        CLEANUP_FREE char *name = stack_network_name(run, entry->key);

        if (is_external(run, entry->key) || strmap_has(&run->network_ids, name))
            continue;
        if (create_network(run, entry->key, name, err) < 0)
            return -1;
    }
    return 0;
}
