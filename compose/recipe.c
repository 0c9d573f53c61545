#include "compose/recipe.h"

#include <string.h>

#include "apis/docker/proxies.h"
#include "base/alloc.h"
#include "base/parse.h"
#include "compose/hash.h"

char *compose_recipe_text(struct compose_recipe *recipe, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&text, fmt, args);
    va_end(args);
    return arena_strndup(&recipe->arena, text.data, text.len);
}

struct strmap *compose_recipe_map(struct compose_recipe *recipe)
{
    struct strmap *map = xcalloc(1, sizeof(*map));

    vec_push(&recipe->more_maps, map);
    return map;
}

struct strvec *compose_recipe_strings(struct compose_recipe *recipe)
{
    struct strvec *list = xcalloc(1, sizeof(*list));

    vec_push(&recipe->more_lists, list);
    return list;
}

const char *const *compose_recipe_list(struct compose_recipe *recipe, int which,
                                       const json_t *object, const char *name)
{
    struct strvec *out = &recipe->lists[which];

    if (!compose_strings(object, name, out) || !out->len)
        return NULL;
    return (const char *const *)out->items;
}

const struct strmap *compose_recipe_pairs(struct compose_recipe *recipe, int which,
                                          const json_t *object, const char *name)
{
    compose_pairs(object, name, &recipe->maps[which]);
    return &recipe->maps[which];
}

char *compose_container_name(const struct compose_project *project, const char *service, int number)
{
    const char *own = compose_string(compose_service(project, service), "container_name");

    return own ? xstrdup(own) : xasprintf("%s-%s-%d", project->name, service, number);
}

char *compose_image_name(const struct compose_project *project, const char *service)
{
    const char *image = compose_string(compose_service(project, service), "image");

    return image ? xstrdup(image) : xasprintf("%s-%s", project->name, service);
}

const char *compose_recipe_namespace(const struct compose_recipe_request *request,
                                     struct compose_recipe *recipe, const char *mode)
{
    const char *service = mode && strncmp(mode, "service:", 8) == 0 ? mode + 8 : NULL;
    const char *container;
    CLEANUP_FREE char *name = NULL;

    if (!service)
        return mode;
    container = request->container_of ? request->container_of(request->arg, service, 1) : NULL;
    if (!container)
        container = name = compose_container_name(request->project, service, 1);
    return compose_recipe_text(recipe, "container:%s", container);
}

void compose_config_hash(const struct compose_recipe_request *request, const json_t *service,
                         struct compose_recipe *recipe, char ret[COMPOSE_HASH_SIZE])
{
    static const char *const members[] = {"network_mode", "ipc", "pid"};
    CLEANUP_STRVEC struct strvec from = {0};
    json_t *resolved = json_copy((json_t *)service);
    json_t *containers = json_array();

    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        const char *mode =
            compose_recipe_namespace(request, recipe, compose_string(service, members[i]));

        if (mode)
            json_object_set_new(resolved, members[i], json_string(mode));
    }
    /* What follows the name is left out, as Docker Compose does. */
    (void)compose_strings(service, "volumes_from", &from);
    for (size_t i = 0; i < from.len; i++) {
        const char *entry = from.items[i];
        bool other = strncmp(entry, "container:", 10) == 0;
        CLEANUP_FREE char *name = xstrndup(entry, strcspn(entry, ":"));
        CLEANUP_FREE char *mode = xasprintf("service:%s", name);

        json_array_append_new(containers,
                              other ? json_stringn(entry + 10, strcspn(entry + 10, ":"))
                                    : json_string(compose_recipe_namespace(request, recipe, mode) +
                                                  strlen("container:")));
    }
    if (from.len)
        json_object_set(resolved, "volumes_from", containers);
    compose_service_hash(resolved, ret);
    json_decref(containers);
    json_decref(resolved);
}

/* "db:service_healthy:false,…" */
static char *depends_on(const struct compose_project *project, const json_t *service)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    const char *name;
    json_t *dependency;

    json_object_foreach (json_object_get(service, "depends_on"), name, dependency) {
        const char *condition = compose_string(dependency, "condition");

        if (!compose_service(project, name))
            continue;
        buf_addf(&out, "%s%s:%s:%s", out.len ? "," : "", name,
                 condition ? condition : "service_started",
                 compose_bool(dependency, "restart", false) ? "true" : "false");
    }
    return buf_steal(&out);
}

