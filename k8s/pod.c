#include "k8s/pod.h"

#include <string.h>

#include "base/alloc.h"
#include "base/json_text.h"
#include "k8s/pod_internal.h"

void pod_remove_empty(json_t *object)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(object, next, name, value)
    {
        if ((json_is_array(value) && !json_array_size(value)) ||
            (json_is_object(value) && !json_object_size(value)))
            json_object_del(object, name);
    }
}

/* Copies the members of a map of strings beside those that are there. */
static int add_strings(const struct setting *map, json_t *to, struct err *err)
{
    const char *name;
    json_t *value;

    if (!setting_is_object(map, err))
        return -1;
    json_object_foreach ((json_t *)map->value, name, value) {
        const struct setting item = setting_member(map, name, value);
        const json_t *old = json_object_get(to, name);

        if (!json_is_string(value))
            return setting_error(&item, err, "must be a string; put quotes around it");
        if (old && !json_equal(old, value))
            return setting_error(&item, err, "is the runner's own and cannot be changed");
        json_object_set_new(to, name, json_copy(value));
    }
    return 0;
}

static json_t *map_object(const struct strmap *map)
{
    json_t *object = json_object();

    if (!map)
        return object;
    strmap_foreach (entry, map)
        json_object_set_new(object, entry->key, json_safe_string(entry->value));
    return object;
}

/* One of the functions that put a key of `kubernetes` into a pod, given its metadata and spec. */
struct target {
    json_t *metadata;
    json_t *spec;
};

static int put_labels(const struct setting *value, const char *field, struct target *to,
                      struct err *err)
{
    return add_strings(value, json_object_get(to->metadata, field), err);
}

static int put_node_selector(const struct setting *value, const char *field, struct target *to,
                             struct err *err)
{
    return add_strings(value, json_object_get(to->spec, field), err);
}

static int put_string(const struct setting *value, const char *field, struct target *to,
                      struct err *err)
{
    if (!setting_string(value, err))
        return -1;
    return json_object_set_new(to->spec, field, json_copy((json_t *)value->value));
}

static int put_service_account(const struct setting *value, const char *field, struct target *to,
                               struct err *err)
{
    json_object_del(to->spec, "automountServiceAccountToken");
    return put_string(value, field, to, err);
}

static int put_object(const struct setting *value, const char *field, struct target *to,
                      struct err *err)
{
    if (!setting_is_object(value, err))
        return -1;
    return json_object_set_new(to->spec, field, json_deep_copy(value->value));
}

static int put_objects(const struct setting *value, const char *field, struct target *to,
                       struct err *err)
{
    if (!setting_is_array(value, err))
        return -1;
    for (size_t i = 0; i < json_array_size(value->value); i++) {
        const struct setting item = setting_item(value, i);

        if (!setting_is_object(&item, err))
            return -1;
    }
    return json_object_set_new(to->spec, field, json_deep_copy(value->value));
}

/* Appends {"name": NAME} unless it is there. */
static void add_named(json_t *array, json_t *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach (array, i, item) {
        if (json_equal(json_object_get(item, "name"), name)) {
            json_decref(name);
            return;
        }
    }
    json_array_append_new(array, json_pack("{s:o}", "name", name));
}

static int put_pull_secrets(const struct setting *value, const char *field, struct target *to,
                            struct err *err)
{
    if (!setting_is_array(value, err))
        return -1;
    for (size_t i = 0; i < json_array_size(value->value); i++) {
        const struct setting item = setting_item(value, i);

        if (!setting_string(&item, err))
            return -1;
        add_named(json_object_get(to->spec, field), json_copy((json_t *)item.value));
    }
    return 0;
}

/* The names of an address, which is added unless it is there. */
static json_t *names_of_alias(json_t *aliases, const char *ip)
{
    json_t *alias;
    json_t *names = json_array();
    size_t i;

    json_array_foreach (aliases, i, alias) {
        if (strcmp(json_string_value(json_object_get(alias, "ip")), ip) == 0) {
            json_decref(names);
            return json_object_get(alias, "hostnames");
        }
    }
    json_array_append_new(aliases,
                          json_pack("{s:o, s:o}", "ip", json_safe_string(ip), "hostnames", names));
    return names;
}

/* Takes the name. */
static void add_name(json_t *names, json_t *name)
{
    const json_t *known;
    size_t i;

    json_array_foreach (names, i, known) {
        if (json_equal(known, name)) {
            json_decref(name);
            return;
        }
    }
    json_array_append_new(names, name);
}

