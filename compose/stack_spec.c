/* From a service of the model to the specification of a swarm service.
 * Source: Compose Specification and its deploy part; what is filled in, sorted and scoped is as the
 * docker command's `stack deploy` does it, so that either can go on with the other's services. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "compose/stack_internal.h"

void stack_spec_release(struct stack_spec *spec)
{
    vec_foreach (struct strmap **, map, &spec->maps) {
        strmap_release(*map);
    }
    vec_release(&spec->maps);
    arena_release(&spec->arena);
    *spec = (struct stack_spec){0};
}

struct strmap *stack_spec_map(struct stack_spec *spec)
{
    struct strmap *map = arena_alloc(&spec->arena, sizeof(*map));

    vec_push(&spec->maps, map);
    return map;
}

const char *const *stack_spec_list(struct stack_spec *spec, const json_t *list)
{
    const char **out;
    size_t i;
    json_t *value;

    if (!json_array_size(list))
        return NULL;
    out = arena_alloc(&spec->arena, (json_array_size(list) + 1) * sizeof(*out));
    json_array_foreach (list, i, value) {
        out[i] = json_string_value(value);
    }
    return out;
}

const char *stack_spec_text(struct stack_spec *spec, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&text, fmt, args);
    va_end(args);
    return arena_strndup(&spec->arena, text.data, text.len);
}

static const char *const *owned_list(struct stack_spec *spec, const struct strvec *from)
{
    const char **out;

    if (!from->len)
        return NULL;
    out = arena_alloc(&spec->arena, (from->len + 1) * sizeof(*out));
    for (size_t i = 0; i < from->len; i++)
        out[i] = arena_strndup(&spec->arena, from->items[i], strlen(from->items[i]));
    return out;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort(struct strvec *list)
{
    if (list->len)
        qsort(list->items, list->len, sizeof(*list->items), by_text);
}

/* Sorted, so that the order in the file changes nothing. A name without a value stays one: the
 * variable is taken away. */
static const char *const *environment(struct stack_spec *spec, const json_t *service)
{
    CLEANUP_STRVEC struct strvec pairs = {0};
    const char *name;
    json_t *value;

    json_object_foreach (json_object_get(service, "environment"), name, value) {
        if (json_is_string(value))
            strvec_pushf(&pairs, "%s=%s", name, json_string_value(value));
        else
            strvec_push(&pairs, name);
    }
    sort(&pairs);
    return owned_list(spec, &pairs);
}

/* "HOST=ADDRESS" as swarm writes it, like a line of /etc/hosts. */
static const char *const *hosts(struct stack_spec *spec, const json_t *service)
{
    CLEANUP_STRVEC struct strvec out = {0};
    size_t i;
    json_t *value;

    json_array_foreach (json_object_get(service, "extra_hosts"), i, value) {
        const char *text = json_string_value(value);
        const char *equals = strchr(text, '=');

        if (equals)
            strvec_pushf(&out, "%s %.*s", equals + 1, (int)(equals - text), text);
    }
    return owned_list(spec, &out);
}

/* "net_admin" as "CAP_NET_ADMIN", sorted, each once, without those in `but`. */
static void capabilities(const json_t *service, const char *name, const struct strvec *but,
                         struct strvec *out)
{
    size_t i;
    json_t *value;

    json_array_foreach (json_object_get(service, name), i, value) {
        CLEANUP_BUF struct buf upper = BUF_INIT;
        const char *text = json_string_value(value);

        if (strcasecmp(text, "all") != 0 && strncasecmp(text, "cap_", 4) != 0)
            buf_addstr(&upper, "CAP_");
        for (; *text; text++)
            buf_addch(&upper, *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text);
        if (!strvec_has(out, upper.data) && !(but && strvec_has(but, upper.data)))
            strvec_push(out, upper.data);
    }
    sort(out);
}

static void add_capabilities(struct stack_spec *spec, const json_t *service)
{
    CLEANUP_STRVEC struct strvec add = {0};
    CLEANUP_STRVEC struct strvec drop = {0};

    capabilities(service, "cap_add", NULL, &add);
    capabilities(service, "cap_drop", &add, &drop);
    spec->service.cap_add = owned_list(spec, &add);
    spec->service.cap_drop = owned_list(spec, &drop);
}