static void add_labels(const struct compose_recipe_request *request, const json_t *service,
                       struct compose_recipe *recipe)
{
    const struct compose_project *project = request->project;
    struct strmap *labels = &recipe->maps[RECIPE_LABELS];
    CLEANUP_FREE char *dependencies = depends_on(project, service);
    CLEANUP_BUF struct buf files = BUF_INIT;
    char hash[COMPOSE_HASH_SIZE];

    compose_pairs(service, "labels", labels);
    compose_config_hash(request, service, recipe, hash);
    strmap_set(labels, COMPOSE_LABEL_CONFIG_HASH, hash);
    compose_recipe_hash(project, service, hash);
    for (size_t i = 0; i < project->files.len; i++)
        buf_addf(&files, "%s%s", i ? "," : "", project->files.items[i]);
    strmap_set(labels, COMPOSE_LABEL_PROJECT, project->name);
    strmap_set(labels, COMPOSE_LABEL_SERVICE, request->service);
    strmap_setf(labels, COMPOSE_LABEL_NUMBER, "%d", request->number);
    strmap_set(labels, COMPOSE_LABEL_ONEOFF, "False");
    strmap_set(labels, COMPOSE_LABEL_CONFIG_FILES, files.data);
    strmap_set(labels, COMPOSE_LABEL_WORKING_DIR, project->working_dir);
    strmap_set(labels, COMPOSE_LABEL_DEPENDS_ON, dependencies);
    strmap_set(labels, COMPOSE_LABEL_VERSION, COMPOSE_VERSION);
    strmap_set(labels, COMPOSE_LABEL_HASH, hash);
    if (request->image_id)
        strmap_set(labels, COMPOSE_LABEL_IMAGE, request->image_id);
    recipe->create.labels = labels;
}

static void add_environment(const struct compose_recipe_request *request, const json_t *service,
                            struct compose_recipe *recipe)
{
    const char *name;
    json_t *value;

    json_object_foreach (json_object_get(service, "environment"), name, value) {
        if (json_is_null(value))
            strvec_push(&recipe->lists[RECIPE_ENV_UNSET], name);
        else
            strmap_set(&recipe->maps[RECIPE_ENV], name, json_string_value(value));
    }
    recipe->create.env = &recipe->maps[RECIPE_ENV];
    recipe->create.env_unset = (const char *const *)recipe->lists[RECIPE_ENV_UNSET].items;
    if (request->proxies)
        docker_proxies_add(request->proxies, recipe->create.env_unset, &recipe->maps[RECIPE_ENV]);
}

static void add_health(const json_t *service, struct compose_recipe *recipe)
{
    const json_t *check = json_object_get(service, "healthcheck");
    struct strvec *test = &recipe->lists[RECIPE_HEALTH_TEST];
    struct docker_healthcheck *health = &recipe->health;

    if (!check)
        return;
    if (compose_bool(check, "disable", false)) {
        strvec_push(test, "NONE");
    } else {
        (void)compose_strings(check, "test", test);
        health->interval_ms = compose_duration_ms(check, "interval", 0);
        health->timeout_ms = compose_duration_ms(check, "timeout", 0);
        health->start_period_ms = compose_duration_ms(check, "start_period", 0);
        health->start_interval_ms = compose_duration_ms(check, "start_interval", 0);
        health->retries = (int)compose_int(check, "retries", 0);
    }
    health->test = (const char *const *)test->items;
    recipe->create.healthcheck = health;
}

/* "on-failure:3"; a policy in deploy goes over it. */
static void add_restart(const json_t *service, struct compose_recipe *recipe)
{
    const json_t *policy = json_object_get(json_object_get(service, "deploy"), "restart_policy");
    const char *restart = compose_string(service, "restart");
    const char *condition = compose_string(policy, "condition");
    struct docker_create *create = &recipe->create;
    int64_t retries = 0;

    if (policy) {
        if (!condition || strcmp(condition, "any") == 0)
            create->restart_policy = "always";
        else
            create->restart_policy = strcmp(condition, "none") == 0 ? "no" : condition;
        create->restart_max_retries = (int)compose_int(policy, "max_attempts", 0);
        return;
    }
    if (!restart)
        return;
    create->restart_policy = arena_strndup(&recipe->arena, restart, strcspn(restart, ":"));
    if (strchr(restart, ':') && parse_int64(strchr(restart, ':') + 1, &retries, NULL) == 0)
        create->restart_max_retries = (int)retries;
}

