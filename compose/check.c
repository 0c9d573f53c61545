/* What only the whole project shows: names that do not exist, attributes that exclude each other.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/nearest.h"
#include "base/text_index.h"
#include "compose/loader.h"
#include "compose/reader.h"

struct checker {
    struct compose_loader *l;
    const struct compose_project *project;
    const char *name; /* of the service */
    json_t *service;
};

static void complain(struct checker *c, const json_t *at, const char *member, const char *message)
{
    CLEANUP_FREE char *path = xasprintf("services.%s.%s", c->name, member);

    compose_complain(c->l, at ? at : c->service, path, "%s", message);
}

/* A name that must be in a section of the model. */
static void check_name(struct checker *c, const json_t *at, const char *member,
                       const char *sections, const char *what, const char *name)
{
    json_t *known = json_object_get(c->project->model, sections);
    struct nearest nearest = {.text = name};
    CLEANUP_BUF struct buf message = BUF_INIT;
    const char *key;
    json_t *value;

    if (json_object_get(known, name))
        return;
    json_object_foreach (known, key, value)
        nearest_offer(&nearest, key);
    buf_addf(&message, "the %s \"%s\" is not defined", what, name);
    if (nearest.best)
        buf_addf(&message, "; did you mean \"%s\"?", nearest.best);
    else if (strcmp(sections, "services") != 0)
        buf_addf(&message, "; add it under \"%s\" at the top", sections);
    complain(c, at, member, message.data);
}

static void check_networks(struct checker *c)
{
    json_t *networks = json_object_get(c->service, "networks");
    const char *key;
    json_t *value;

    if (json_object_get(c->service, "network_mode") && networks)
        complain(c, networks, "networks", "\"network_mode\" and \"networks\" exclude each other");
    json_object_foreach (networks, key, value)
        check_name(c, json_is_null(value) ? networks : value, "networks", "networks", "network",
                   key);
}

static void check_volumes(struct checker *c)
{
    json_t *volumes = json_object_get(c->service, "volumes");
    json_t *volume;
    size_t i;

    json_array_foreach (volumes, i, volume) {
        const char *type = compose_string(volume, "type");
        const char *source = compose_string(volume, "source");

        if (type && strcmp(type, "volume") == 0 && source)
            check_name(c, volume, "volumes", "volumes", "volume", source);
    }
}

static void check_mounts(struct checker *c)
{
    CLEANUP_TEXT_INDEX struct text_index targets = {0};
    json_t *item;
    size_t i;
    uint32_t other;

    json_array_foreach (json_object_get(c->service, "tmpfs"), i, item) {
        const char *path = json_string_value(item);
        size_t len = strcspn(path, ":");

        text_index_set(&targets, path, len, (uint32_t)i);
    }
    json_array_foreach (json_object_get(c->service, "volumes"), i, item) {
        const char *target = compose_string(item, "target");

        if (target && text_index_find(&targets, target, strlen(target), &other)) {
            CLEANUP_FREE char *message =
                xasprintf("something else is mounted at %s already", target);

            complain(c, item, "volumes", message);
        } else if (target) {
            text_index_set(&targets, target, strlen(target), (uint32_t)i);
        }
    }
}

static void check_files(struct checker *c, json_t *list, const char *member, const char *sections,
                        const char *what)
{
    json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        const char *source = compose_string(item, "source");

        if (source)
            check_name(c, item, member, sections, what, source);
        else
            complain(c, item, member, "there is no \"source\"");
    }
}

static void check_dependencies(struct checker *c)
{
    json_t *dependencies = json_object_get(c->service, "depends_on");
    const char *name;
    json_t *dependency;

    json_object_foreach (dependencies, name, dependency) {
        const json_t *at = compose_places_get(c->l->places, dependency) ? dependency : dependencies;

        if (!json_object_get(c->project->disabled, name)) {
            check_name(c, at, "depends_on", "services", "service", name);
        } else if (compose_bool(dependency, "required", true)) {
            CLEANUP_FREE char *message = xasprintf(
                "it depends on \"%s\", whose profile is not active; activate it with --profile",
                name);

            complain(c, at, "depends_on", message);
        }
    }
}