static void add_labels(const struct stack_run *run, const json_t *service, struct stack_spec *spec)
{
    struct strmap *labels = stack_spec_map(spec);
    struct strmap *inner = stack_spec_map(spec);

    compose_pairs(json_object_get(service, "deploy"), "labels", labels);
    strmap_set(labels, STACK_LABEL_NAMESPACE, run->options->name);
    strmap_set(labels, STACK_LABEL_IMAGE, compose_string(service, "image"));
    compose_pairs(service, "labels", inner);
    strmap_set(inner, STACK_LABEL_NAMESPACE, run->options->name);
    spec->service.labels = labels;
    spec->service.container_labels = inner;
}

static void add_healthcheck(struct stack_spec *spec, const json_t *service)
{
    static const char *const none[] = {"NONE", NULL};
    const json_t *from = json_object_get(service, "healthcheck");
    struct docker_healthcheck *check;

    if (!from)
        return;
    check = arena_alloc(&spec->arena, sizeof(*check));
    spec->service.healthcheck = check;
    if (compose_bool(from, "disable", false)) {
        check->test = none;
        return;
    }
    *check = (struct docker_healthcheck){
        .test = stack_spec_list(spec, json_object_get(from, "test")),
        .interval_ms = compose_duration_ms(from, "interval", 0),
        .timeout_ms = compose_duration_ms(from, "timeout", 0),
        .start_period_ms = compose_duration_ms(from, "start_period", 0),
        .start_interval_ms = compose_duration_ms(from, "start_interval", 0),
        .retries = (int)compose_int(from, "retries", 0),
    };
}

static int by_ulimit(const void *a, const void *b)
{
    return strcmp(((const struct docker_ulimit *)a)->name, ((const struct docker_ulimit *)b)->name);
}

static void add_ulimits(struct stack_spec *spec, const json_t *service)
{
    const json_t *from = json_object_get(service, "ulimits");
    struct docker_ulimit *list;
    size_t count = 0;
    const char *name;
    json_t *value;

    if (!json_object_size(from))
        return;
    list = arena_alloc(&spec->arena, json_object_size(from) * sizeof(*list));
    json_object_foreach ((json_t *)from, name, value) {
        int64_t single = json_integer_value(value);

        list[count++] = (struct docker_ulimit){
            .name = name,
            .soft = json_is_object(value) ? compose_int(value, "soft", 0) : single,
            .hard = json_is_object(value) ? compose_int(value, "hard", 0) : single,
        };
    }
    qsort(list, count, sizeof(*list), by_ulimit);
    spec->service.ulimits = list;
    spec->service.ulimit_count = count;
}

static const int64_t *nanoseconds(struct stack_spec *spec, const json_t *object, const char *name)
{
    int64_t *out;

    if (!json_object_get(object, name))
        return NULL;
    out = arena_alloc(&spec->arena, sizeof(*out));
    *out = compose_duration_ms(object, name, 0) * 1000000;
    return out;
}

static const bool *optional_bool(struct stack_spec *spec, const json_t *object, const char *name)
{
    bool *out;

    if (!json_object_get(object, name))
        return NULL;
    out = arena_alloc(&spec->arena, sizeof(*out));
    *out = compose_bool(object, name, false);
    return out;
}

