#include "compose/compare.h"

#include <string.h>

#include "apis/docker/image.h"
#include "base/alloc.h"
#include "compose/plan.h"
#include "compose/recipe.h"

static bool covers(const json_t *have, const json_t *want);

static bool is_nothing(const json_t *value)
{
    const char *text = json_string_value(value);

    return !value || json_is_null(value) || (text && !*text) ||
           (json_is_integer(value) && json_integer_value(value) == 0) || json_is_false(value) ||
           (json_is_array(value) && !json_array_size(value)) ||
           (json_is_object(value) && !json_object_size(value));
}

static bool same_text(const char *a, const char *b)
{
    /* Daemons write capabilities in full. */
    a += strncmp(a, "CAP_", 4) == 0 ? 4 : 0;
    b += strncmp(b, "CAP_", 4) == 0 ? 4 : 0;
    return strcmp(a, b) == 0;
}

static bool has_element(const json_t *have, const json_t *want)
{
    size_t i;
    json_t *element;

    json_array_foreach (have, i, element) {
        if (covers(element, want))
            return true;
    }
    return false;
}

/* Whether all that is wanted is had; the order of lists does not matter. */
static bool covers(const json_t *have, const json_t *want)
{
    const char *key;
    json_t *value;
    size_t i;

    if (is_nothing(want))
        return is_nothing(have);
    if (json_is_object(want)) {
        json_object_foreach ((json_t *)want, key, value) {
            const json_t *other = json_object_get(have, key);

            if (!(json_is_object(value) && other) && !covers(other, value))
                return false;
            if (json_is_object(value) && !covers(other, value) && !is_nothing(value))
                return false;
        }
        return json_is_object(have);
    }
    if (json_is_array(want)) {
        json_array_foreach (want, i, value) {
            if (!has_element(have, value))
                return false;
        }
        return json_is_array(have);
    }
    if (json_is_string(want))
        return json_is_string(have) && same_text(json_string_value(have), json_string_value(want));
    return json_equal(have, want);
}

/* Neither has more than the other. */
static bool same_set(const json_t *have, const json_t *want)
{
    if (is_nothing(have) || is_nothing(want))
        return is_nothing(have) && is_nothing(want);
    if (json_is_array(want) && json_array_size(have) != json_array_size(want))
        return false;
    if (json_is_object(want) && json_object_size(have) != json_object_size(want))
        return false;
    return covers(have, want);
}

/* What is neither wanted nor the image's was there before and is not any more. */
static bool same_env(const json_t *have, const json_t *want, const struct strvec *image_env)
{
    size_t i;
    json_t *value;

    json_array_foreach (want, i, value) {
        if (strchr(json_string_value(value), '=') && !has_element(have, value))
            return false;
    }
    json_array_foreach (have, i, value) {
        if (!has_element(want, value) && !strvec_has(image_env, json_string_value(value)))
            return false;
    }
    return true;
}

static bool is_own_label(const char *key)
{
    return strncmp(key, "com.docker.compose.", 19) == 0 || strcmp(key, COMPOSE_LABEL_HASH) == 0;
}

static bool same_labels(json_t *have, json_t *want)
{
    const char *key;
    json_t *value;

    json_object_foreach (want, key, value) {
        if (!is_own_label(key) && !json_equal(json_object_get(have, key), value))
            return false;
    }
    return true;
}