static int put_host_alias(const struct setting *alias, json_t *aliases, struct err *err)
{
    static const char *const known[] = {"ip", "hostnames", NULL};
    struct setting ip = setting_member(alias, "ip", json_object_get(alias->value, "ip"));
    struct setting names =
        setting_member(alias, "hostnames", json_object_get(alias->value, "hostnames"));
    json_t *to;

    if (setting_known(alias, known, err) < 0 || !setting_string(&ip, err) ||
        !setting_is_array(&names, err))
        return -1;
    to = names_of_alias(aliases, json_string_value(ip.value));
    for (size_t i = 0; i < json_array_size(names.value); i++) {
        const struct setting name = setting_item(&names, i);

        if (!setting_string(&name, err))
            return -1;
        add_name(to, json_copy((json_t *)name.value));
    }
    return 0;
}

static int put_host_aliases(const struct setting *value, const char *field, struct target *to,
                            struct err *err)
{
    if (!setting_is_array(value, err))
        return -1;
    for (size_t i = 0; i < json_array_size(value->value); i++) {
        const struct setting alias = setting_item(value, i);

        if (put_host_alias(&alias, json_object_get(to->spec, field), err) < 0)
            return -1;
    }
    return 0;
}

static int put_dns(const struct setting *value, const char *field, struct target *to,
                   struct err *err)
{
    static const char *const known[] = {"policy", "nameservers", "searches", "options", NULL};
    json_t *config;

    if (setting_known(value, known, err) < 0 ||
        setting_copy_string(value, "policy", to->spec, "dnsPolicy", err) < 0)
        return -1;
    config = json_object();
    for (size_t i = 1; known[i]; i++) {
        struct setting list;

        if (!setting_get(value, known[i], &list))
            continue;
        if (!setting_is_array(&list, err)) {
            json_decref(config);
            return -1;
        }
        json_object_set_new(config, known[i], json_deep_copy(list.value));
    }
    if (json_object_size(config))
        json_object_set(to->spec, field, config);
    json_decref(config);
    return 0;
}

/* Keys of the job's `kubernetes`; those without a function are read elsewhere. */
static const struct pod_key {
    const char *name;
    int (*put)(const struct setting *value, const char *field, struct target *to, struct err *err);
    const char *field;
} pod_keys[] = {
    {"namespace", NULL, NULL},
    {"service_account", put_service_account, "serviceAccountName"},
    {"node_selector", put_node_selector, "nodeSelector"},
    {"tolerations", put_objects, "tolerations"},
    {"affinity", put_object, "affinity"},
    {"runtime_class", put_string, "runtimeClassName"},
    {"image_pull_secrets", put_pull_secrets, "imagePullSecrets"},
    {"labels", put_labels, "labels"},
    {"annotations", put_labels, "annotations"},
    {"security_context", put_object, "securityContext"},
    {"host_aliases", put_host_aliases, "hostAliases"},
    {"dns", put_dns, "dnsConfig"},
    {"priority_class", put_string, "priorityClassName"},
    {"resources", NULL, NULL},
    {"volumes", NULL, NULL},
    {"workspace", NULL, NULL},
    {"pod_patch", NULL, NULL},
};
#define POD_KEYS (sizeof(pod_keys) / sizeof(pod_keys[0]))

bool pod_knows(const char *name)
{
    for (size_t i = 0; i < POD_KEYS; i++) {
        if (strcmp(name, pod_keys[i].name) == 0)
            return true;
    }
    return false;
}

static int put_kubernetes(const struct setting *kubernetes, struct target *to, struct err *err)
{
    const char *names[POD_KEYS + 1] = {NULL};
    struct setting value;

    for (size_t i = 0; i < POD_KEYS; i++)
        names[i] = pod_keys[i].name;
    if (!kubernetes->value)
        return 0;
    if (setting_known(kubernetes, names, err) < 0)
        return -1;
    for (size_t i = 0; i < POD_KEYS; i++) {
        const struct pod_key *key = &pod_keys[i];

        if (key->put && setting_get(kubernetes, key->name, &value) &&
            key->put(&value, key->field, to, err) < 0)
            return -1;
    }
    return 0;
}

static json_t *new_metadata(const struct pod_spec *spec)
{
    json_t *metadata =
        json_pack("{s:o, s:o, s:o, s:o}", "name", json_safe_string(spec->name), "namespace",
                  json_safe_string(spec->ns), "labels", map_object(spec->labels), "annotations",
                  map_object(spec->annotations));

    if (spec->owner_reference)
        json_object_set_new(metadata, "ownerReferences",
                            json_pack("[o]", json_deep_copy(spec->owner_reference)));
    return metadata;
}

