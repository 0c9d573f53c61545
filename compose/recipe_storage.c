/* Volumes, secrets and configs of a service. */
#include "compose/recipe.h"

#include <string.h>

#include "base/alloc.h"

/* Whether an entry of Binds can say it; there a missing source is made. */
static bool fits_bind(const json_t *mount)
{
    const json_t *bind = json_object_get(mount, "bind");

    return compose_bool(bind, "create_host_path", true) && !compose_string(bind, "propagation") &&
           !compose_string(bind, "recursive");
}

static void add_bind(struct compose_recipe *r, const char *source, const json_t *mount)
{
    const char *selinux = compose_string(json_object_get(mount, "bind"), "selinux");
    bool read_only = compose_bool(mount, "read_only", false);
    bool nocopy = compose_bool(json_object_get(mount, "volume"), "nocopy", false);

    strvec_pushf(&r->lists[RECIPE_BINDS], "%s:%s:%s%s%s%s", source, compose_string(mount, "target"),
                 read_only ? "ro" : "rw", selinux ? "," : "", selinux ? selinux : "",
                 nocopy ? ",nocopy" : "");
}

static void add_bind_mount(struct compose_recipe *r, const json_t *mount)
{
    const json_t *bind = json_object_get(mount, "bind");
    const char *recursive = compose_string(bind, "recursive");

    if (fits_bind(mount)) {
        add_bind(r, compose_string(mount, "source"), mount);
        return;
    }
    vec_push(&r->mounts,
             ((struct docker_mount){
                 .type = DOCKER_MOUNT_BIND,
                 .source = compose_string(mount, "source"),
                 .target = compose_string(mount, "target"),
                 .read_only = compose_bool(mount, "read_only", false),
                 .propagation = compose_string(bind, "propagation"),
                 .create_mountpoint = compose_bool(bind, "create_host_path", true),
                 .nonrecursive = recursive && strcmp(recursive, "disabled") == 0,
                 .read_only_nonrecursive = recursive && strcmp(recursive, "writable") == 0,
                 .read_only_recursive = recursive && strcmp(recursive, "readonly") == 0,
             }));
}

static void add_volume(const struct compose_recipe_request *request, struct compose_recipe *r,
                       const json_t *mount)
{
    const json_t *settings = json_object_get(mount, "volume");
    const char *key = compose_string(mount, "source");
    const char *target = compose_string(mount, "target");
    const char *inherited = request->inherited ? strmap_get(request->inherited, target) : NULL;
    struct strmap *labels;

    if (key && !compose_string(settings, "subpath") && !json_object_get(settings, "labels")) {
        add_bind(r, compose_string(compose_volume(request->project, key), "name"), mount);
        return;
    }
    labels = compose_recipe_map(r);
    compose_pairs(settings, "labels", labels);
    vec_push(&r->mounts,
             ((struct docker_mount){
                 .type = DOCKER_MOUNT_VOLUME,
                 .source = key ? compose_string(compose_volume(request->project, key), "name")
                               : inherited,
                 .target = target,
                 .read_only = compose_bool(mount, "read_only", false),
                 .volume_nocopy = compose_bool(settings, "nocopy", false),
                 .volume_subpath = compose_string(settings, "subpath"),
                 .volume_labels = labels,
             }));
}

static int add_mount(const struct compose_recipe_request *request, struct compose_recipe *r,
                     const json_t *mount, struct err *err)
{
    const char *type = compose_string(mount, "type");
    const json_t *tmpfs = json_object_get(mount, "tmpfs");

    if (strcmp(type, "bind") == 0) {
        add_bind_mount(r, mount);
    } else if (strcmp(type, "volume") == 0) {
        add_volume(request, r, mount);
    } else if (strcmp(type, "tmpfs") == 0) {
        vec_push(&r->mounts, ((struct docker_mount){
                                 .type = DOCKER_MOUNT_TMPFS,
                                 .target = compose_string(mount, "target"),
                                 .read_only = compose_bool(mount, "read_only", false),
                                 .tmpfs_size_bytes = compose_bytes(tmpfs, "size", 0),
                                 .tmpfs_mode = (unsigned)compose_int(tmpfs, "mode", 0),
                             }));
    } else {
        return compose_error(request->project, mount, err, ERR_UNSUPPORTED,
                             "mounts of the type \"%s\" are not supported; use bind, volume or "
                             "tmpfs",
                             type);
    }
    return 0;
}