const char *compose_difference(json_t *body, const json_t *inspected,
                               const struct strvec *image_env)
{
    /* Lists whose order counts, and which the image's take the place of if they are missing. */
    static const char *const exact[] = {"Cmd",        "Entrypoint",  "Hostname",
                                        "Domainname", "User",        "WorkingDir",
                                        "StopSignal", "StopTimeout", "Image"};
    static const char *const flags[] = {"Tty", "OpenStdin"};
    static const char *const sets[] = {"Binds",      "Mounts",      "PortBindings", "CapAdd",
                                       "CapDrop",    "Dns",         "DnsSearch",    "DnsOptions",
                                       "ExtraHosts", "Devices",     "Ulimits",      "Tmpfs",
                                       "GroupAdd",   "VolumesFrom", "Sysctls",      "Links"};
    static const char *const values[] = {"Privileged", "ReadonlyRootfs", "Memory", "NanoCpus",
                                         "CpuShares"};
    const json_t *config = json_object_get(inspected, "Config");
    const json_t *host = json_object_get(inspected, "HostConfig");
    const json_t *want = json_object_get(body, "HostConfig");
    const char *key;
    json_t *value;

    for (size_t i = 0; i < sizeof(exact) / sizeof(*exact); i++) {
        value = json_object_get(body, exact[i]);
        if (value && !json_equal(value, json_object_get(config, exact[i])) &&
            (json_is_integer(value) ||
             !(is_nothing(value) && is_nothing(json_object_get(config, exact[i])))))
            return exact[i];
    }
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        if (json_is_true(json_object_get(body, flags[i])) !=
            json_is_true(json_object_get(config, flags[i])))
            return flags[i];
    }
    if (!same_env(json_object_get(config, "Env"), json_object_get(body, "Env"), image_env))
        return "Env";
    if (!same_labels(json_object_get(config, "Labels"), json_object_get(body, "Labels")))
        return "Labels";
    value = json_object_get(body, "Healthcheck");
    if (value && !covers(json_object_get(config, "Healthcheck"), value))
        return "Healthcheck";
    for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
        if (!same_set(json_object_get(host, sets[i]), json_object_get(want, sets[i])))
            return sets[i];
    }
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        if (!same_set(json_object_get(host, values[i]), json_object_get(want, values[i])))
            return values[i];
    }
    json_object_foreach ((json_t *)want, key, value) {
        if (!covers(json_object_get(host, key), value))
            return key;
    }
    return NULL;
}

struct lookup {
    const struct compose_project *project;
    const struct compose_state *state;
};

static const char *container_of(void *arg, const char *service, int number)
{
    const struct lookup *lookup = arg;
    const struct compose_container *c =
        compose_find_container(lookup->project, lookup->state, service, number);

    return c ? c->id : NULL;
}

static json_t *wanted_body(const struct compose_recipe_request *request, int api_minor,
                           struct err *err)
{
    CLEANUP_COMPOSE_RECIPE struct compose_recipe recipe = {0};

    if (compose_recipe_make(request, &recipe, err) < 0)
        return NULL;
    return docker_create_body(&recipe.create, api_minor, err);
}

/* Anonymous volumes are named in what was inspected only when they were inherited. */
static void drop_inherited(json_t *inspected)
{
    json_t *mounts = json_object_get(json_object_get(inspected, "HostConfig"), "Mounts");

    for (size_t i = json_array_size(mounts); i-- > 0;) {
        const json_t *mount = json_array_get(mounts, i);
        const char *type = json_string_value(json_object_get(mount, "Type"));
        const char *source = json_string_value(json_object_get(mount, "Source"));

        if (type && source && strcmp(type, "volume") == 0 && strlen(source) == 64)
            json_array_remove(mounts, i);
    }
}

int compose_compare(const struct ctx *ctx, struct docker_client *docker,
                    const struct compose_project *project, const char *image_id,
                    const struct strmap *proxies, const struct compose_state *state,
                    struct compose_container *container, struct err *err)
{
    struct lookup lookup = {project, state};
    const struct compose_recipe_request request = {.project = project,
                                                   .service = container->service,
                                                   .number = container->number,
                                                   .image_id = image_id,
                                                   .container_of = container_of,
                                                   .arg = &lookup};
    CLEANUP_COMPOSE_RECIPE struct compose_recipe names = {0};
    CLEANUP_DOCKER_IMAGE struct docker_image image = {0};
    char hash[SHA256_HEX_SIZE];
    json_t *inspected = NULL;
    json_t *body = NULL;
    const char *difference;

    compose_config_hash(&request, compose_service(project, container->service), &names, hash);
    if (strcmp(hash, container->config_hash) == 0) {
        container->same = COMPOSE_SAME_YES;
        return 0;
    }
    if (docker_container_inspect_json(ctx, docker, container->id, &inspected, err) < 0)
        return -1;
    /* An image that is gone had no variables that we could know. */
    (void)!docker_image_inspect(ctx, docker, container->image_id, &image, NULL);
    strmap_foreach (proxy, proxies)
        strvec_pushf(&image.env, "%s=%s", proxy->key, proxy->value);
    body = wanted_body(&request, docker_client_api_minor(docker), err);
    if (!body) {
        json_decref(inspected);
        return -1;
    }
    drop_inherited(inspected);
    difference = compose_difference(body, inspected, &image.env);
    container->same = difference ? COMPOSE_SAME_NO : COMPOSE_SAME_YES;
    if (difference) {
        free(container->difference);
        container->difference = xasprintf("its %s differs from the file", difference);
    }
    json_decref(body);
    json_decref(inspected);
    return 0;
}