static void check_healthcheck(struct checker *c)
{
    json_t *test = json_object_get(json_object_get(c->service, "healthcheck"), "test");
    const char *first = json_string_value(json_array_get(test, 0));

    if (first && strcmp(first, "CMD") != 0 && strcmp(first, "CMD-SHELL") != 0 &&
        strcmp(first, "NONE") != 0)
        complain(c, test, "healthcheck.test", "must begin with \"CMD\", \"CMD-SHELL\" or \"NONE\"");
}

static void check_build(struct checker *c)
{
    json_t *build = json_object_get(c->service, "build");
    const char *platform = compose_string(c->service, "platform");
    json_t *platforms = json_object_get(build, "platforms");
    bool found = !platform || !json_array_size(platforms);
    json_t *item;
    size_t i;

    if (!build && !compose_string(c->service, "image") && !json_object_get(c->service, "provider"))
        compose_complain(c->l, c->service, "services",
                         "the service \"%s\" has neither \"image\" nor \"build\"", c->name);
    if (compose_string(build, "dockerfile") && compose_string(build, "dockerfile_inline"))
        complain(c, build, "build", "\"dockerfile\" and \"dockerfile_inline\" exclude each other");
    json_array_foreach (platforms, i, item)
        found = found || strcmp(json_string_value(item), platform) == 0;
    if (!found)
        complain(c, platforms, "build.platforms", "must have the service's \"platform\" in it");
    check_files(c, json_object_get(build, "secrets"), "build.secrets", "secrets", "secret");
}

/* Two attributes that say the same must not differ. */
static void check_same(struct checker *c, const char *name, const json_t *object,
                       const char *member, const char *path)
{
    const json_t *one = json_object_get(c->service, name);
    const json_t *other = json_object_get(object, member);
    CLEANUP_FREE char *message = NULL;

    if (!one || !other || json_equal(one, other))
        return;
    message = xasprintf("\"%s\" and \"%s\" say different things; leave one out", name, path);
    complain(c, one, name, message);
}

static void check_resources(struct checker *c)
{
    json_t *deploy = json_object_get(c->service, "deploy");
    json_t *resources = json_object_get(deploy, "resources");
    json_t *limits = json_object_get(resources, "limits");
    json_t *reservations = json_object_get(resources, "reservations");

    check_same(c, "scale", deploy, "replicas", "deploy.replicas");
    check_same(c, "cpus", limits, "cpus", "deploy.resources.limits.cpus");
    check_same(c, "mem_limit", limits, "memory", "deploy.resources.limits.memory");
    check_same(c, "pids_limit", limits, "pids", "deploy.resources.limits.pids");
    check_same(c, "mem_reservation", reservations, "memory",
               "deploy.resources.reservations.memory");
    if (compose_scale(c->service) < 0)
        complain(c, NULL, "scale", "cannot be negative");
    if (compose_scale(c->service) > 1 && compose_string(c->service, "container_name"))
        complain(c, NULL, "container_name",
                 "cannot be given for more than one container; remove it, or \"scale\"");
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

static void check_policies(struct checker *c)
{
    static const char *const policies[] = {"always",  "never", "missing", "build",
                                           "refresh", "daily", "weekly",  NULL};
    static const char *const restarts[] = {"no", "always", "on-failure", "unless-stopped", NULL};
    const char *policy = compose_string(c->service, "pull_policy");
    const char *restart = compose_string(c->service, "restart");
    int64_t every_ns;

    if (policy && !is_one_of(policy, policies) &&
        !compose_refresh_interval(policy, &every_ns, NULL))
        complain(c, json_object_get(c->service, "pull_policy"), "pull_policy",
                 "is one of always, never, missing, build, daily, weekly, every_DURATION");
    if (restart && *restart && !is_one_of(restart, restarts) &&
        strncmp(restart, "on-failure:", 11) != 0)
        complain(c, json_object_get(c->service, "restart"), "restart",
                 "is one of no, always, on-failure, on-failure:COUNT, unless-stopped");
}

static void check_container_name(struct checker *c)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    const char *name = compose_string(c->service, "container_name");

    if (name && (strlen(name) < 2 || strchr("_.-", *name) || name[strspn(name, letters)]))
        complain(c, json_object_get(c->service, "container_name"), "container_name",
                 "must begin with a letter or digit and go on with letters, digits, \"_\", \".\" "
                 "or \"-\"");
}

