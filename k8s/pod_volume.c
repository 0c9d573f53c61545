#include <string.h>

#include "base/alloc.h"
#include "base/json_text.h"
#include "k8s/pod_internal.h"

static const char *const source_names[] = {"config_map", "secret", "pvc", "empty_dir"};
static const char *const entry_names[] = {"mount", "config_map", "secret",   "pvc", "empty_dir",
                                          "items", "read_only",  "sub_path", NULL};

static json_t *new_volume(const char *name, const char *type, json_t *source)
{
    return json_pack("{s:s, s:o}", "name", name, type, source);
}

static json_t *new_mount(const char *volume, const char *path, bool read_only)
{
    json_t *mount = json_pack("{s:s, s:o}", "name", volume, "mountPath", json_safe_string(path));

    if (read_only)
        json_object_set_new(mount, "readOnly", json_true());
    return mount;
}

static json_t *tools_volume(const char *config_map, const char *architecture)
{
    CLEANUP_FREE char *key = xasprintf(POD_HELPER_KEY "-%s", architecture);
    json_t *item = json_pack("{s:s, s:s}", "key", key, "path", "helper");

    return new_volume(POD_VOLUME_TOOLS, "configMap",
                      json_pack("{s:o, s:i, s:[o]}", "name", json_safe_string(config_map),
                                "defaultMode", 0555, "items", item));
}

static json_t *claim_source(const char *claim)
{
    return json_pack("{s:o}", "claimName", json_safe_string(claim));
}

/* Reads `kubernetes.workspace`: the claim that it names and the size of one to be made, either of
 * which may be NULL. */
static int read_workspace(const struct setting *kubernetes, struct setting *ret,
                          const char **ret_claim, json_t **ret_size, struct err *err)
{
    static const char *const names[] = {"pvc", "size", "storage_class", NULL};
    struct setting setting;
    struct quantity quantity;

    *ret_claim = NULL;
    *ret_size = NULL;
    if (!setting_get(kubernetes, "workspace", ret))
        return 0;
    if (setting_known(ret, names, err) < 0)
        return -1;
    if (setting_get(ret, "pvc", &setting)) {
        if (setting_has(ret, "size") || setting_has(ret, "storage_class"))
            return setting_error(ret, err, "must have \"pvc\" or else \"size\", not both");
        *ret_claim = setting_string(&setting, err);
        return *ret_claim ? 0 : -1;
    }
    if (!setting_get(ret, "size", &setting))
        return setting_error(ret, err,
                             "must have \"pvc\", a claim, or \"size\", that of a new one");
    return setting_quantity(&setting, &quantity, ret_size, err);
}

static int add_workspace(struct pod_builder *b, struct err *err)
{
    const char *claim;
    json_t *size;
    struct setting workspace;
    json_t *volume;

    if (read_workspace(&b->kubernetes, &workspace, &claim, &size, err) < 0)
        return -1;
    if (!b->spec->workspace) {
        json_decref(size);
        return 0;
    }
    if (size) {
        json_decref(size);
        claim = b->spec->workspace_claim;
        if (!claim)
            return setting_error(&workspace, err, "has no claim that was made for it");
    }
    volume = claim ? new_volume(POD_VOLUME_WORKSPACE, "persistentVolumeClaim", claim_source(claim))
                   : new_volume(POD_VOLUME_WORKSPACE, "emptyDir", json_object());
    json_array_append_new(b->volumes, volume);
    return 0;
}

int pod_claim_spec(const json_t *kubernetes, json_t **ret, struct err *err)
{
    const struct setting root = {.name = "kubernetes", .value = kubernetes};
    struct setting workspace;
    const char *claim;
    json_t *size;
    json_t *object;

    if (read_workspace(&root, &workspace, &claim, &size, err) < 0)
        return -1;
    if (!size) {
        *ret = NULL;
        return 0;
    }
    object = json_pack("{s:[s], s:{s:{s:o}}}", "accessModes", "ReadWriteOnce", "resources",
                       "requests", "storage", size);
    if (setting_copy_string(&workspace, "storage_class", object, "storageClassName", err) < 0) {
        json_decref(object);
        return -1;
    }
    *ret = object;
    return 0;
}

static int empty_dir_source(const struct setting *setting, json_t **ret, struct err *err)
{
    static const char *const names[] = {"medium", "size_limit", NULL};
    struct setting size;
    struct quantity quantity;
    json_t *text;

    *ret = json_object();
    if (json_is_null(setting->value))
        return 0;
    if (setting_known(setting, names, err) < 0 ||
        setting_copy_string(setting, "medium", *ret, "medium", err) < 0)
        return -1;
    if (!setting_get(setting, "size_limit", &size))
        return 0;
    if (setting_quantity(&size, &quantity, &text, err) < 0)
        return -1;
    return json_object_set_new(*ret, "sizeLimit", text);
}

