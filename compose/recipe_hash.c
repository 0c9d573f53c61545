#include "compose/recipe.h"

#include <string.h>

#include "base/sha256.h"

static void hash_json(const json_t *value, char ret[COMPOSE_HASH_SIZE])
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    struct sha256 hash;

    sha256_begin(&hash);
    sha256_add(&hash, text ? text : "", text ? strlen(text) : 0);
    sha256_hex(&hash, ret);
    free(text);
}

static void drop_extensions(json_t *object)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(object, next, name, value)
    {
        if (strncmp(name, "x-", 2) == 0)
            json_object_del(object, name);
    }
}

/* The objects that the service uses, as they are on the engine: PROJECT_KEY may change. */
static void add_used(const struct compose_project *project, const json_t *service,
                     json_t *described)
{
    json_t *used = json_object();
    const char *key;
    json_t *value;
    size_t i;

    json_object_foreach (json_object_get(service, "networks"), key, value) {
        const char *name = compose_string(compose_network(project, key), "name");

        json_object_set_new(used, key, json_string(name ? name : ""));
    }
    json_array_foreach (json_object_get(service, "volumes"), i, value) {
        const char *source = compose_string(value, "source");
        const char *name = source ? compose_string(compose_volume(project, source), "name") : NULL;

        if (name)
            json_object_set_new(used, source, json_string(name));
    }
    json_object_set_new(described, "=names", used);
}

static void add_contents(const struct compose_project *project, const json_t *service,
                         json_t *described, const char *member,
                         json_t *(*find)(const struct compose_project *, const char *))
{
    json_t *contents = json_array();
    json_t *use;
    size_t i;

    json_array_foreach (json_object_get(service, member), i, use) {
        json_t *definition = json_deep_copy(find(project, compose_string(use, "source")));

        json_object_del(definition, "name");
        drop_extensions(definition);
        json_array_append_new(contents, definition ? definition : json_null());
    }
    if (json_array_size(contents))
        json_object_set_new(described, strcmp(member, "secrets") == 0 ? "=secrets" : "=configs",
                            contents);
    else
        json_decref(contents);
}

void compose_recipe_hash(const struct compose_project *project, const json_t *service,
                         char ret[COMPOSE_HASH_SIZE])
{
    static const char *const left_out[] = {"build",    "depends_on", "pull_policy", "scale",
                                           "profiles", "attach",     "develop"};
    json_t *described = json_deep_copy(service);

    for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
        json_object_del(described, left_out[i]);
    json_object_del(json_object_get(described, "deploy"), "replicas");
    drop_extensions(described);
    add_used(project, service, described);
    add_contents(project, service, described, "secrets", compose_secret);
    add_contents(project, service, described, "configs", compose_config);
    hash_json(described, ret);
    json_decref(described);
}

void compose_object_hash(const json_t *object, char ret[COMPOSE_HASH_SIZE])
{
    json_t *described = json_deep_copy(object);

    drop_extensions(described);
    hash_json(described, ret);
    json_decref(described);
}