static void check_service(struct checker *c)
{
    check_build(c);
    check_networks(c);
    check_volumes(c);
    check_mounts(c);
    check_files(c, json_object_get(c->service, "secrets"), "secrets", "secrets", "secret");
    check_files(c, json_object_get(c->service, "configs"), "configs", "configs", "config");
    check_dependencies(c);
    check_healthcheck(c);
    check_resources(c);
    check_policies(c);
    check_container_name(c);
}

/* Container names are the engine's: no two services can have the same. */
static void check_container_names(struct compose_loader *l, const struct compose_project *project)
{
    CLEANUP_STRMAP struct strmap users = {0};
    const char *name;
    json_t *service;

    json_object_foreach (json_object_get(project->model, "services"), name, service) {
        const char *container = compose_string(service, "container_name");
        const char *other = container ? strmap_get(&users, container) : NULL;
        CLEANUP_FREE char *path = xasprintf("services.%s.container_name", name);

        if (other)
            compose_complain(l, json_object_get(service, "container_name"), path,
                             "the service \"%s\" has the container name \"%s\", too", other,
                             container);
        else if (container)
            strmap_set(&users, container, name);
    }
}

static void check_external(struct compose_loader *l, const char *path, json_t *resource)
{
    const char *member;
    json_t *value;

    if (!json_is_true(json_object_get(resource, "external")))
        return;
    json_object_foreach (resource, member, value) {
        bool allowed = strcmp(member, "name") == 0 || strcmp(member, "external") == 0 ||
                       strncmp(member, "x-", 2) == 0 ||
                       (strcmp(member, "ipam") == 0 && !json_object_size(value));

        if (!allowed)
            compose_complain(l, resource, path,
                             "what is external is not made here and cannot have \"%s\"", member);
    }
}

static void check_source(struct compose_loader *l, const char *path, json_t *resource, bool config)
{
    size_t count = (json_object_get(resource, "file") != NULL) +
                   (json_object_get(resource, "environment") != NULL) +
                   (config && json_object_get(resource, "content") &&
                    !json_object_get(resource, "environment"));

    if (json_is_true(json_object_get(resource, "external")) || json_object_get(resource, "driver"))
        return;
    if (count != 1)
        compose_complain(l, resource, path, "must have %s of \"file\", \"environment\"%s",
                         count ? "only one" : "one", config ? " and \"content\"" : "");
}

static void check_section(struct compose_loader *l, const struct compose_project *project,
                          const char *name)
{
    bool config = strcmp(name, "configs") == 0;
    const char *key;
    json_t *resource;

    json_object_foreach (json_object_get(project->model, name), key, resource) {
        CLEANUP_FREE char *path = xasprintf("%s.%s", name, key);

        check_external(l, path, resource);
        if (config || strcmp(name, "secrets") == 0)
            check_source(l, path, resource, config);
    }
}

void compose_check(struct compose_loader *l, struct compose_project *project)
{
    struct checker c = {.l = l, .project = project};

    json_object_foreach (json_object_get(project->model, "services"), c.name, c.service)
        check_service(&c);
    check_container_names(l, project);
    check_section(l, project, "networks");
    check_section(l, project, "volumes");
    check_section(l, project, "secrets");
    check_section(l, project, "configs");
}