/* Which of the sources an entry has: *ret is that member. */
static int find_source(const struct setting *entry, struct setting *ret, struct err *err)
{
    size_t count = 0;

    for (size_t i = 0; i < sizeof(source_names) / sizeof(source_names[0]); i++) {
        const json_t *value = json_object_get(entry->value, source_names[i]);

        if (!value || (json_is_null(value) && strcmp(source_names[i], "empty_dir") != 0))
            continue;
        *ret = setting_member(entry, source_names[i], value);
        count++;
    }
    if (count != 1)
        return setting_error(entry, err, "must have one of config_map, secret, pvc and empty_dir%s",
                             count ? ", not several" : "");
    return 0;
}

/* Adds to the source of a volume which keys become files; `type` is the volume's. */
static int add_items(const struct setting *entry, const char *type, json_t *source, struct err *err)
{
    struct setting items;

    if (!setting_get(entry, "items", &items))
        return 0;
    if (strcmp(type, "configMap") != 0 && strcmp(type, "secret") != 0)
        return setting_error(&items, err, "goes with config_map or secret");
    if (!setting_is_array(&items, err))
        return -1;
    return json_object_set_new(source, "items", json_deep_copy(items.value));
}

/* The volume type, and its source as a new reference, which may be set on failure too. */
static int read_source(const struct setting *entry, const char **ret_type, json_t **ret,
                       struct err *err)
{
    struct setting setting;
    const char *field = "name";
    const char *name;

    if (find_source(entry, &setting, err) < 0)
        return -1;
    if (strcmp(setting.name, "empty_dir") == 0) {
        *ret_type = "emptyDir";
        return empty_dir_source(&setting, ret, err);
    }
    name = setting_string(&setting, err);
    if (!name)
        return -1;
    if (strcmp(setting.name, "config_map") == 0) {
        *ret_type = "configMap";
    } else if (strcmp(setting.name, "secret") == 0) {
        *ret_type = "secret";
        field = "secretName";
    } else {
        *ret_type = "persistentVolumeClaim";
        field = "claimName";
    }
    *ret = json_pack("{s:s}", field, name);
    return 0;
}

/* The name of the volume with that source, which is made unless there is one: but an empty
 * directory is always a new one. Takes the source. */
static const char *volume_name(struct pod_builder *b, const char *type, json_t *source)
{
    CLEANUP_FREE char *name = xasprintf("volume-%zu", json_array_size(b->volumes));
    const json_t *volume;
    size_t i;

    json_array_foreach (b->volumes, i, volume) {
        const char *known = json_string_value(json_object_get(volume, "name"));

        if (strncmp(known, "volume-", 7) == 0 && strcmp(type, "emptyDir") != 0 &&
            json_equal(json_object_get(volume, type), source)) {
            json_decref(source);
            return known;
        }
    }
    volume = new_volume(name, type, source);
    json_array_append_new(b->volumes, (json_t *)volume);
    return json_string_value(json_object_get(volume, "name"));
}

