#include "k8s/compat.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/json_at.h"
#include "k8s/manifest.h"

static json_t *at(json_t *object, const char *path)
{
    return (json_t *)json_at(object, path);
}

static void write_ports(json_t *owner)
{
    json_t *port;
    size_t i;

    json_array_foreach (json_object_get(owner, "ports"), i, port) {
        if (json_is_object(port) && !json_object_get(port, "protocol"))
            json_object_set_new(port, "protocol", json_string("TCP"));
    }
}

/* Numbers of a map of quantities become strings. */
static void write_quantities(json_t *map)
{
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(map, next, key, value)
    {
        CLEANUP_FREE char *text = json_is_integer(value)
                                      ? xasprintf("%lld", (long long)json_integer_value(value))
                                  : json_is_real(value) ? xasprintf("%.15g", json_real_value(value))
                                                        : NULL;

        if (text)
            json_object_set_new(map, key, json_string(text));
    }
}

static void write_resources(json_t *owner)
{
    write_quantities(at(owner, "resources.limits"));
    write_quantities(at(owner, "resources.requests"));
}

static void write_pod(json_t *spec)
{
    static const char *const lists[] = {"initContainers", "containers"};
    json_t *container;
    size_t i;

    for (size_t list = 0; list < sizeof(lists) / sizeof(*lists); list++) {
        json_array_foreach (json_object_get(spec, lists[list]), i, container) {
            write_ports(container);
            write_resources(container);
        }
    }
}

static void write_claims(json_t *object)
{
    json_t *claim;
    size_t i;

    json_array_foreach (at(object, "spec.volumeClaimTemplates"), i, claim)
        write_resources(json_object_get(claim, "spec"));
}

static void write_limits(json_t *object)
{
    static const char *const maps[] = {"max", "min", "default", "defaultRequest"};
    json_t *limit;
    size_t i;

    json_array_foreach (at(object, "spec.limits"), i, limit) {
        for (size_t map = 0; map < sizeof(maps) / sizeof(*maps); map++)
            write_quantities(json_object_get(limit, maps[map]));
    }
}

void compat_write_out(json_t *object)
{
    static const struct {
        const char *group;
        const char *kind;
        const char *pod; /* where the spec of a pod is */
    } rows[] = {
        {"", "Pod", "spec"},
        {"", "ReplicationController", "spec.template.spec"},
        {"", "PodTemplate", "template.spec"},
        {"apps", "Deployment", "spec.template.spec"},
        {"apps", "StatefulSet", "spec.template.spec"},
        {"apps", "DaemonSet", "spec.template.spec"},
        {"apps", "ReplicaSet", "spec.template.spec"},
        {"batch", "Job", "spec.template.spec"},
        {"batch", "CronJob", "spec.jobTemplate.spec.template.spec"},
    };
    const struct manifest m = {.api_version = json_at_string(object, "apiVersion"),
                               .kind = json_at_string(object, "kind")};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (manifest_is(&m, rows[i].group, rows[i].kind))
            write_pod(at(object, rows[i].pod));
    }
    if (manifest_is(&m, "apps", "StatefulSet"))
        write_claims(object);
    else if (manifest_is(&m, "", "Service"))
        write_ports(json_object_get(object, "spec"));
    else if (manifest_is(&m, "", "PersistentVolumeClaim"))
        write_resources(json_object_get(object, "spec"));
    else if (manifest_is(&m, "", "PersistentVolume"))
        write_quantities(at(object, "spec.capacity"));
    else if (manifest_is(&m, "", "ResourceQuota"))
        write_quantities(at(object, "spec.hard"));
    else if (manifest_is(&m, "", "LimitRange"))
        write_limits(object);
}
