#include "engine/docker/recipe.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "engine/docker/place.h"

#define SECCOMP_PROFILE_MAX ((size_t)1 << 20)
#define SANDBOX_PIDS        512
#define MOUNTS_MAX_BESIDES  2 /* the helper and the workspace */

void recipe_release(struct recipe *recipe)
{
    arena_release(&recipe->arena);
    strmap_release(&recipe->labels);
    strmap_release(&recipe->tmpfs);
    strmap_release(&recipe->storage);
    free(recipe->key);
    *recipe = (struct recipe){0};
}

static const char *keep(struct recipe *recipe, const char *text)
{
    return arena_strndup(&recipe->arena, text, strlen(text));
}

static int add_seccomp(struct recipe *recipe, const char *profile, const char **ret,
                       struct err *err)
{
    CLEANUP_BUF struct buf option = BUF_INIT;

    buf_addstr(&option, "seccomp=");
    if (strcmp(profile, "unconfined") == 0)
        buf_addstr(&option, profile);
    else if (fs_read_file(profile, SECCOMP_PROFILE_MAX, &option, err) < 0)
        return err_wrap(err, "security.seccomp");
    *ret = keep(recipe, option.data);
    return 0;
}

static int add_security(struct recipe *recipe, const struct container_shape *shape, struct err *err)
{
    const struct container_security *security = &shape->security;
    struct docker_create *create = &recipe->create;
    const char **options = arena_alloc(&recipe->arena, 3 * sizeof(*options));

    create->security_opt = options;
    create->cap_add = security->cap_add;
    create->cap_drop = security->cap_drop;
    create->read_only_rootfs = security->read_only;
    create->userns_mode = security->userns;
    if (security->no_new_privileges || shape->sandbox)
        *options++ = "no-new-privileges";
    return security->seccomp ? add_seccomp(recipe, security->seccomp, options, err) : 0;
}

/* The strict preset, on top of what `security` says, which cannot loosen it. */
static int add_sandbox(struct recipe *recipe, const struct container_shape *shape, struct err *err)
{
    static const char *const all[] = {"ALL", NULL};
    struct docker_create *create = &recipe->create;

    if (shape->privileged)
        return err_set(err, ERR_INVALID, "`privileged` and `sandbox` exclude each other");
    if (shape->security.cap_add)
        return err_set(err, ERR_INVALID, "`security.cap_add` and `sandbox` exclude each other");
    create->cap_drop = all;
    create->read_only_rootfs = true;
    strmap_set(&recipe->tmpfs, "/tmp", "rw,nosuid,nodev,exec,mode=1777");
    create->tmpfs = &recipe->tmpfs;
    if (create->pids_limit <= 0)
        create->pids_limit = SANDBOX_PIDS;
    return 0;
}

static void add_resources(struct recipe *recipe, const struct spec_resources *resources)
{
    struct docker_create *create = &recipe->create;

    if (resources->cpus_milli > 0)
        create->cpus_milli = resources->cpus_milli;
    if (resources->memory_bytes > 0) {
        create->memory_bytes = resources->memory_bytes;
        /* Without this a container gets as much swap on top, and is slow instead of ended. */
        create->memory_swap_bytes = resources->memory_bytes;
    }
    if (resources->pids > 0)
        create->pids_limit = resources->pids;
    if (resources->shm_bytes > 0)
        create->shm_bytes = resources->shm_bytes;
    if (resources->disk_bytes > 0) {
        strmap_setf(&recipe->storage, "size", "%lld", (long long)resources->disk_bytes);
        create->storage_opt = &recipe->storage;
    }
}

static int add_mount(struct recipe *recipe, struct docker_place *place,
                     const struct mount_spec *mount, struct docker_mount *ret, struct err *err)
{
    CLEANUP_SELF_PATH struct self_path path = {0};

    ret->target = mount->target;
    ret->read_only = mount->read_only;
    if (*mount->source != '/') {
        ret->type = DOCKER_MOUNT_VOLUME;
        ret->source = mount->source;
        return 0;
    }
    if (self_translate(&place->instance->self, mount->source, place->instance->api_minor, &path,
                       err) < 0)
        return -1;
    ret->type = path.type;
    ret->source = keep(recipe, path.source);
    ret->volume_subpath = path.subpath ? keep(recipe, path.subpath) : NULL;
    return 0;
}

static bool has_target(const struct container_shape *shape, const char *target)
{
    for (size_t i = 0; i < shape->mount_count; i++) {
        if (strcmp(shape->mounts[i].target, target) == 0)
            return true;
    }
    return false;
}

/* `workspace` may be NULL. */
static int add_mounts(struct recipe *recipe, struct docker_place *place,
                      const struct docker_mount *workspace, const struct container_shape *shape,
                      struct err *err)
{
    struct docker_mount *mounts =
        arena_alloc(&recipe->arena, (shape->mount_count + MOUNTS_MAX_BESIDES) * sizeof(*mounts));
    size_t count = 0;

    mounts[count++] = (struct docker_mount){.type = DOCKER_MOUNT_VOLUME,
                                            .source = place->instance->tools.volume,
                                            .target = TOOLS_MOUNT,
                                            .read_only = true,
                                            .volume_nocopy = true};
    if (workspace && !has_target(shape, place->workspace))
        mounts[count++] = *workspace;
    for (size_t i = 0; i < shape->mount_count; i++) {
        if (add_mount(recipe, place, &shape->mounts[i], &mounts[count++], err) < 0)
            return -1;
    }
    recipe->create.mounts = mounts;
    recipe->create.mount_count = count;
    return 0;
}

