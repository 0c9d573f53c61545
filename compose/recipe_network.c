/* Networks, names and ports of a service, and the networks themselves. */
#include "compose/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "compose/hash.h"

/* "container:alias" for every container of a linked service, by each of its names. Networks know
 * containers by their names, not by their ids. */
static void add_link(const struct compose_recipe_request *request, const char *link,
                     struct strvec *out)
{
    size_t len = strcspn(link, ":");
    CLEANUP_FREE char *service = xstrndup(link, len);
    const char *alias = link[len] ? link + len + 1 : service;
    int64_t count = compose_scale(compose_service(request->project, service));

    for (int number = 1; number <= count; number++) {
        CLEANUP_FREE char *container = compose_container_name(request->project, service, number);

        strvec_pushf(out, "%s:%s", container, alias);
        strvec_pushf(out, "%s:%s-%d", container, service, number);
        strvec_pushf(out, "%s:%s-%s-%d", container, request->project->name, service, number);
    }
}

static void add_links(const struct compose_recipe_request *request, const json_t *service,
                      struct strvec *out)
{
    CLEANUP_STRVEC struct strvec links = {0};
    CLEANUP_STRVEC struct strvec external = {0};

    (void)compose_strings(service, "links", &links);
    (void)compose_strings(service, "external_links", &external);
    for (size_t i = 0; i < links.len; i++)
        add_link(request, links.items[i], out);
    for (size_t i = 0; i < external.len; i++) {
        const char *link = external.items[i];

        if (strchr(link, ':'))
            strvec_push(out, link);
        else
            strvec_pushf(out, "%s:%s", link, link);
    }
}

struct attachment {
    const char *key;
    const json_t *settings;
    int64_t priority;
};

static int by_priority(const void *left, const void *right)
{
    const struct attachment *a = left;
    const struct attachment *b = right;

    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    return strcmp(a->key, b->key);
}

static void attach(const struct compose_recipe_request *request, const json_t *service,
                   const struct attachment *attachment, struct compose_recipe *r)
{
    const json_t *network = compose_network(request->project, attachment->key);
    struct strvec *aliases = compose_recipe_strings(r);
    struct strvec *links = compose_recipe_strings(r);
    struct strvec *local = compose_recipe_strings(r);
    struct strmap *options = compose_recipe_map(r);
    const char *mac = compose_string(attachment->settings, "mac_address");
    const char *interface = compose_string(attachment->settings, "interface_name");

    strvec_push(aliases, r->create.name);
    strvec_push(aliases, request->service);
    (void)compose_strings(attachment->settings, "aliases", aliases);
    add_links(request, service, links);
    compose_pairs(attachment->settings, "driver_opts", options);
    if (interface)
        strmap_set(options, "com.docker.network.endpoint.ifname", interface);
    (void)compose_strings(attachment->settings, "link_local_ips", local);
    if (!mac && !r->networks.len)
        mac = compose_string(service, "mac_address");
    vec_push(&r->networks,
             ((struct docker_network_attach){
                 .network = compose_string(network, "name"),
                 .aliases = (const char *const *)aliases->items,
                 .links = (const char *const *)links->items,
                 .ipv4_address = compose_string(attachment->settings, "ipv4_address"),
                 .ipv6_address = compose_string(attachment->settings, "ipv6_address"),
                 .link_local_ips = (const char *const *)local->items,
                 .mac_address = mac,
                 .driver_options = options,
                 .gateway_priority = (int)compose_int(attachment->settings, "gw_priority", 0),
             }));
}

static void add_networks(const struct compose_recipe_request *request, const json_t *service,
                         struct compose_recipe *r)
{
    json_t *networks = json_object_get(service, "networks");
    VEC(struct attachment)
    attachments = {0};
    const char *key;
    json_t *settings;

    json_object_foreach (networks, key, settings)
        vec_push(&attachments,
                 ((struct attachment){key, settings, compose_int(settings, "priority", 0)}));
    if (attachments.len)
        qsort(attachments.items, attachments.len, sizeof(*attachments.items), by_priority);
    vec_foreach (const struct attachment *, attachment, &attachments)
        attach(request, service, attachment, r);
    vec_release(&attachments);
    r->create.networks = r->networks.items;
    r->create.network_count = r->networks.len;
}

static void port_range(const char *text, unsigned *first, unsigned *last)
{
    CLEANUP_FREE char *start = text ? xstrndup(text, strcspn(text, "-/")) : NULL;
    const char *dash = text ? strchr(text, '-') : NULL;
    CLEANUP_FREE char *end = dash ? xstrndup(dash + 1, strcspn(dash + 1, "/")) : NULL;
    int64_t number = 0;

    *first = *last = 0;
    if (!start || parse_int64(start, &number, NULL) < 0)
        return;
    *first = *last = (unsigned)number;
    if (end && parse_int64(end, &number, NULL) == 0)
        *last = (unsigned)number;
}

static void add_ports(const json_t *service, struct compose_recipe *r)
{
    CLEANUP_STRVEC struct strvec exposed = {0};
    size_t i;
    json_t *port;

    (void)compose_strings(service, "expose", &exposed);
    for (i = 0; i < exposed.len; i++) {
        const char *slash = strchr(exposed.items[i], '/');
        unsigned first;
        unsigned last;

        port_range(exposed.items[i], &first, &last);
        for (unsigned number = first; number && number <= last; number++)
            vec_push(&r->ports,
                     ((struct docker_port){
                         .container_port = number,
                         .protocol = slash ? compose_recipe_text(r, "%s", slash + 1) : NULL,
                         .expose_only = true,
                     }));
    }
    json_array_foreach (json_object_get(service, "ports"), i, port) {
        struct docker_port p = {.container_port = (unsigned)compose_int(port, "target", 0),
                                .protocol = compose_string(port, "protocol"),
                                .host_ip = compose_string(port, "host_ip")};

        port_range(compose_string(port, "published"), &p.host_port, &p.host_port_end);
        vec_push(&r->ports, p);
    }
    r->create.ports = r->ports.items;
    r->create.port_count = r->ports.len;
}

