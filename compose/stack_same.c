/* Would writing this specification change the service?
 *
 * The swarm gives a service back with some of its defaults filled in, and with empty members that
 * nobody wrote. So both sides get all defaults, and a member that one side has not must be empty on
 * the other. What is taken to be different without being so costs one needless update, which the
 * swarm itself sees through; nothing that is different may be taken to be the same. Source:
 * swarmkit's defaults, as GET /services/{id}?insertDefaults=true shows them. */
#include <string.h>

#include "base/alloc.h"
#include "compose/stack_internal.h"

#define SECOND 1000000000LL

/* Where being there counts, whatever the value: these are numbers that have a default other than 0.
 */
static bool presence_counts(const char *key)
{
    static const char *const keys[] = {"Init", "StopGracePeriod", "Delay", "UpdateConfig",
                                       "RollbackConfig"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        if (strcmp(keys[i], key) == 0)
            return true;
    }
    return false;
}

static bool is_empty(const json_t *value)
{
    const char *key;
    json_t *member;

    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_NULL:
    case JSON_FALSE:
        return true;
    case JSON_INTEGER:
    case JSON_REAL:
        return json_number_value(value) == 0;
    case JSON_STRING:
        return !*json_string_value(value);
    case JSON_ARRAY:
        return !json_array_size(value);
    case JSON_OBJECT:
        json_object_foreach ((json_t *)value, key, member) {
            if (presence_counts(key) || !is_empty(member))
                return false;
        }
        return true;
    default:
        return false;
    }
}

static bool same(const json_t *a, const json_t *b);

static bool same_members(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *member;

    json_object_foreach ((json_t *)a, key, member) {
        const json_t *other = json_object_get(b, key);

        if (other ? !same(member, other) : presence_counts(key) || !is_empty(member))
            return false;
    }
    json_object_foreach ((json_t *)b, key, member) {
        if (!json_object_get(a, key) && (presence_counts(key) || !is_empty(member)))
            return false;
    }
    return true;
}

static bool same_elements(const json_t *a, const json_t *b)
{
    if (json_array_size(a) != json_array_size(b))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (!same(json_array_get(a, i), json_array_get(b, i)))
            return false;
    }
    return true;
}

static bool same(const json_t *a, const json_t *b)
{
    if (json_is_object(a) && json_is_object(b))
        return same_members(a, b);
    if (json_is_array(a) && json_is_array(b))
        return same_elements(a, b);
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b) || (is_empty(a) && is_empty(b));
}

static json_t *child(json_t *parent, const char *key)
{
    json_t *object = json_object_get(parent, key);

    if (!json_is_object(object)) {
        object = json_object();
        json_object_set_new(parent, key, object);
    }
    return object;
}

static void fill(json_t *object, const char *key, json_t *value)
{
    if (!json_object_get(object, key))
        json_object_set_new(object, key, value);
    else
        json_decref(value);
}

static void fill_update(json_t *spec, const char *key)
{
    json_t *update = child(spec, key);

    fill(update, "Parallelism", json_integer(1));
    fill(update, "FailureAction", json_string("pause"));
    fill(update, "Monitor", json_integer(5 * SECOND));
    fill(update, "Order", json_string("stop-first"));
}

static void fill_defaults(json_t *spec)
{
    json_t *task = child(spec, "TaskTemplate");
    json_t *container = child(task, "ContainerSpec");
    json_t *restart = child(task, "RestartPolicy");

    fill(container, "StopGracePeriod", json_integer(10 * SECOND));
    fill(container, "Isolation", json_string("default"));
    fill(restart, "Condition", json_string("any"));
    fill(restart, "Delay", json_integer(5 * SECOND));
    fill(task, "Runtime", json_string("container"));
    fill(child(spec, "EndpointSpec"), "Mode", json_string("vip"));
    fill_update(spec, "UpdateConfig");
    fill_update(spec, "RollbackConfig");
}

static void resolve_networks(json_t *spec, const struct strmap *network_ids)
{
    json_t *list = json_object_get(json_object_get(spec, "TaskTemplate"), "Networks");
    size_t i;
    json_t *network;

    json_array_foreach (list, i, network) {
        const char *target = json_string_value(json_object_get(network, "Target"));
        const char *id = target ? strmap_get(network_ids, target) : NULL;

        if (id)
            json_object_set_new(network, "Target", json_string(id));
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The order of these means nothing, and the docker command has none for several files of one
 * secret. */
static void sort_list(json_t *container, const char *key)
{
    json_t *list = json_object_get(container, key);
    size_t len = json_array_size(list);
    char **texts = xcalloc(len + 1, sizeof(*texts));

    for (size_t i = 0; i < len; i++)
        texts[i] =
            json_dumps(json_array_get(list, i), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    qsort(texts, len, sizeof(*texts), by_text);
    for (size_t i = 0; i < len; i++) {
        json_array_set_new(list, i, json_loads(texts[i], JSON_DECODE_ANY, NULL));
        free(texts[i]);
    }
    free(texts);
}

static void sort_lists(json_t *spec)
{
    json_t *container = child(child(spec, "TaskTemplate"), "ContainerSpec");

    sort_list(container, "Secrets");
    sort_list(container, "Configs");
    sort_list(container, "Hosts");
}

bool stack_same_spec(const json_t *want, const json_t *have, const struct strmap *network_ids)
{
    json_t *left = json_deep_copy(want);
    json_t *right = json_deep_copy(have);
    bool result;

    fill_defaults(left);
    fill_defaults(right);
    resolve_networks(left, network_ids);
    sort_lists(left);
    sort_lists(right);
    result = same(left, right);
    json_decref(left);
    json_decref(right);
    return result;
}
