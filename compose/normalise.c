/* What files leave open: defaults, names, variables of the environment. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "compose/env_file.h"
#include "compose/loader.h"
#include "compose/reader.h"

static json_t *section(json_t *model, const char *name)
{
    json_t *value = json_object_get(model, name);

    if (!json_is_object(value)) {
        value = json_object();
        json_object_set_new(model, name, value);
    }
    return value;
}

static void set_default(json_t *object, const char *name, json_t *value)
{
    if (json_object_get(object, name))
        json_decref(value);
    else
        json_object_set_new(object, name, value);
}

static void set_default_string(json_t *object, const char *name, const char *value)
{
    if (!json_object_get(object, name))
        json_object_set_new(object, name, json_string(value));
}

/* Gives names that stand for variables of the environment their values. */
static void resolve_variables(json_t *map, const struct strmap *environment, bool drop_unset)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(map, next, name, value)
    {
        const char *found = json_is_null(value) ? strmap_get(environment, name) : NULL;

        if (found)
            json_object_set_new(map, name, json_string(found));
        else if (json_is_null(value) && drop_unset)
            json_object_del(map, name);
    }
}

/* external: "NAME", from the map that is deprecated, and external: false. */
static void settle_external(json_t *resource)
{
    json_t *external = json_object_get(resource, "external");

    if (json_is_string(external)) {
        json_object_set(resource, "name", external);
        json_object_set_new(resource, "external", json_true());
    } else if (json_is_false(external)) {
        json_object_del(resource, "external");
    }
}

static void settle_contents(json_t *resources, const struct strmap *environment)
{
    const char *key;
    json_t *resource;

    json_object_foreach (resources, key, resource) {
        const char *variable = compose_string(resource, "environment");
        const char *value = variable ? strmap_get(environment, variable) : NULL;

        settle_external(resource);
        if (value)
            json_object_set_new(resource, "content", json_string(value));
    }
}

/* A volume of the local driver that is a directory: its path may be a relative one. */
static void settle_device(const struct compose_unit *unit, json_t *volume)
{
    json_t *options = json_object_get(volume, "driver_opts");
    const char *driver = compose_string(volume, "driver");
    const char *kind = compose_string(options, "o");
    const char *device = compose_string(options, "device");
    CLEANUP_FREE char *path = NULL;

    if (!driver || strcmp(driver, "local") != 0 || !kind || strcmp(kind, "bind") != 0 || !device)
        return;
    path = compose_path(unit->directory, device);
    json_object_set_new(options, "device", json_string(path));
}

void compose_unit_finish(const struct compose_unit *unit, json_t *model)
{
    const char *name;
    json_t *value;

    json_object_foreach (json_object_get(model, "services"), name, value) {
        json_t *build = json_object_get(value, "build");

        resolve_variables(json_object_get(value, "environment"), unit->environment, false);
        resolve_variables(json_object_get(build, "args"), unit->environment, true);
        if (build)
            set_default_string(build, "context", unit->directory);
    }
    json_object_foreach (json_object_get(model, "networks"), name, value)
        settle_external(value);
    json_object_foreach (json_object_get(model, "volumes"), name, value) {
        settle_external(value);
        settle_device(unit, value);
    }
    settle_contents(json_object_get(model, "secrets"), unit->environment);
    settle_contents(json_object_get(model, "configs"), unit->environment);
}

static bool has_profile(const json_t *service, const struct strvec *active)
{
    json_t *profiles = json_object_get(service, "profiles");
    json_t *profile;
    size_t i;

    if (!json_array_size(profiles))
        return true;
    for (size_t j = 0; j < active->len; j++) {
        if (strcmp(active->items[j], "*") == 0)
            return true;
        json_array_foreach (profiles, i, profile) {
            if (strcmp(json_string_value(profile), active->items[j]) == 0)
                return true;
        }
    }
    return false;
}

void compose_apply_profiles(struct compose_project *project, const struct strvec *profiles)
{
    json_t *services = section(project->model, "services");
    const char *name;
    json_t *service;
    void *next;

    json_object_foreach_safe(services, next, name, service)
    {
        if (!has_profile(service, profiles)) {
            json_object_set(project->disabled, name, service);
            json_object_del(services, name);
        }
    }
}