void compose_recipe_networks(const struct compose_recipe_request *request, const json_t *service,
                             struct compose_recipe *r)
{
    struct docker_create *c = &r->create;
    const char *mode = compose_string(service, "network_mode");
    struct strvec *hosts = &r->lists[RECIPE_EXTRA_HOSTS];
    CLEANUP_STRVEC struct strvec given = {0};

    add_ports(service, r);
    c->mac_address = compose_string(service, "mac_address");
    if (mode) {
        c->network_mode = compose_recipe_namespace(request, r, mode);
        add_links(request, service, &r->lists[RECIPE_LINKS]);
        c->links = (const char *const *)r->lists[RECIPE_LINKS].items;
    } else {
        add_networks(request, service, r);
        if (!r->networks.len)
            c->network_mode = "none";
    }
    (void)compose_strings(service, "extra_hosts", &given);
    for (size_t i = 0; i < given.len; i++) {
        size_t len = strcspn(given.items[i], "=");

        strvec_pushf(hosts, "%.*s:%s", (int)len, given.items[i],
                     given.items[i][len] ? given.items[i] + len + 1 : "");
    }
    c->extra_hosts = (const char *const *)hosts->items;
}

/* --- networks and volumes themselves --- */

static void project_labels(const struct compose_project *project, const json_t *object,
                           const char *own_label, const char *key, struct strmap *labels)
{
    char hash[COMPOSE_HASH_SIZE];

    compose_pairs(object, "labels", labels);
    compose_object_hash(object, hash);
    strmap_set(labels, COMPOSE_LABEL_PROJECT, project->name);
    strmap_set(labels, own_label, key);
    strmap_set(labels, COMPOSE_LABEL_VERSION, COMPOSE_VERSION);
    strmap_set(labels, COMPOSE_LABEL_HASH, hash);
}

void compose_network_recipe_make(const struct compose_project *project, const char *key,
                                 struct compose_network_recipe *ret)
{
    const json_t *network = compose_network(project, key);
    const json_t *ipam = json_object_get(network, "ipam");
    const json_t *config = json_object_get(ipam, "config");
    size_t count = json_array_size(config);
    char hash[COMPOSE_HASH_SIZE];
    size_t i;
    json_t *entry;

    project_labels(project, network, COMPOSE_LABEL_NETWORK, key, &ret->labels);
    compose_network_hash(network, hash);
    strmap_set(&ret->labels, COMPOSE_LABEL_CONFIG_HASH, hash);
    compose_pairs(network, "driver_opts", &ret->options);
    compose_pairs(ipam, "options", &ret->ipam_options);
    ret->ipam = xcalloc(count + 1, sizeof(*ret->ipam));
    ret->aux = xcalloc(count + 1, sizeof(*ret->aux));
    json_array_foreach (config, i, entry) {
        compose_pairs(entry, "aux_addresses", &ret->aux[i]);
        ret->ipam[i] = (struct docker_ipam_config){
            .subnet = compose_string(entry, "subnet"),
            .gateway = compose_string(entry, "gateway"),
            .ip_range = compose_string(entry, "ip_range"),
            .aux_addresses = &ret->aux[i],
        };
    }
    ret->create = (struct docker_network_create){
        .name = compose_string(network, "name"),
        .driver = compose_string(network, "driver"),
        .options = &ret->options,
        .labels = &ret->labels,
        .internal = compose_bool(network, "internal", false),
        .attachable = compose_bool(network, "attachable", false),
        .enable_ipv6 = compose_bool(network, "enable_ipv6", false),
        .disable_ipv4 = !compose_bool(network, "enable_ipv4", true),
        .ipam_driver = compose_string(ipam, "driver"),
        .ipam_options = ret->ipam_options.len ? &ret->ipam_options : NULL,
        .ipam = ret->ipam,
        .ipam_count = count,
    };
}

void compose_network_recipe_release(struct compose_network_recipe *recipe)
{
    for (size_t i = 0; i < recipe->create.ipam_count; i++)
        strmap_release(&recipe->aux[i]);
    free(recipe->aux);
    free(recipe->ipam);
    strmap_release(&recipe->labels);
    strmap_release(&recipe->options);
    strmap_release(&recipe->ipam_options);
    *recipe = (struct compose_network_recipe){0};
}

void compose_volume_recipe_make(const struct compose_project *project, const char *key,
                                struct compose_volume_recipe *ret)
{
    const json_t *volume = compose_volume(project, key);
    char hash[COMPOSE_HASH_SIZE];

    project_labels(project, volume, COMPOSE_LABEL_VOLUME, key, &ret->labels);
    compose_volume_hash(volume, hash);
    strmap_set(&ret->labels, COMPOSE_LABEL_CONFIG_HASH, hash);
    compose_pairs(volume, "driver_opts", &ret->options);
    ret->create = (struct docker_volume_create){
        .name = compose_string(volume, "name"),
        .driver = compose_string(volume, "driver"),
        .options = &ret->options,
        .labels = &ret->labels,
    };
}

void compose_volume_recipe_release(struct compose_volume_recipe *recipe)
{
    strmap_release(&recipe->labels);
    strmap_release(&recipe->options);
    *recipe = (struct compose_volume_recipe){0};
}