static void add_process(struct stack_spec *spec, const json_t *service)
{
    struct docker_service_spec *s = &spec->service;

    s->image = compose_string(service, "image");
    s->command = stack_spec_list(spec, json_object_get(service, "entrypoint"));
    s->args = stack_spec_list(spec, json_object_get(service, "command"));
    s->hostname = compose_string(service, "hostname");
    s->hosts = hosts(spec, service);
    s->dns = stack_spec_list(spec, json_object_get(service, "dns"));
    s->dns_search = stack_spec_list(spec, json_object_get(service, "dns_search"));
    s->dns_options = stack_spec_list(spec, json_object_get(service, "dns_opt"));
    s->env = environment(spec, service);
    s->dir = compose_string(service, "working_dir");
    s->user = compose_string(service, "user");
    s->groups = stack_spec_list(spec, json_object_get(service, "group_add"));
    s->stop_grace_ns = nanoseconds(spec, service, "stop_grace_period");
    s->stop_signal = compose_string(service, "stop_signal");
    s->tty = compose_bool(service, "tty", false);
    s->open_stdin = compose_bool(service, "stdin_open", false);
    s->read_only = compose_bool(service, "read_only", false);
    s->init = optional_bool(spec, service, "init");
    s->isolation = compose_string(service, "isolation");
    s->oom_score_adj = (int)compose_int(service, "oom_score_adj", 0);
}

static void add_logging(struct stack_spec *spec, const json_t *service)
{
    const json_t *logging = json_object_get(service, "logging");
    const char *driver = compose_string(logging, "driver");
    struct strmap *options;

    if (!logging)
        return;
    options = stack_spec_map(spec);
    compose_pairs(logging, "options", options);
    spec->service.log_driver = driver ? driver : "";
    spec->service.log_options = options;
}

static void add_sysctls(struct stack_spec *spec, const json_t *service)
{
    struct strmap *sysctls = stack_spec_map(spec);

    compose_pairs(service, "sysctls", sysctls);
    spec->service.sysctls = sysctls;
}

/* Networks that every node has by itself know no names of services. */
static bool knows_names(const char *network)
{
    static const char *const own[] = {"host", "none", "bridge", "default"};

    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
        if (strcmp(network, own[i]) == 0)
            return false;
    }
    return strncmp(network, "container:", 10) != 0;
}

static int by_target(const void *a, const void *b)
{
    return strcmp(((const struct docker_service_network *)a)->target,
                  ((const struct docker_service_network *)b)->target);
}

static void add_networks(const struct stack_run *run, const char *key, const json_t *service,
                         struct stack_spec *spec)
{
    CLEANUP_STRVEC struct strvec keys = {0};
    struct docker_service_network *list;

    stack_service_networks(service, &keys);
    list = arena_alloc(&spec->arena, (keys.len + 1) * sizeof(*list));
    for (size_t i = 0; i < keys.len; i++) {
        const json_t *attach = json_object_get(json_object_get(service, "networks"), keys.items[i]);
        CLEANUP_FREE char *name = stack_network_name(run, keys.items[i]);
        CLEANUP_STRVEC struct strvec aliases = {0};
        struct strmap *options = stack_spec_map(spec);

        compose_strings(attach, "aliases", &aliases);
        compose_pairs(attach, "driver_opts", options);
        if (knows_names(name))
            strvec_push(&aliases, key);
        list[i] = (struct docker_service_network){
            .target = stack_spec_text(spec, "%s", name),
            .aliases = owned_list(spec, &aliases),
            .driver_options = options,
        };
    }
    qsort(list, keys.len, sizeof(*list), by_target);
    spec->service.networks = list;
    spec->service.network_count = keys.len;
}

int stack_spec_make(const struct stack_run *run, const char *key, struct stack_spec *ret,
                    struct err *err)
{
    const json_t *service = compose_service(run->project, key);
    struct stack_spec spec = {0};
    CLEANUP_FREE char *name = stack_scoped(run, key);

    spec.service.name = stack_spec_text(&spec, "%s", name);
    add_labels(run, service, &spec);
    add_process(&spec, service);
    add_healthcheck(&spec, service);
    add_capabilities(&spec, service);
    add_ulimits(&spec, service);
    add_sysctls(&spec, service);
    add_logging(&spec, service);
    add_networks(run, key, service, &spec);
    if (stack_spec_mounts(run, service, &spec, err) < 0 ||
        stack_spec_files(run, service, &spec, err) < 0 ||
        stack_spec_ports(run, service, &spec, err) < 0 ||
        stack_spec_deploy(run, service, &spec, err) < 0) {
        stack_spec_release(&spec);
        return -1;
    }
    *ret = spec;
    return 0;
}