/* A dependency that follows from another attribute, whose value is `from`. */
static void depend(struct compose_loader *l, json_t *service, const json_t *from, const char *on,
                   size_t len, bool restart)
{
    CLEANUP_FREE char *name = xstrndup(on, len);
    json_t *dependencies = section(service, "depends_on");
    json_t *dependency;

    if (json_object_get(dependencies, name))
        return;
    dependency = json_pack("{s:s, s:b, s:b}", "condition", "service_started", "restart", restart,
                           "required", 1);
    compose_places_like(l->places, dependency, from);
    json_object_set_new(dependencies, name, dependency);
}

static void add_dependencies(struct compose_loader *l, json_t *service)
{
    static const char *const spaces[] = {"network_mode", "ipc", "pid", "uts", "cgroup"};
    json_t *item;
    size_t i;

    json_array_foreach (json_object_get(service, "links"), i, item)
        depend(l, service, item, json_string_value(item), strcspn(json_string_value(item), ":"),
               true);
    for (i = 0; i < sizeof(spaces) / sizeof(*spaces); i++) {
        const char *mode = compose_string(service, spaces[i]);

        if (mode && strncmp(mode, "service:", 8) == 0)
            depend(l, service, json_object_get(service, spaces[i]), mode + 8, strlen(mode + 8),
                   true);
    }
    json_array_foreach (json_object_get(service, "volumes_from"), i, item) {
        const char *from = json_string_value(item);

        if (strncmp(from, "container:", 10) != 0)
            depend(l, service, item, from, strcspn(from, ":"), false);
    }
}

static void settle_dependencies(struct compose_loader *l, json_t *service)
{
    const char *name;
    json_t *dependency;

    add_dependencies(l, service);
    json_object_foreach (json_object_get(service, "depends_on"), name, dependency) {
        set_default_string(dependency, "condition", "service_started");
        set_default(dependency, "required", json_true());
    }
}

/* An address that a variable may have left empty. */
static void drop_empty(json_t *list)
{
    for (size_t i = json_array_size(list); i-- > 0;) {
        if (!*json_string_value(json_array_get(list, i)))
            json_array_remove(list, i);
    }
}

static void settle_lists(json_t *service)
{
    json_t *item;
    size_t i;

    drop_empty(json_object_get(service, "dns"));

    json_array_foreach (json_object_get(service, "ports"), i, item) {
        set_default_string(item, "mode", "ingress");
        set_default_string(item, "protocol", "tcp");
    }
    json_array_foreach (json_object_get(service, "secrets"), i, item) {
        const char *source = compose_string(item, "source");

        if (!json_object_get(item, "target"))
            json_object_set_new(item, "target",
                                json_sprintf("/run/secrets/%s", source ? source : ""));
    }
    json_array_foreach (json_object_get(service, "devices"), i, item) {
        const char *source = compose_string(item, "source");

        if (source)
            set_default_string(item, "target", source);
        set_default_string(item, "permissions", "rwm");
    }
    json_array_foreach (json_object_get(service, "volumes"), i, item) {
        json_t *bind = json_object_get(item, "bind");

        if (json_is_true(json_object_get(bind, "create_host_path")))
            json_object_del(bind, "create_host_path");
    }
}