/* Nothing can be brought to a root that is read-only, but to a volume in it, which the daemon fills
 * with what the image has at that place. */
static void add_placed(struct recipe *recipe, const struct runnable *runnable)
{
    const char **volumes;

    if (!recipe->create.read_only_rootfs || !runnable->placed_count)
        return;
    volumes = arena_alloc(&recipe->arena, (runnable->placed_count + 1) * sizeof(*volumes));
    recipe->create.anonymous_volumes = volumes;
    for (size_t i = 0; i < runnable->placed_count; i++) {
        const char *path = runnable->placed[i].path;

        *volumes++ = arena_strndup(&recipe->arena, path, (size_t)(strrchr(path, '/') - path));
    }
}

static void add_basics(struct recipe *recipe, struct docker_place *place,
                       const struct place_view *view, const struct runnable *runnable)
{
    static const char *const entrypoint[] = {TOOLS_HELPER, NULL};
    static const char *const one[] = {"exec", NULL};
    static const char *const many[] = {"serve", NULL};
    static const char *const no_check[] = {"NONE", NULL};
    static const struct docker_healthcheck no_healthcheck = {.test = no_check};
    const struct container_shape *shape = runnable->container;
    struct docker_create *create = &recipe->create;

    /* The daemon has one image of a name, which may be another platform's by now. */
    create->image = shape->platform ? recipe->image->id : shape->source.image;
    create->platform = shape->platform;
    create->entrypoint = entrypoint;
    recipe->shared = shape->shared;
    create->cmd = shape->shared ? many : one;
    create->user = runnable->user;
    /* The daemon makes it when it is missing; in a shared container the helper does. */
    create->workdir = runnable->workdir && !shape->shared ? runnable->workdir : place->workspace;
    create->privileged = shape->privileged;
    create->open_stdin = create->stdin_once = create->attach_stdin = create->attach_output = true;
    if (recipe->image->has_healthcheck)
        create->healthcheck = &no_healthcheck;
    /* Attach works without it, at three times the throughput, and the log is kept here. */
    create->log_driver = "none";
    if (shape->network)
        create->network_mode = shape->network;
    else if (shape->sandbox)
        create->network_mode = "none";
    else
        create->network_mode = view->network_mode;
}

/* The program of the image where it would be without us, in the network of the place's services. */
static void add_service(struct recipe *recipe, struct docker_place *place,
                        const struct runnable *runnable)
{
    /* Those who wait for a service do so by its health check, which images have made for longer
     * lives. The rest of it stays the image's. */
    static const struct docker_healthcheck often = {.interval_ms = 1000};
    const struct service_shape *service = runnable->service;
    struct docker_create *create = &recipe->create;
    const char **aliases = arena_alloc(&recipe->arena, 2 * sizeof(*aliases));
    struct docker_network_attach *attach = arena_alloc(&recipe->arena, sizeof(*attach));
    struct docker_port *ports =
        arena_alloc(&recipe->arena, (service->port_count + 1) * sizeof(*ports));
    bool remote = place->instance->self.place == SELF_ELSEWHERE;

    create->workdir = runnable->workdir;
    create->healthcheck = recipe->image->has_healthcheck ? &often : NULL;
    create->network_mode = NULL;
    aliases[0] = service->name;
    *attach = (struct docker_network_attach){.network = place->network, .aliases = aliases};
    create->networks = attach;
    create->network_count = 1;
    create->hostname = service->name;
    for (size_t i = 0; i < service->port_count; i++)
        ports[i] = (struct docker_port){.container_port = service->ports[i].port,
                                        .protocol = service->ports[i].udp ? "udp" : NULL,
                                        .host_ip = remote ? NULL : "127.0.0.1",
                                        .host_port = service->ports[i].host_port};
    create->ports = ports;
    create->port_count = service->port_count;
}

/* Name and labels are still missing in `create`, as they differ for each container. */
static char *make_key(const struct recipe *recipe, int api_minor, struct err *err)
{
    json_t *body = docker_create_body(&recipe->create, api_minor, err);
    char *key;

    if (!body)
        return NULL;
    key = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(body);
    if (!key)
        err_set(err, ERR_INVALID, "the container cannot be described to Docker");
    return key;
}

int recipe_make(const struct ctx *ctx, struct docker_place *place, struct docker_client *client,
                const struct runnable *runnable, struct output *output, struct recipe *recipe,
                struct err *err)
{
    const struct container_shape *shape = runnable->container;
    struct docker_instance *instance = place->instance;
    struct place_view view;

    if (image_ensure(ctx, instance, client, &shape->source, shape->platform, output, &recipe->image,
                     err) < 0 ||
        place_holder_ensure(ctx, place, client, output, &recipe->arena, &view, err) < 0)
        return -1;
    recipe->image_name = keep(recipe, shape->source.image);
    add_basics(recipe, place, &view, runnable);
    if (runnable->service)
        add_service(recipe, place, runnable);
    if (shape->resources)
        add_resources(recipe, shape->resources);
    if (add_security(recipe, shape, err) < 0)
        return -1;
    if (shape->sandbox && add_sandbox(recipe, shape, err) < 0)
        return -1;
    if (add_mounts(recipe, place, runnable->service ? NULL : &view.workspace, shape, err) < 0)
        return -1;
    add_placed(recipe, runnable);
    recipe->key = make_key(recipe, instance->api_minor, err);
    if (!recipe->key)
        return -1;
    instance_labels(instance, runnable->service ? "service" : "step", runnable->id,
                    &recipe->labels);
    recipe->create.labels = &recipe->labels;
    return 0;
}
