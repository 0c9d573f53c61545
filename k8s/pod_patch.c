#include <stdarg.h>
#include <string.h>

#include "k8s/patch.h"
#include "k8s/pod_internal.h"

/* The pod before and after the patch. */
struct change {
    const struct pod_spec *spec;
    const struct setting *patch;
    const json_t *before;
    const json_t *after;
};

static const json_t *at(const json_t *pod, const char *object, const char *name)
{
    return json_object_get(json_object_get(pod, object), name);
}

/* Equal, or missing in both. */
static bool same(const json_t *a, const json_t *b)
{
    return a == b || json_equal(a, b);
}

static int changed(const struct change *c, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int changed(const struct change *c, struct err *err, const char *fmt, ...)
{
    CLEANUP_BUF struct buf what = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&what, fmt, args);
    va_end(args);
    return setting_error(c->patch, err, "changes %s, which the runner relies on; leave it as it is",
                         what.data);
}

static int check_fields(const struct change *c, struct err *err)
{
    static const struct {
        const char *object; /* NULL: the pod */
        const char *name;
    } fields[] = {
        {NULL, "apiVersion"},      {NULL, "kind"}, {"metadata", "name"}, {"metadata", "namespace"},
        {"spec", "restartPolicy"},
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const char *object = fields[i].object;
        const char *name = fields[i].name;
        const json_t *old = object ? at(c->before, object, name) : json_object_get(c->before, name);
        const json_t *now = object ? at(c->after, object, name) : json_object_get(c->after, name);

        if (!same(old, now))
            return changed(c, err, "%s%s%s", object ? object : "", object ? "." : "", name);
    }
    return 0;
}

static int check_map(const struct change *c, const struct strmap *map, const char *field,
                     struct err *err)
{
    if (!map)
        return 0;
    strmap_foreach (entry, map) {
        if (!same(json_object_get(at(c->before, "metadata", field), entry->key),
                  json_object_get(at(c->after, "metadata", field), entry->key)))
            return changed(c, err, "metadata.%s[\"%.200s\"]", field, entry->key);
    }
    return 0;
}

/* The item of that name. */
static const json_t *named(const json_t *list, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        const char *text = json_string_value(json_object_get(item, "name"));

        if (text && strcmp(text, name) == 0)
            return item;
    }
    return NULL;
}

static bool contains(const json_t *list, const json_t *wanted)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        if (json_equal(item, wanted))
            return true;
    }
    return false;
}

/* Volumes and mounts of the runner are in lists by their names, once. */
static bool same_named(const json_t *before, const json_t *after)
{
    static const char *const names[] = {POD_VOLUME_TOOLS, POD_VOLUME_RELAY, POD_VOLUME_LEASE,
                                        POD_VOLUME_WORKSPACE};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *old = named(before, names[i]);

        if (old && !contains(after, old))
            return false;
    }
    return true;
}

static int check_container(const struct change *c, const struct pod_container *container,
                           struct err *err)
{
    const char *list = pod_is_sidecar(c->spec, container) ? "initContainers" : "containers";
    const json_t *before = named(at(c->before, "spec", list), container->name);
    const json_t *after = named(at(c->after, "spec", list), container->name);
    const char *what = NULL;

    if (!after)
        what = "name or place";
    else if (!same_named(json_object_get(before, "volumeMounts"),
                         json_object_get(after, "volumeMounts")))
        what = "mounts of the runner's volumes";
    else if (!container->service &&
             (!same(json_object_get(before, "command"), json_object_get(after, "command")) ||
              json_array_size(json_object_get(after, "args"))))
        what = "command";
    return what ? changed(c, err, "the %s of container %s", what, container->name) : 0;
}

static int check(const struct change *c, struct err *err)
{
    const json_t *owners = at(c->before, "metadata", "ownerReferences");

    if (check_fields(c, err) < 0 || check_map(c, c->spec->labels, "labels", err) < 0 ||
        check_map(c, c->spec->annotations, "annotations", err) < 0)
        return -1;
    if (owners && !contains(at(c->after, "metadata", "ownerReferences"), json_array_get(owners, 0)))
        return changed(c, err, "metadata.ownerReferences");
    if (!same_named(at(c->before, "spec", "volumes"), at(c->after, "spec", "volumes")))
        return changed(c, err, "the runner's volumes");
    for (size_t i = 0; i < c->spec->container_count; i++) {
        if (check_container(c, &c->spec->containers[i], err) < 0)
            return -1;
    }
    return 0;
}

static int apply(json_t **pod, const struct setting *patch, struct err *err)
{
    if (json_is_object(patch->value))
        return patch_strategic(*pod, patch, err);
    if (json_is_array(patch->value))
        return patch_json(pod, patch, err);
    return setting_error(patch, err,
                         "must be a map, a strategic merge patch, or a list, a JSON Patch");
}

int pod_patch(struct pod_builder *b, json_t **pod, struct err *err)
{
    struct setting patch;
    json_t *before;
    int result;

    if (!setting_get(&b->kubernetes, "pod_patch", &patch))
        return 0;
    before = json_deep_copy(*pod);
    result = apply(pod, &patch, err);
    if (result == 0)
        result = check(&(struct change){b->spec, &patch, before, *pod}, err);
    json_decref(before);
    return result;
}
