#include "k8s/applyset.h"

#include <string.h>

#include "base/base64.h"
#include "base/json_at.h"
#include "base/map.h"
#include "base/sha256.h"
#include "k8s/delete.h"
#include "k8s/follow.h"

#define TOOLING     "applyset.kubernetes.io/tooling"
#define GROUP_KINDS "applyset.kubernetes.io/contains-group-kinds"
#define NAMESPACES  "applyset.kubernetes.io/additional-namespaces"
#define TOOL        "runner/v1"

struct applyset {
    char *name;
    char *ns;
    char *id;
    bool exists;          /* the parent */
    struct strmap kinds;  /* "Deployment.apps" → "" */
    struct strmap spaces; /* → ""; the parent's own among them */
};

/* --- names --- */

static char *make_id(const char *name, const char *ns)
{
    CLEANUP_FREE char *text = xasprintf("%s.%s.ConfigMap.", name, ns);
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct sha256 hash;
    uint8_t digest[SHA256_SIZE];

    sha256_begin(&hash);
    sha256_add(&hash, text, strlen(text));
    sha256_end(&hash, digest);
    buf_addstr(&out, "applyset-");
    base64url_encode(&out, digest, sizeof(digest));
    while (out.data[out.len - 1] == '=')
        buf_truncate(&out, out.len - 1);
    buf_addstr(&out, "-v1");
    return buf_steal(&out);
}

static void split(const char *text, struct strmap *into)
{
    while (*text) {
        const size_t len = strcspn(text, ",");
        CLEANUP_FREE char *item = xstrndup(text, len);

        if (len)
            strmap_set(into, item, "");
        text += len + (text[len] == ',');
    }
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct strmap_entry *)a)->key, ((const struct strmap_entry *)b)->key);
}

/* Sorted, with commas between, without one of them. */
static char *join(const struct strmap *map, const char *without)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    CLEANUP_FREE struct strmap_entry *entries = xcalloc(map->len + 1, sizeof(*entries));

    memcpy(entries, map->entries, map->len * sizeof(*entries));
    qsort(entries, map->len, sizeof(*entries), by_key);
    for (size_t i = 0; i < map->len; i++) {
        if (!without || strcmp(entries[i].key, without) != 0)
            buf_addf(&out, "%s%s", out.len ? "," : "", entries[i].key);
    }
    return buf_steal(&out);
}

static char *group_kind(const char *api_version, const char *kind)
{
    size_t len;
    const char *group = manifest_group(api_version, &len);

    return xasprintf("%s%s%.*s", kind, len ? "." : "", (int)len, group);
}

static void add_list(const struct manifest_list *list, struct strmap *kinds, struct strmap *spaces)
{
    vec_foreach (const struct manifest *, m, &list->items) {
        CLEANUP_FREE char *kind = group_kind(m->api_version, m->kind);
        const json_t *metadata = json_object_get(m->object, "metadata");

        strmap_set(kinds, kind, "");
        if (m->ns)
            strmap_set(spaces, m->ns, "");
        else if (!m->resource && *json_at_string(metadata, "namespace"))
            strmap_set(spaces, json_at_string(metadata, "namespace"), "");
    }
}

/* --- the parent --- */

static struct kube_ref parent_ref(const struct applyset *set)
{
    return (struct kube_ref){.api_version = "v1",
                             .resource = "configmaps",
                             .ns = set->ns,
                             .name = set->name};
}

static const char *member(const json_t *object, const char *map, const char *key)
{
    const char *text = json_string_value(json_object_get(json_at(object, map), key));

    return text ? text : "";
}

static int read_parent(const json_t *parent, struct applyset *set, struct err *err)
{
    const char *id = member(parent, "metadata.labels", APPLYSET_ID);
    const char *tool = member(parent, "metadata.annotations", TOOLING);

    if (strcmp(id, set->id) != 0)
        return err_set(err, ERR_CONFLICT,
                       "the ConfigMap \"%s\" in the namespace %s is not an apply set; choose "
                       "another name for the set",
                       set->name, set->ns);
    if (strncmp(tool, "runner/", 7) != 0)
        return err_set(
            err, ERR_CONFLICT,
            "the apply set \"%s\" in the namespace %s belongs to %s; choose another name",
            set->name, set->ns, *tool ? tool : "another tool");
    split(member(parent, "metadata.annotations", GROUP_KINDS), &set->kinds);
    split(member(parent, "metadata.annotations", NAMESPACES), &set->spaces);
    return 0;
}