static void settle_device_requests(json_t *requests)
{
    json_t *item;
    size_t i;

    json_array_foreach (requests, i, item) {
        if (!json_object_get(item, "count") &&
            !json_array_size(json_object_get(item, "device_ids")))
            json_object_set_new(item, "count", json_integer(-1));
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

static void sort_strings(json_t *list)
{
    size_t len = json_array_size(list);
    json_t **items = xcalloc(len + 1, sizeof(*items));

    for (size_t i = 0; i < len; i++)
        items[i] = json_incref(json_array_get(list, i));
    qsort(items, len, sizeof(*items), by_text);
    for (size_t i = 0; i < len; i++)
        json_array_set_new(list, i, items[i]);
    free(items);
}

static void settle_networks(json_t *service)
{
    json_t *networks = json_object_get(service, "networks");

    if (json_object_size(networks) || json_object_get(service, "network_mode") ||
        json_object_get(service, "provider"))
        return;
    json_object_set_new(service, "networks", json_pack("{s:n}", "default"));
}

static void settle_build(json_t *build)
{
    if (!build)
        return;
    if (!json_object_get(build, "dockerfile_inline"))
        set_default_string(build, "dockerfile", "Dockerfile");
    sort_strings(json_object_get(build, "extra_hosts"));
}

static void settle_develop(json_t *develop)
{
    json_t *watch;
    size_t i;

    json_array_foreach (json_object_get(develop, "watch"), i, watch)
        set_default(section(watch, "exec"), "command", json_null());
}

static void settle_deploy(json_t *deploy)
{
    json_t *resources;

    if (!deploy)
        return;
    resources = section(deploy, "resources");
    section(deploy, "placement");
    settle_device_requests(json_object_get(json_object_get(resources, "reservations"), "devices"));
}

static void settle_service(struct compose_loader *l, json_t *service)
{
    const char *policy = compose_string(service, "pull_policy");

    if (policy && strcmp(policy, "if_not_present") == 0)
        json_object_set_new(service, "pull_policy", json_string("missing"));
    set_default(service, "command", json_null());
    set_default(service, "entrypoint", json_null());
    settle_dependencies(l, service);
    settle_lists(service);
    settle_networks(service);
    settle_build(json_object_get(service, "build"));
    settle_deploy(json_object_get(service, "deploy"));
    settle_develop(json_object_get(service, "develop"));
    settle_device_requests(json_object_get(service, "gpus"));
    sort_strings(json_object_get(service, "extra_hosts"));
}

static bool is_empty(const struct compose_attribute *a, const json_t *value)
{
    if (json_is_array(value))
        return a->form != FORM_COMMAND && json_array_size(value) == 0;
    if (json_is_object(value))
        return a->form != FORM_OBJECT && a->form != FORM_ANY && json_object_size(value) == 0;
    if (a->flags & ATTRIBUTE_KEEP)
        return false;
    return json_is_false(value) || (json_is_integer(value) && json_integer_value(value) == 0) ||
           (json_is_string(value) && !*json_string_value(value)) ||
           (a->form == FORM_BYTES && strcmp(json_string_value(value), "0") == 0) ||
           (a->form == FORM_DURATION && strcmp(json_string_value(value), "0s") == 0);
}

static void prune(const struct compose_table *table, json_t *object);

static void prune_members(const struct compose_attribute *a, json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;

    if (!a->table)
        return;
    if (a->form == FORM_OBJECT) {
        prune(a->table, value);
    } else if (json_is_array(value)) {
        json_array_foreach (value, i, member)
            prune(a->table, member);
    } else {
        json_object_foreach (value, name, member)
            prune(a->table, member);
    }
}

/* Leaves out what says nothing. */
static void prune(const struct compose_table *table, json_t *object)
{
    for (size_t i = 0; json_is_object(object) && i < table->count; i++) {
        const struct compose_attribute *a = &table->rows[i];
        json_t *value = json_object_get(object, a->name);

        if (!value)
            continue;
        prune_members(a, value);
        if (a->flags & ATTRIBUTE_HIDDEN || is_empty(a, value))
            json_object_del(object, a->name);
    }
}

/* Leaves only those of a section that are in use. */
static void keep_used(json_t *model, const char *name, const json_t *used)
{
    json_t *resources = json_object_get(model, name);
    const char *key;
    json_t *resource;
    void *next;

    json_object_foreach_safe(resources, next, key, resource)
    {
        if (!json_object_get(used, key))
            json_object_del(resources, key);
    }
    if (!json_object_size(resources))
        json_object_del(model, name);
}

static void mark_used(json_t *used, const char *section_name, const char *key)
{
    if (key)
        json_object_set_new(section(used, section_name), key, json_true());
}

static void mark_sources(json_t *used, const char *section_name, json_t *list)
{
    json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        const char *type = compose_string(item, "type");

        if (!type || strcmp(type, "volume") == 0)
            mark_used(used, section_name, compose_string(item, "source"));
    }
}

void compose_drop_unused(json_t *model)
{
    static const char *const sections[] = {"networks", "volumes", "secrets", "configs", "models"};
    json_t *used = json_object();
    const char *name;
    const char *key;
    json_t *service;
    json_t *value;

    json_object_foreach (json_object_get(model, "services"), name, service) {
        json_object_foreach (json_object_get(service, "networks"), key, value)
            mark_used(used, "networks", key);
        json_object_foreach (json_object_get(service, "models"), key, value)
            mark_used(used, "models", key);
        mark_sources(used, "volumes", json_object_get(service, "volumes"));
        mark_sources(used, "configs", json_object_get(service, "configs"));
        mark_sources(used, "secrets", json_object_get(service, "secrets"));
        mark_sources(used, "secrets",
                     json_object_get(json_object_get(service, "build"), "secrets"));
    }
    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++)
        keep_used(model, sections[i], json_object_get(used, sections[i]));
    json_decref(used);
}

