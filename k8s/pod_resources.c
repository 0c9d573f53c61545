/* What containers may use (limits) and what the scheduler keeps free for them (requests).
 *
 * Of a limit, the container's own `kubernetes.resources` counts, else its `resources`, else the
 * job's `kubernetes.resources`. Of a request, the container's own counts, else the job's up to the
 * limit, else the limit. The job's are not for services. */
#include <string.h>

#include "base/alloc.h"
#include "k8s/pod_internal.h"

static const char *const sections[] = {"limits", "requests", NULL};

/* Copies one section as strings, over what is there. */
static int read_section(const struct setting *kubernetes, const char *section, json_t *to,
                        struct err *err)
{
    struct setting resources;
    struct setting list;
    struct quantity quantity;
    const char *name;
    json_t *value;

    if (!setting_get(kubernetes, "resources", &resources))
        return 0;
    if (setting_known(&resources, sections, err) < 0)
        return -1;
    if (!setting_get(&resources, section, &list))
        return 0;
    if (!setting_is_object(&list, err))
        return -1;
    json_object_foreach ((json_t *)list.value, name, value) {
        const struct setting item = setting_member(&list, name, value);
        json_t *text;

        if (json_is_null(value))
            continue;
        if (setting_quantity(&item, &quantity, &text, err) < 0)
            return -1;
        json_object_set_new(to, name, text);
    }
    return 0;
}

static void set_number(json_t *object, const char *name, int64_t value, const char *unit)
{
    CLEANUP_FREE char *text = xasprintf("%lld%s", (long long)value, unit);

    if (value > 0)
        json_object_set_new(object, name, json_string(text));
}

/* Of text that has been read before. */
static struct quantity quantity_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    struct quantity ret = {0};

    if (text && quantity_parse(text, &ret, NULL) < 0)
        return (struct quantity){0};
    return ret;
}

static bool exceeds(const json_t *one, const json_t *other, const char *name)
{
    struct quantity a = quantity_of(one, name);
    struct quantity b = quantity_of(other, name);

    return quantity_compare(&a, &b) > 0;
}

static int check_requests(const struct setting *kubernetes, const json_t *requests,
                          const json_t *limits, struct err *err)
{
    const char *name;
    json_t *value;

    json_object_foreach ((json_t *)requests, name, value) {
        struct setting resources = setting_member(kubernetes, "resources", NULL);
        struct setting list = setting_member(&resources, "requests", NULL);
        struct setting item = setting_member(&list, name, NULL);

        if (json_object_get(limits, name) && exceeds(requests, limits, name))
            return setting_error(&item, err, "is more than the limit: %.100s of %.100s",
                                 json_string_value(value),
                                 json_string_value(json_object_get(limits, name)));
    }
    return 0;
}

/* Adds requests that the container does not say: the job's, and its limits. */
static void complete_requests(json_t *requests, const json_t *common, const json_t *limits)
{
    const char *name;
    json_t *value;

    json_object_foreach ((json_t *)common, name, value) {
        if (json_object_get(requests, name))
            continue;
        if (json_object_get(limits, name) && exceeds(common, limits, name))
            value = json_object_get(limits, name);
        json_object_set(requests, name, value);
    }
    json_object_foreach ((json_t *)limits, name, value) {
        if (!json_object_get(requests, name))
            json_object_set(requests, name, value);
    }
}

static int read_container(struct pod_builder *b, size_t container, json_t *common, struct err *err)
{
    bool service = b->spec->containers[container].service;
    const struct pod_resources *given = &b->spec->containers[container].resources;
    const struct setting *kubernetes = &b->containers[container];
    json_t *limits = json_object();
    json_t *requests = json_object();

    b->resources[container] = json_pack("{s:o, s:o}", "limits", limits, "requests", requests);
    if (!service && read_section(&b->kubernetes, "limits", limits, err) < 0)
        return -1;
    set_number(limits, "cpu", given->cpus_milli, "m");
    set_number(limits, "memory", given->memory_bytes, "");
    set_number(limits, "ephemeral-storage", given->disk_bytes, "");
    if (read_section(kubernetes, "limits", limits, err) < 0 ||
        read_section(kubernetes, "requests", requests, err) < 0 ||
        check_requests(kubernetes, requests, limits, err) < 0)
        return -1;
    complete_requests(requests, service ? NULL : common, limits);
    return 0;
}

/* Whether a request may be less than the limit. Devices and huge pages belong to one container. */
static bool may_be_less(const char *name)
{
    return strchr(name, '/') ? strstr(name, "kubernetes.io/") != NULL
                             : strncmp(name, "hugepages-", 10) != 0;
}

/* Only the container for steps that requests most of a resource goes on requesting it. The others
 * say 0, as without a word they would request their limit. */
static void share(struct pod_builder *b, const char *name)
{
    const struct pod_spec *spec = b->spec;
    const json_t *most = NULL;

    for (size_t i = 0; i < spec->container_count; i++) {
        const json_t *requests = json_object_get(b->resources[i], "requests");

        if (!spec->containers[i].service && json_object_get(requests, name) &&
            (!most || exceeds(requests, most, name)))
            most = requests;
    }
    for (size_t i = 0; i < spec->container_count; i++) {
        json_t *requests = json_object_get(b->resources[i], "requests");

        if (!spec->containers[i].service && requests != most)
            json_object_set_new(requests, name, json_string("0"));
    }
}

static void share_all(struct pod_builder *b)
{
    json_t *names = json_object();
    const char *name;
    json_t *value;

    for (size_t i = 0; i < b->spec->container_count; i++) {
        if (!b->spec->containers[i].service)
            json_object_update(names, json_object_get(b->resources[i], "requests"));
    }
    json_object_foreach (names, name, value) {
        if (may_be_less(name))
            share(b, name);
    }
    json_decref(names);
}

int pod_resources(struct pod_builder *b, struct err *err)
{
    json_t *common = json_object();
    int result = read_section(&b->kubernetes, "requests", common, err);

    for (size_t i = 0; result == 0 && i < b->spec->container_count; i++)
        result = read_container(b, i, common, err);
    json_decref(common);
    if (result == 0 && !b->spec->overlapping)
        share_all(b);
    return result;
}