/* What is not the same as nothing if it is 0 or false. */
static void add_given(const json_t *service, struct compose_recipe *r)
{
    if (json_object_get(service, "stop_grace_period")) {
        r->stop_timeout_s = (compose_duration_ms(service, "stop_grace_period", 0) + 999) / 1000;
        r->create.stop_timeout_s = &r->stop_timeout_s;
    }
    if (json_object_get(service, "init")) {
        r->init = compose_bool(service, "init", false);
        r->create.init = &r->init;
    }
}

static void add_process(const struct compose_recipe_request *request, const json_t *service,
                        struct compose_recipe *r)
{
    struct docker_create *c = &r->create;
    const json_t *logging = json_object_get(service, "logging");
    const json_t *entrypoint = json_object_get(service, "entrypoint");

    c->cmd = compose_recipe_list(r, RECIPE_COMMAND, service, "command");
    c->entrypoint = compose_recipe_list(r, RECIPE_ENTRYPOINT, service, "entrypoint");
    c->clear_entrypoint = json_is_array(entrypoint) && !json_array_size(entrypoint);
    add_environment(request, service, r);
    add_labels(request, service, r);
    c->annotations = compose_recipe_pairs(r, RECIPE_ANNOTATIONS, service, "annotations");
    c->workdir = compose_string(service, "working_dir");
    c->user = compose_string(service, "user");
    c->hostname = compose_string(service, "hostname");
    c->domainname = compose_string(service, "domainname");
    c->stop_signal = compose_string(service, "stop_signal");
    c->tty = compose_bool(service, "tty", false);
    c->open_stdin = compose_bool(service, "stdin_open", false);
    c->attach_output = true;
    c->platform = compose_string(service, "platform");
    c->runtime = compose_string(service, "runtime");
    c->isolation = compose_string(service, "isolation");
    c->log_driver = compose_string(logging, "driver");
    c->log_options = compose_recipe_pairs(r, RECIPE_LOG_OPTIONS, logging, "options");
    if (!c->log_driver && c->log_options->len)
        c->log_driver = "json-file";
    add_given(service, r);
    add_health(service, r);
    add_restart(service, r);
}

int compose_recipe_make(const struct compose_recipe_request *request, struct compose_recipe *ret,
                        struct err *err)
{
    const json_t *service = compose_service(request->project, request->service);
    struct docker_create *c = &ret->create;
    CLEANUP_FREE char *name =
        compose_container_name(request->project, request->service, request->number);
    CLEANUP_FREE char *image = compose_image_name(request->project, request->service);

    c->name = compose_recipe_text(ret, "%s", name);
    c->image = compose_recipe_text(ret, "%s", image);
    add_process(request, service, ret);
    if (compose_recipe_security(request, service, ret, err) < 0)
        return -1;
    compose_recipe_limits(service, ret);
    compose_recipe_networks(request, service, ret);
    c->dns = compose_recipe_list(ret, RECIPE_DNS, service, "dns");
    c->dns_search = compose_recipe_list(ret, RECIPE_DNS_SEARCH, service, "dns_search");
    c->dns_options = compose_recipe_list(ret, RECIPE_DNS_OPT, service, "dns_opt");
    return compose_recipe_storage(request, service, ret, err);
}

void compose_recipe_release(struct compose_recipe *r)
{
    for (size_t i = 0; i < RECIPE_LISTS; i++)
        strvec_release(&r->lists[i]);
    for (size_t i = 0; i < RECIPE_MAPS; i++)
        strmap_release(&r->maps[i]);
    vec_foreach (struct strvec **, one, &r->more_lists) {
        strvec_release(*one);
        free(*one);
    }
    vec_foreach (struct strmap **, one, &r->more_maps) {
        strmap_release(*one);
        free(*one);
    }
    vec_release(&r->more_lists);
    vec_release(&r->more_maps);
    vec_release(&r->mounts);
    vec_release(&r->ports);
    vec_release(&r->networks);
    vec_release(&r->ulimits);
    vec_release(&r->devices);
    arena_release(&r->arena);
    *r = (struct compose_recipe){0};
}