static bool same_path(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);

    while (a_len > 1 && a[a_len - 1] == '/')
        a_len--;
    while (b_len > 1 && b[b_len - 1] == '/')
        b_len--;
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool is_below(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    return strncmp(path, directory, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool has_mount(const json_t *mounts, const char *path)
{
    const json_t *mount;
    size_t i;

    json_array_foreach (mounts, i, mount) {
        if (same_path(json_string_value(json_object_get(mount, "mountPath")), path))
            return true;
    }
    return false;
}

/* Where an entry is mounted, or NULL. */
static const char *mount_path(const struct setting *entry, const struct pod_builder *b,
                              struct err *err)
{
    struct setting mount = setting_member(entry, "mount", json_object_get(entry->value, "mount"));
    const char *path;

    if (!mount.value) {
        setting_error(entry, err, "must have \"mount\", the path where it is mounted");
        return NULL;
    }
    path = setting_string(&mount, err);
    if (!path)
        return NULL;
    if (path[0] != '/' || strchr(path, ':') || same_path(path, "/"))
        setting_error(&mount, err,
                      "must be an absolute path without \":\", and not \"/\": \"%.200s\"", path);
    else if (is_below(path, "/.runner"))
        setting_error(&mount, err, "must not be in /.runner, which is the runner's own");
    else if (b->spec->workspace && same_path(path, b->spec->workspace))
        setting_error(&mount, err,
                      "is where the workspace is; set kubernetes.workspace of the job, or take "
                      "another path");
    else
        return path;
    return NULL;
}

static int add_entry(struct pod_builder *b, const struct setting *entry, json_t *mounts,
                     struct err *err)
{
    struct setting setting;
    bool read_only = false;
    const char *type = NULL;
    const char *path;
    json_t *source = NULL;
    json_t *mount;

    if (setting_known(entry, entry_names, err) < 0)
        return -1;
    path = mount_path(entry, b, err);
    if (!path)
        return -1;
    if (setting_get(entry, "read_only", &setting) && setting_bool(&setting, &read_only, err) < 0)
        return -1;
    if (has_mount(mounts, path)) {
        setting = setting_member(entry, "mount", NULL);
        return setting_error(&setting, err, "is the path of another volume: \"%.200s\"", path);
    }
    if (read_source(entry, &type, &source, err) < 0 || add_items(entry, type, source, err) < 0) {
        json_decref(source);
        return -1;
    }
    mount = new_mount(volume_name(b, type, source), path, read_only);
    json_array_append_new(mounts, mount);
    return setting_copy_string(entry, "sub_path", mount, "subPath", err);
}

static int add_entries(struct pod_builder *b, const struct setting *kubernetes, json_t *mounts,
                       struct err *err)
{
    struct setting volumes;

    if (!setting_get(kubernetes, "volumes", &volumes))
        return 0;
    if (!setting_is_array(&volumes, err))
        return -1;
    for (size_t i = 0; i < json_array_size(volumes.value); i++) {
        const struct setting entry = setting_item(&volumes, i);

        if (add_entry(b, &entry, mounts, err) < 0)
            return -1;
    }
    return 0;
}

static bool has_leased(const struct pod_spec *spec)
{
    for (size_t i = 0; i < spec->container_count; i++) {
        if (pod_is_leased(spec, &spec->containers[i]))
            return true;
    }
    return false;
}

int pod_volumes(struct pod_builder *b, struct err *err)
{
    json_array_append_new(b->volumes, tools_volume(b->spec->tools, b->spec->architecture));
    json_array_append_new(b->volumes, new_volume(POD_VOLUME_RELAY, "emptyDir", json_object()));
    if (has_leased(b->spec))
        json_array_append_new(b->volumes, new_volume(POD_VOLUME_LEASE, "emptyDir", json_object()));
    if (add_workspace(b, err) < 0)
        return -1;
    return add_entries(b, &b->kubernetes, b->common_mounts, err);
}

static void add_shm(struct pod_builder *b, size_t container, json_t *mounts)
{
    CLEANUP_FREE char *name = xasprintf("runner-shm-%zu", container);
    CLEANUP_FREE char *size =
        xasprintf("%lld", (long long)b->spec->containers[container].resources.shm_bytes);

    json_array_append_new(b->volumes, new_volume(name, "emptyDir",
                                                 json_pack("{s:s, s:s}", "medium", "Memory",
                                                           "sizeLimit", size)));
    json_array_append_new(mounts, new_mount(name, "/dev/shm", false));
}

int pod_mounts(struct pod_builder *b, size_t container, json_t **ret, struct err *err)
{
    const struct pod_container *c = &b->spec->containers[container];
    const json_t *mount;
    json_t *mounts = json_array();
    size_t i;

    json_array_append_new(mounts, new_mount(POD_VOLUME_TOOLS, POD_TOOLS_DIR, true));
    if (!c->service) {
        json_array_append_new(mounts, new_mount(POD_VOLUME_RELAY, POD_RELAY_DIR, false));
        if (b->spec->workspace)
            json_array_append_new(mounts,
                                  new_mount(POD_VOLUME_WORKSPACE, b->spec->workspace, false));
    }
    if (pod_is_leased(b->spec, c))
        json_array_append_new(mounts, new_mount(POD_VOLUME_LEASE, POD_LEASE_DIR, false));
    if (add_entries(b, &b->containers[container], mounts, err) < 0) {
        json_decref(mounts);
        return -1;
    }
    json_array_foreach (b->common_mounts, i, mount) {
        if (!has_mount(mounts, json_string_value(json_object_get(mount, "mountPath"))))
            json_array_append_new(mounts, json_deep_copy(mount));
    }
    if (c->resources.shm_bytes > 0 && !has_mount(mounts, "/dev/shm"))
        add_shm(b, container, mounts);
    *ret = mounts;
    return 0;
}