/* What a pod has whatever its `kubernetes` says. */
static json_t *new_spec(const struct pod_spec *spec)
{
    json_t *secrets = json_array();
    json_t *aliases = json_array();
    json_t *object =
        json_pack("{s:s, s:b, s:b, s:{s:o, s:s}, s:I}", "restartPolicy", "Never",
                  "automountServiceAccountToken", 0, "enableServiceLinks", 0, "nodeSelector",
                  "kubernetes.io/arch", json_safe_string(spec->architecture), "kubernetes.io/os",
                  "linux", "terminationGracePeriodSeconds", (json_int_t)spec->grace_s);

    if (spec->active_deadline_s > 0)
        json_object_set_new(object, "activeDeadlineSeconds", json_integer(spec->active_deadline_s));
    for (const char *const *name = spec->pull_secrets; name && *name; name++)
        add_named(secrets, json_safe_string(*name));
    for (size_t i = 0; i < spec->host_alias_count; i++) {
        const struct pod_host_alias *alias = &spec->host_aliases[i];
        json_t *names = names_of_alias(aliases, alias->ip);

        for (const char *const *name = alias->names; name && *name; name++)
            add_name(names, json_safe_string(*name));
    }
    json_object_set_new(object, "imagePullSecrets", secrets);
    json_object_set_new(object, "hostAliases", aliases);
    return object;
}

bool pod_is_sidecar(const struct pod_spec *spec, const struct pod_container *container)
{
    if (!container->service || !spec->native_sidecars)
        return false;
    for (size_t i = 0; i < spec->container_count; i++) {
        if (!spec->containers[i].service)
            return true;
    }
    return false;
}

bool pod_is_leased(const struct pod_spec *spec, const struct pod_container *container)
{
    return container->service && !pod_is_sidecar(spec, container);
}

static int add_containers(struct pod_builder *b, json_t *object, struct err *err)
{
    json_t *containers = json_array();
    json_t *sidecars = json_array();

    json_object_set_new(object, "initContainers", sidecars);
    json_object_set_new(object, "containers", containers);
    for (size_t i = 0; i < b->spec->container_count; i++) {
        bool sidecar = pod_is_sidecar(b->spec, &b->spec->containers[i]);
        json_t *container;

        if (pod_container(b, i, &container, err) < 0)
            return -1;
        json_array_append_new(sidecar ? sidecars : containers, container);
    }
    return 0;
}

static json_t *build(struct pod_builder *b, struct err *err)
{
    struct target to = {new_metadata(b->spec), new_spec(b->spec)};
    json_t *pod = json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind", "Pod", "metadata",
                            to.metadata, "spec", to.spec);

    if (put_kubernetes(&b->kubernetes, &to, err) < 0 || pod_resources(b, err) < 0 ||
        pod_volumes(b, err) < 0 || add_containers(b, to.spec, err) < 0) {
        json_decref(pod);
        return NULL;
    }
    json_object_set(to.spec, "volumes", b->volumes);
    pod_remove_empty(to.metadata);
    pod_remove_empty(to.spec);
    if (pod_patch(b, &pod, err) < 0) {
        json_decref(pod);
        return NULL;
    }
    return pod;
}

static void init(struct pod_builder *b, const struct pod_spec *spec)
{
    *b = (struct pod_builder){
        .spec = spec,
        .kubernetes = {.name = "kubernetes", .value = spec->kubernetes},
        .containers = xcalloc(spec->container_count, sizeof(*b->containers)),
        .volumes = json_array(),
        .common_mounts = json_array(),
        .resources = xcalloc(spec->container_count, sizeof(*b->resources)),
    };
    if (json_is_null(spec->kubernetes))
        b->kubernetes.value = NULL;
    for (size_t i = 0; i < spec->container_count; i++) {
        const struct pod_container *c = &spec->containers[i];

        b->containers[i].name = xasprintf("container %s: kubernetes", c->name);
        if (!json_is_null(c->kubernetes))
            b->containers[i].value = c->kubernetes;
    }
}

static void release(struct pod_builder *b)
{
    for (size_t i = 0; i < b->spec->container_count; i++) {
        free((char *)b->containers[i].name);
        json_decref(b->resources[i]);
    }
    free(b->containers);
    free(b->resources);
    json_decref(b->volumes);
    json_decref(b->common_mounts);
}

json_t *pod_build(const struct pod_spec *spec, struct err *err)
{
    struct pod_builder b;
    json_t *pod;

    init(&b, spec);
    pod = build(&b, err);
    release(&b);
    return pod;
}
