#include "k8s/patch.h"

#include <string.h>

#define DIRECTIVE "$patch"

/* Lists of a Pod that are merged. Items are found by the key and, where there is one, by a second
 * one, which may be missing and then is as said. */
static const struct list {
    const char *path; /* from the Pod on; containers of all sorts are "containers" */
    const char *key;  /* NULL: a set of values */
    const char *second;
    const char *second_default;
} lists[] = {
    {"metadata.finalizers", NULL, NULL, NULL},
    {"metadata.ownerReferences", "uid", NULL, NULL},
    {"spec.containers", "name", NULL, NULL},
    {"spec.containers.env", "name", NULL, NULL},
    {"spec.containers.ports", "containerPort", "protocol", "TCP"},
    {"spec.containers.volumeDevices", "devicePath", NULL, NULL},
    {"spec.containers.volumeMounts", "mountPath", NULL, NULL},
    {"spec.hostAliases", "ip", NULL, NULL},
    {"spec.imagePullSecrets", "name", NULL, NULL},
    {"spec.resourceClaims", "name", NULL, NULL},
    {"spec.schedulingGates", "name", NULL, NULL},
    {"spec.topologySpreadConstraints", "topologyKey", "whenUnsatisfiable", NULL},
    {"spec.volumes", "name", NULL, NULL},
};

struct merge {
    const struct setting *root;
    struct err *err;
};

static int merge_map(const struct merge *m, json_t *target, const struct setting *patch);

static void add_path(const struct setting *setting, const struct setting *root, struct buf *out)
{
    const char *name = setting->name;

    if (setting == root)
        return;
    add_path(setting->parent, root, out);
    if (!name)
        return;
    if (strcmp(name, "initContainers") == 0 || strcmp(name, "ephemeralContainers") == 0)
        name = "containers";
    buf_addf(out, "%s%s", out->len ? "." : "", name);
}

/* NULL: the list is replaced. */
static const struct list *find_list(const struct merge *m, const struct setting *setting)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    add_path(setting, m->root, &path);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (strcmp(path.data, lists[i].path) == 0)
            return &lists[i];
    }
    return NULL;
}

/* What "$patch" says in a map: NULL when it says nothing. */
static int read_directive(const struct merge *m, const struct setting *map, const char **ret)
{
    const json_t *value = json_object_get(map->value, DIRECTIVE);
    const char *text = json_string_value(value);

    *ret = text;
    if (value && (!text || (strcmp(text, "delete") != 0 && strcmp(text, "replace") != 0)))
        return setting_error(map, m->err, "must have \"%s\" of delete or replace", DIRECTIVE);
    return 0;
}

/* The second key of an item; NULL: any. */
static const char *second_key(const json_t *item, const struct list *list)
{
    const char *text = json_string_value(json_object_get(item, list->second));

    return text ? text : list->second_default;
}

static bool same_key(const json_t *a, const json_t *b, const struct list *list)
{
    const char *second;
    const char *other;

    if (!json_equal(json_object_get(a, list->key), json_object_get(b, list->key)))
        return false;
    if (!list->second)
        return true;
    second = second_key(a, list);
    other = second_key(b, list);
    return !second || !other || strcmp(second, other) == 0;
}

/* Its index, or the size of the list. */
static size_t find_item(const json_t *target, const json_t *item, const struct list *list)
{
    size_t i;
    const json_t *known;

    json_array_foreach (target, i, known) {
        if (list->key ? same_key(known, item, list) : json_equal(known, item))
            return i;
    }
    return json_array_size(target);
}

static int check_item(const struct merge *m, const struct setting *item, const struct list *list)
{
    const json_t *second;

    if (!list->key)
        return 0;
    if (!setting_is_object(item, m->err))
        return -1;
    if (!setting_has(item, list->key))
        return setting_error(item, m->err, "must have \"%s\", by which it is merged", list->key);
    second = list->second ? json_object_get(item->value, list->second) : NULL;
    if (second && !json_is_string(second))
        return setting_error(item, m->err, "must have a string \"%s\"", list->second);
    return 0;
}