/* What the image or the file calls for without a name keeps the volume it had. */
static void add_inherited(const struct compose_recipe_request *request, struct compose_recipe *r)
{
    static const struct strmap none;
    const struct strmap *inherited = request->inherited ? request->inherited : &none;

    strmap_foreach (entry, inherited) {
        bool there = false;

        vec_foreach (const struct docker_mount *, mount, &r->mounts)
            there = there || strcmp(mount->target, entry->key) == 0;
        for (size_t i = 0; i < r->lists[RECIPE_BINDS].len; i++) {
            const char *target = strchr(r->lists[RECIPE_BINDS].items[i], ':') + 1;
            size_t len = strlen(entry->key);

            there = there || (strncmp(target, entry->key, len) == 0 && target[len] == ':');
        }
        if (!there)
            vec_push(&r->mounts, ((struct docker_mount){.type = DOCKER_MOUNT_VOLUME,
                                                        .source = entry->value,
                                                        .target = entry->key}));
    }
}

/* Those that are files; the others are copied into the container before it starts. */
static void add_files(const struct compose_recipe_request *request, const json_t *service,
                      struct compose_recipe *r, const char *member,
                      json_t *(*find)(const struct compose_project *, const char *))
{
    bool secrets = strcmp(member, "secrets") == 0;
    size_t i;
    json_t *use;

    json_array_foreach (json_object_get(service, member), i, use) {
        const char *source = compose_string(use, "source");
        const char *target = compose_string(use, "target");
        const char *file = compose_string(find(request->project, source), "file");

        if (file)
            vec_push(&r->mounts, ((struct docker_mount){
                                     .type = DOCKER_MOUNT_BIND,
                                     .source = file,
                                     .target = compose_file_target(r, secrets, source, target),
                                     .read_only = true,
                                 }));
    }
}

static void add_volumes_from(const struct compose_recipe_request *request, const json_t *service,
                             struct compose_recipe *r)
{
    CLEANUP_STRVEC struct strvec from = {0};
    struct strvec *out = &r->lists[RECIPE_VOLUMES_FROM];

    (void)compose_strings(service, "volumes_from", &from);
    for (size_t i = 0; i < from.len; i++) {
        const char *entry = from.items[i];
        size_t len = strcspn(entry, ":");
        CLEANUP_FREE char *name = xstrndup(entry, len);
        CLEANUP_FREE char *mode = NULL;

        if (strncmp(entry, "container:", 10) == 0) {
            strvec_push(out, entry + 10);
            continue;
        }
        mode = xasprintf("service:%s", name);
        strvec_pushf(out, "%s%s", compose_recipe_namespace(request, r, mode) + strlen("container:"),
                     entry + len);
    }
    r->create.volumes_from = (const char *const *)out->items;
}

static void add_tmpfs(const json_t *service, struct compose_recipe *r)
{
    CLEANUP_STRVEC struct strvec list = {0};

    (void)compose_strings(service, "tmpfs", &list);
    for (size_t i = 0; i < list.len; i++) {
        size_t len = strcspn(list.items[i], ":");
        CLEANUP_FREE char *path = xstrndup(list.items[i], len);

        strmap_set(&r->maps[RECIPE_TMPFS], path, list.items[i][len] ? list.items[i] + len + 1 : "");
    }
    r->create.tmpfs = &r->maps[RECIPE_TMPFS];
}

const char *compose_file_target(struct compose_recipe *r, bool secret, const char *source,
                                const char *target)
{
    if (!target)
        target = source;
    if (*target == '/')
        return compose_recipe_text(r, "%s", target);
    return compose_recipe_text(r, "%s/%s", secret ? "/run/secrets" : "", target);
}

int compose_recipe_storage(const struct compose_recipe_request *request, const json_t *service,
                           struct compose_recipe *r, struct err *err)
{
    size_t i;
    json_t *mount;

    json_array_foreach (json_object_get(service, "volumes"), i, mount) {
        if (add_mount(request, r, mount, err) < 0)
            return -1;
    }
    add_inherited(request, r);
    add_files(request, service, r, "secrets", compose_secret);
    add_files(request, service, r, "configs", compose_config);
    add_volumes_from(request, service, r);
    add_tmpfs(service, r);
    r->create.mounts = r->mounts.items;
    r->create.mount_count = r->mounts.len;
    r->create.binds = (const char *const *)r->lists[RECIPE_BINDS].items;
    return 0;
}