int applyset_open(const struct ctx *ctx, struct kube_client *client, const char *name,
                  const char *ns, struct applyset **ret, struct err *err)
{
    struct applyset *set = xcalloc(1, sizeof(*set));
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = "configmaps",
                                 .ns = ns,
                                 .name = name};
    json_t *parent = NULL;
    struct err why = ERR_INIT;
    int result = 0;

    set->name = xstrdup(name);
    set->ns = xstrdup(ns);
    set->id = make_id(name, ns);
    strmap_set(&set->spaces, ns, "");
    set->exists = kube_get(ctx, client, &ref, &parent, &why) == 0;
    if (set->exists)
        result = read_parent(parent, set, &why);
    else if (why.code != ERR_NOT_FOUND)
        result = -1;
    json_decref(parent);
    if (result < 0) {
        applyset_free(set);
        if (err)
            *err = why;
        return -1;
    }
    *ret = set;
    return 0;
}

void applyset_free(struct applyset *set)
{
    if (!set)
        return;
    strmap_release(&set->kinds);
    strmap_release(&set->spaces);
    free(set->name);
    free(set->ns);
    free(set->id);
    free(set);
}

const char *applyset_id(const struct applyset *set)
{
    return set->id;
}

static int write_parent(const struct ctx *ctx, struct kube_client *client,
                        const struct applyset *set, const struct strmap *kinds,
                        const struct strmap *spaces, struct err *err)
{
    const struct kube_patch_options options = {.field_manager = MANIFEST_SET_MANAGER,
                                               .force = true};
    const struct kube_ref ref = parent_ref(set);
    CLEANUP_FREE char *kind_list = join(kinds, NULL);
    CLEANUP_FREE char *space_list = join(spaces, set->ns);
    json_t *parent = json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}, s:{s:s, s:s, s:s}}}", "apiVersion",
                               "v1", "kind", "ConfigMap", "metadata", "name", set->name,
                               "namespace", set->ns, "labels", APPLYSET_ID, set->id, "annotations",
                               TOOLING, TOOL, GROUP_KINDS, kind_list, NAMESPACES, space_list);
    int result = kube_patch(ctx, client, &ref, KUBE_PATCH_APPLY, parent, &options, NULL, err);

    json_decref(parent);
    return result < 0 ? err_wrap(err, "apply set %s", set->name) : 0;
}

/* It is an object as the others are. */
static int tell_parent(const struct applyset *set, struct manifest_report *report, struct err *err)
{
    const struct manifest parent = {.api_version = "v1",
                                    .kind = "ConfigMap",
                                    .name = set->name,
                                    .ns = set->ns,
                                    .namespaced = true};

    return manifest_report_creating(report, &parent, err);
}

int applyset_extend(const struct ctx *ctx, struct kube_client *client, struct applyset *set,
                    const struct manifest_list *list, struct manifest_report *report,
                    struct err *err)
{
    if (!set->exists && tell_parent(set, report, err) < 0)
        return -1;
    set->exists = true;
    add_list(list, &set->kinds, &set->spaces);
    return write_parent(ctx, client, set, &set->kinds, &set->spaces, err);
}

/* --- what is no longer in it --- */

static bool is_applied_by_us(const json_t *object)
{
    const json_t *entry;
    size_t i;

    if (json_array_size(json_at(object, "metadata.ownerReferences")))
        return false;
    json_array_foreach (json_at(object, "metadata.managedFields"), i, entry) {
        if (strcmp(json_at_string(entry, "manager"), MANIFEST_FIELD_MANAGER) == 0 &&
            strcmp(json_at_string(entry, "operation"), "Apply") == 0)
            return true;
    }
    return false;
}

/* By its name, or by its UID: an object can be of kinds in several groups, such as an Ingress. */
static bool is_listed(const struct manifest_list *list, const json_t *object)
{
    const char *uid = json_at_string(object, "metadata.uid");
    const struct manifest found = {.api_version = json_at_string(object, "apiVersion"),
                                   .kind = json_at_string(object, "kind")};
    size_t len;
    const char *group = manifest_group(found.api_version, &len);
    CLEANUP_FREE char *own = xstrndup(group, len);

    vec_foreach (const struct manifest *, m, &list->items) {
        if (strcmp(json_at_string(m->live, "metadata.uid"), uid) == 0)
            return true;
        if (manifest_is(m, own, found.kind) &&
            strcmp(m->name, json_at_string(object, "metadata.name")) == 0 &&
            strcmp(m->ns ? m->ns : "", json_at_string(object, "metadata.namespace")) == 0)
            return true;
    }
    return false;
}