static int merge_item(const struct merge *m, json_t *target, const struct setting *item,
                      const struct list *list)
{
    const char *directive = NULL;
    size_t index;

    if (json_is_object(item->value)) {
        if (read_directive(m, item, &directive) < 0)
            return -1;
        if (directive && strcmp(directive, "replace") == 0)
            return 0; /* said of the whole list */
    }
    if (check_item(m, item, list) < 0)
        return -1;
    index = find_item(target, item->value, list);
    if (!list->key) {
        if (index == json_array_size(target))
            json_array_append_new(target, json_deep_copy(item->value));
        return 0;
    }
    if (directive) {
        while (index < json_array_size(target)) {
            json_array_remove(target, index);
            index = find_item(target, item->value, list);
        }
        return 0;
    }
    if (index == json_array_size(target))
        json_array_append_new(target, json_object());
    return merge_map(m, json_array_get(target, index), item);
}

/* Whether an item says that the others are the whole list. */
static bool says_replace(const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        const char *text = json_string_value(json_object_get(item, DIRECTIVE));

        if (text && strcmp(text, "replace") == 0)
            return true;
    }
    return false;
}

static int merge_list(const struct merge *m, json_t *target, const struct setting *patch,
                      const struct list *list)
{
    if (says_replace(patch->value))
        json_array_clear(target);
    for (size_t i = 0; i < json_array_size(patch->value); i++) {
        const struct setting item = setting_item(patch, i);

        if (merge_item(m, target, &item, list) < 0)
            return -1;
    }
    return 0;
}

/* A member that is a map. */
static int merge_object(const struct merge *m, json_t *target, const struct setting *member)
{
    json_t *old = json_object_get(target, member->name);
    const char *directive;

    if (read_directive(m, member, &directive) < 0)
        return -1;
    if (directive && strcmp(directive, "delete") == 0) {
        json_object_del(target, member->name);
        return 0;
    }
    if (directive || !json_is_object(old)) {
        old = json_object();
        json_object_set_new(target, member->name, old);
    }
    return merge_map(m, old, member);
}

static int merge_array(const struct merge *m, json_t *target, const struct setting *member)
{
    const struct list *list = find_list(m, member);
    json_t *old = json_object_get(target, member->name);

    if (!list) {
        json_object_set_new(target, member->name, json_deep_copy(member->value));
        return 0;
    }
    if (!json_is_array(old)) {
        old = json_array();
        json_object_set_new(target, member->name, old);
    }
    return merge_list(m, old, member, list);
}

static int merge_member(const struct merge *m, json_t *target, const struct setting *member)
{
    if (strcmp(member->name, DIRECTIVE) == 0)
        return 0;
    if (member->name[0] == '$')
        return setting_error(member, m->err,
                             "is not supported; of directives there are \"$patch: delete\" and "
                             "\"$patch: replace\"");
    if (json_is_object(member->value))
        return merge_object(m, target, member);
    if (json_is_array(member->value))
        return merge_array(m, target, member);
    if (json_is_null(member->value))
        json_object_del(target, member->name);
    else
        json_object_set_new(target, member->name, json_copy((json_t *)member->value));
    return 0;
}

static int merge_map(const struct merge *m, json_t *target, const struct setting *patch)
{
    const char *name;
    json_t *value;

    json_object_foreach ((json_t *)patch->value, name, value) {
        const struct setting member = setting_member(patch, name, value);

        if (merge_member(m, target, &member) < 0)
            return -1;
    }
    return 0;
}

int patch_strategic(json_t *object, const struct setting *patch, struct err *err)
{
    const struct merge m = {patch, err};

    if (!setting_is_object(patch, err))
        return -1;
    if (json_object_get(patch->value, DIRECTIVE))
        return setting_error(patch, err, "must not have \"%s\" for the whole", DIRECTIVE);
    return merge_map(&m, object, patch);
}