static void settle_names(const struct compose_project *project, json_t *resources)
{
    const char *key;
    json_t *resource;

    json_object_foreach (resources, key, resource) {
        const char *name = compose_string(resource, "name");

        if (name && *name)
            continue;
        json_object_set_new(resource, "name",
                            json_is_true(json_object_get(resource, "external"))
                                ? json_string(key)
                                : json_sprintf("%s_%s", project->name, key));
    }
}

static void settle_resources(struct compose_project *project)
{
    static const char *const sections[] = {"networks", "volumes", "secrets", "configs"};
    const char *name;
    json_t *value;

    json_object_foreach (json_object_get(project->model, "services"), name, value) {
        if (json_object_get(json_object_get(value, "networks"), "default"))
            set_default(section(project->model, "networks"), "default", json_object());
    }
    json_object_foreach (json_object_get(project->model, "networks"), name, value)
        section(value, "ipam");
    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++)
        settle_names(project, json_object_get(project->model, sections[i]));
}

/* Under what the map has already. */
static void add_variables(json_t *service, const char *member, const struct strmap *variables)
{
    json_t *map = section(service, member);

    strmap_foreach (variable, variables) {
        if (!json_object_get(map, variable->key))
            json_object_set_new(map, variable->key, json_string(variable->value));
    }
}

static void read_env_files(struct compose_loader *l, const struct compose_project *project,
                           const char *name, json_t *service)
{
    CLEANUP_STRMAP struct strmap own = {0};
    CLEANUP_STRMAP struct strmap found = {0};
    const struct compose_env_lookup lookup = {&project->environment, &own};
    CLEANUP_FREE char *where = xasprintf("services.%s.env_file", name);
    json_t *file;
    size_t i;

    compose_pairs(service, "environment", &own);
    json_array_foreach (json_object_get(service, "env_file"), i, file) {
        const char *format = compose_string(file, "format");
        struct err err = ERR_INIT;

        if (format && strcmp(format, "raw") != 0)
            compose_complain(l, file, where, "the format \"%s\" is not known; it is raw or nothing",
                             format);
        else if (compose_env_file_read(compose_string(file, "path"), format != NULL, &lookup,
                                       &found, &err) < 0 &&
                 (err.code != ERR_NOT_FOUND || compose_bool(file, "required", true)))
            compose_complain(l, file, where, "%s", err.message);
    }
    add_variables(service, "environment", &found);
    json_object_del(service, "env_file");
}

static void read_label_files(struct compose_loader *l, const char *name, json_t *service)
{
    CLEANUP_STRMAP struct strmap found = {0};
    const struct compose_env_lookup lookup = {0};
    CLEANUP_FREE char *where = xasprintf("services.%s.label_file", name);
    json_t *file;
    size_t i;

    json_array_foreach (json_object_get(service, "label_file"), i, file) {
        struct err err = ERR_INIT;

        if (compose_env_file_read(json_string_value(file), false, &lookup, &found, &err) < 0)
            compose_complain(l, file, where, "%s", err.message);
    }
    add_variables(service, "labels", &found);
}

void compose_normalise(struct compose_loader *l, struct compose_project *project)
{
    json_t *services = section(project->model, "services");
    const char *name;
    json_t *service;

    json_object_foreach (services, name, service) {
        read_env_files(l, project, name, service);
        read_label_files(l, name, service);
        settle_service(l, service);
    }
    json_object_foreach (project->disabled, name, service) {
        settle_service(l, service);
        prune(&compose_service_table, service);
    }
    settle_resources(project);
    prune(&compose_file_table, project->model);
    section(project->model, "services");
    json_object_set_new(project->model, "name", json_string(project->name));
}