/* Adds what has left the set to `gone`; its objects are references to `live`. */
static void sift(const struct manifest_list *list, const json_t *items,
                 const struct kube_resource *resource, struct manifest_list *gone)
{
    json_t *object;
    size_t i;

    json_array_foreach (items, i, object) {
        const char *ns = json_at_string(object, "metadata.namespace");
        struct manifest m = {.source = "apply set", .live = object, .object = object};

        if (is_listed(list, object) || !is_applied_by_us(object) ||
            *json_at_string(object, "metadata.deletionTimestamp"))
            continue;
        json_incref(object);
        json_incref(object);
        m.api_version = json_at_string(object, "apiVersion");
        m.kind = json_at_string(object, "kind");
        m.name = json_at_string(object, "metadata.name");
        m.ns = *ns ? xstrdup(ns) : NULL;
        m.resource = xstrdup(resource->resource);
        m.namespaced = resource->namespaced;
        vec_push(&gone->items, m);
    }
}

static int list_members(const struct ctx *ctx, struct kube_client *client,
                        const struct applyset *set, const struct kube_resource *resource,
                        const char *ns, const struct manifest_list *list,
                        struct manifest_list *gone, struct err *err)
{
    const struct kube_ref ref = {.api_version = resource->api_version,
                                 .resource = resource->resource,
                                 .ns = ns};
    CLEANUP_FREE char *labels = xasprintf("%s=%s", APPLYSET_PART_OF, set->id);
    json_t *found = NULL;

    if (kube_list(ctx, client, &ref, &(struct kube_selector){.labels = labels}, 0, &found, err) < 0)
        return -1;
    sift(list, json_object_get(found, "items"), resource, gone);
    json_decref(found);
    return 0;
}

static int find_kind(const struct ctx *ctx, struct kube_client *client, const struct applyset *set,
                     const char *group_and_kind, const struct manifest_list *list,
                     struct manifest_list *gone, struct err *err)
{
    const size_t len = strcspn(group_and_kind, ".");
    CLEANUP_FREE char *kind = xstrndup(group_and_kind, len);
    const char *group = group_and_kind + len + (group_and_kind[len] == '.');
    struct kube_resource resource;
    struct err why = ERR_INIT;

    if (kube_discover_group(ctx, client, group, kind, &resource, &why) < 0) {
        if (why.code == ERR_NOT_FOUND) /* and its objects have gone with it */
            return 0;
        if (err)
            *err = why;
        return -1;
    }
    if (!resource.namespaced)
        return list_members(ctx, client, set, &resource, NULL, list, gone, err);
    strmap_foreach (space, &set->spaces) {
        if (list_members(ctx, client, set, &resource, space->key, list, gone, err) < 0)
            return -1;
    }
    return 0;
}

static int delete_gone(const struct ctx *ctx, struct kube_cluster *cluster,
                       struct kube_client *client, struct manifest_list *gone,
                       const struct manifest_apply_options *o, struct manifest_report *report,
                       struct err *err)
{
    struct manifest_ptrs items = {0};
    int result = 0;

    for (int rank = RANK_COUNT - 1; rank >= 0 && result == 0; rank--) {
        vec_foreach (struct manifest *, m, &gone->items) {
            if (manifest_rank(m) != (enum manifest_rank)rank || result < 0)
                continue;
            result = manifest_delete_one(ctx, client, m, json_at_string(m->live, "metadata.uid"),
                                         false, err);
            manifest_report_done(report, m, "pruned");
            vec_push(&items, m);
        }
    }
    if (result == 0 && o->wait)
        result = manifest_follow(ctx, cluster, items.items, items.len, FOLLOW_GONE, o->timeout_ms,
                                 report, err);
    vec_release(&items);
    return result;
}

int applyset_prune(const struct ctx *ctx, struct kube_cluster *cluster, struct kube_client *client,
                   struct applyset *set, const struct manifest_list *list,
                   const struct manifest_apply_options *o, struct manifest_report *report,
                   struct err *err)
{
    CLEANUP_MANIFEST_LIST struct manifest_list gone = {0};
    CLEANUP_STRMAP struct strmap kinds = {0};
    CLEANUP_STRMAP struct strmap spaces = {0};

    strmap_foreach (kind, &set->kinds) {
        if (find_kind(ctx, client, set, kind->key, list, &gone, err) < 0)
            return -1;
    }
    if (o->dry_run) {
        vec_foreach (const struct manifest *, m, &gone.items)
            manifest_report_done(report, m, "would be pruned");
        return 0;
    }
    if (delete_gone(ctx, cluster, client, &gone, o, report, err) < 0)
        return err_wrap(err, "pruning");
    add_list(list, &kinds, &spaces);
    return write_parent(ctx, client, set, &kinds, &spaces, err);
}
