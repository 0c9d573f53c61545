/* What would only fail, or be left out in silence, once containers have been stopped for it. */
#include "compose/precheck.h"

#include <string.h>

#include "base/alloc.h"
#include "compose/recipe.h"

struct precheck {
    struct compose_session *session;
    const char *name; /* of the service */
    const json_t *service;
    int api_minor;
};

static const struct compose_project *project_of(const struct precheck *p)
{
    return p->session->project;
}

/* --- what daemons learnt one by one --- */

struct feature {
    const char *name;
    const char *engine; /* the first that has it */
    int api_minor;
    bool refused; /* leaving it out would be worse than an error */
};

static const struct feature annotations = {"annotations", "24", 43, false};
static const struct feature start_interval = {"healthcheck.start_interval", "25", 44, false};
static const struct feature readonly_mounts = {"bind.recursive: readonly", "25", 44, true};
static const struct feature subpath = {"volume.subpath", "26", 45, true};
static const struct feature gateway_priority = {"gw_priority", "28", 48, false};
static const struct feature interface_name = {"interface_name", "28.1", 49, true};

static int need(const struct precheck *p, const struct feature *feature, const json_t *at,
                struct err *err)
{
    if (p->api_minor >= feature->api_minor)
        return 0;
    if (feature->refused)
        return compose_error(project_of(p), at, err, ERR_UNSUPPORTED,
                             "service \"%s\": %s needs Docker Engine %s; this one is older",
                             p->name, feature->name, feature->engine);
    compose_warn(p->session, "service \"%s\": %s is ignored: it needs Docker Engine %s", p->name,
                 feature->name, feature->engine);
    return 0;
}

static int need_if(const struct precheck *p, const json_t *object, const char *member,
                   const struct feature *feature, struct err *err)
{
    return json_object_get(object, member) ? need(p, feature, object, err) : 0;
}

static int check_mount(const struct precheck *p, const json_t *mount, struct err *err)
{
    const json_t *bind = json_object_get(mount, "bind");
    const char *recursive = compose_string(bind, "recursive");

    if (recursive && strcmp(recursive, "readonly") == 0 &&
        need(p, &readonly_mounts, mount, err) < 0)
        return -1;
    return need_if(p, json_object_get(mount, "volume"), "subpath", &subpath, err);
}

static int check_features(const struct precheck *p, struct err *err)
{
    const char *key;
    json_t *value;
    size_t i;

    if (need_if(p, p->service, "annotations", &annotations, err) < 0 ||
        need_if(p, json_object_get(p->service, "healthcheck"), "start_interval", &start_interval,
                err) < 0)
        return -1;
    json_object_foreach (json_object_get(p->service, "networks"), key, value) {
        if (need_if(p, value, "interface_name", &interface_name, err) < 0 ||
            need_if(p, value, "gw_priority", &gateway_priority, err) < 0)
            return -1;
    }
    json_array_foreach (json_object_get(p->service, "volumes"), i, value) {
        if (check_mount(p, value, err) < 0)
            return -1;
    }
    return 0;
}

/* --- the service itself --- */

/* "nvidia.com/gpu=all": the name of a device that a vendor's specification describes. */
static int check_devices(const struct precheck *p, struct err *err)
{
    size_t i;
    json_t *device;

    json_array_foreach (json_object_get(p->service, "devices"), i, device) {
        const char *source = compose_string(device, "source");

        if (*source != '/' && strchr(source, '/') && strchr(source, '='))
            return compose_error(project_of(p), device, err, ERR_UNSUPPORTED,
                                 "service \"%s\": the device \"%s\" is one of CDI, which cannot be "
                                 "asked for here; name a path below /dev",
                                 p->name, source);
    }
    return 0;
}

static int check_copied(const struct precheck *p, const char *member, const char *source,
                        const json_t *definition, struct err *err)
{
    const char *variable = compose_string(definition, "environment");

    if (compose_bool(definition, "external", false))
        return compose_error(project_of(p), definition, err, ERR_UNSUPPORTED,
                             "\"%s\" of %s is external, which a Docker host without a swarm "
                             "does not have; use file, environment or content",
                             source, member);
    if (!compose_string(definition, "content"))
        return compose_error(project_of(p), definition, err, ERR_NOT_FOUND,
                             "\"%s\" of %s is the value of the variable %s, which is not set",
                             source, member, variable ? variable : "");
    if (compose_bool(p->service, "read_only", false))
        return compose_error(project_of(p), definition, err, ERR_UNSUPPORTED,
                             "\"%s\" of %s cannot be copied into a container of service \"%s\", "
                             "which is read_only; use file",
                             source, member, p->name);
    return 0;
}

static int check_files(const struct precheck *p, const char *member,
                       json_t *(*find)(const struct compose_project *, const char *),
                       struct err *err)
{
    size_t i;
    json_t *use;

    json_array_foreach (json_object_get(p->service, member), i, use) {
        const char *source = compose_string(use, "source");
        const json_t *definition = find(project_of(p), source);

        if (!compose_string(definition, "file")) {
            if (check_copied(p, member, source, definition, err) < 0)
                return -1;
        } else if (json_object_get(use, "uid") || json_object_get(use, "gid") ||
                   json_object_get(use, "mode")) {
            compose_warn(p->session,
                         "service \"%s\": uid, gid and mode of \"%s\" of %s are ignored: it is a "
                         "file that is mounted as it is",
                         p->name, source, member);
        }
    }
    return 0;
}

static int check_recipe(const struct precheck *p, struct err *err)
{
    CLEANUP_COMPOSE_RECIPE struct compose_recipe recipe = {0};
    const struct compose_recipe_request request = {.project = project_of(p),
                                                   .service = p->name,
                                                   .number = 1};

    return compose_recipe_make(&request, &recipe, err);
}

int compose_precheck(struct compose_session *session, const struct strvec *services,
                     struct err *err)
{
    struct docker_client *docker = NULL;
    struct precheck p = {.session = session};

    if (compose_client_take(&session->clients, &docker, err) < 0)
        return -1;
    p.api_minor = docker_client_api_minor(docker);
    compose_client_give(&session->clients, docker);
    for (size_t i = 0; i < services->len; i++) {
        p.name = services->items[i];
        p.service = compose_service(session->project, p.name);
        if (check_features(&p, err) < 0 || check_devices(&p, err) < 0 ||
            check_files(&p, "secrets", compose_secret, err) < 0 ||
            check_files(&p, "configs", compose_config, err) < 0 || check_recipe(&p, err) < 0)
            return -1;
    }
    return 0;
}
