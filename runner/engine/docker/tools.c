#include "engine/docker/tools.h"

#include <string.h>

#include "apis/docker/container.h"
#include "apis/docker/image.h"
#include "apis/docker/volume.h"
#include "base/alloc.h"
#include "base/tar.h"
#include "engine/docker/instance.h"
#include "helper/helper.h"

#define IMAGE_REPOSITORY "runner-helper"
#define REMOVE_MS        30000

int tools_init(struct tools *tools, struct err *err)
{
    *tools = (struct tools){0};
    return gate_init(&tools->busy, 1, err);
}

void tools_release(struct tools *tools)
{
    gate_release(&tools->busy);
    free(tools->image);
    free(tools->volume);
}

/* The helper for the machine of the daemon. */
static int find_program(const struct ctx *ctx, struct docker_client *client,
                        struct helper_program *ret, struct err *err)
{
    json_t *version;
    const char *architecture;
    int result;

    if (docker_system_version(ctx, client, &version, err) < 0)
        return -1;
    architecture = json_string_value(json_object_get(version, "Arch"));
    if (!architecture)
        architecture = helper_architecture();
    result = helper_program_find(architecture, ret);
    if (result < 0)
        err_set(err, ERR_UNSUPPORTED,
                "the Docker host is %s, and this runner was built without a helper for such "
                "machines; use a runner of that architecture",
                architecture);
    json_decref(version);
    return result;
}

static int ensure_image(const struct ctx *ctx, struct docker_client *client,
                        const struct helper_program *program, const char *hash, const char *image,
                        struct err *err)
{
    static const char *const changes[] = {"ENTRYPOINT [\"" TOOLS_HELPER "\"]", NULL};
    CLEANUP_DOCKER_IMAGE struct docker_image found = {0};
    CLEANUP_BUF struct buf tar = BUF_INIT;
    struct err missing = ERR_INIT;

    if (docker_image_inspect(ctx, client, image, &found, &missing) == 0)
        return 0;
    if (missing.code != ERR_NOT_FOUND) {
        *err = missing;
        return -1;
    }
    tar_add_directory(&tar, TOOLS_MOUNT + 1, 0755);
    tar_add_file(&tar, TOOLS_HELPER + 1, 0755, program->data, program->size);
    tar_add_end(&tar);
    return docker_image_import(ctx, client, IMAGE_REPOSITORY, hash,
                               &(struct docker_tar){.data = tar.data, .len = tar.len}, changes,
                               NULL, err);
}

/* Through a container that has the volume mounted and never runs. Docker would fill an empty volume
 * from the image by itself when the container is created, podman only when it starts. */
static int fill_volume(const struct ctx *ctx, struct docker_instance *instance,
                       struct docker_client *client, const struct helper_program *program,
                       struct err *err)
{
    CLEANUP_STRMAP struct strmap labels = {0};
    struct docker_mount mount = {.type = DOCKER_MOUNT_VOLUME,
                                 .source = instance->tools.volume,
                                 .target = TOOLS_MOUNT};
    CLEANUP_FREE char *id = NULL;
    CLEANUP_BUF struct buf tar = BUF_INIT;
    CLEANUP_CTX struct ctx cleanup;
    struct docker_create create = {.image = instance->tools.image,
                                   .labels = &labels,
                                   .mounts = &mount,
                                   .mount_count = 1,
                                   .network_mode = "none"};
    int result;

    ctx_init_cleanup(&cleanup, REMOVE_MS);
    instance_labels(instance, "helper", own_run_id(instance->services->run), &labels);
    tar_add_file(&tar, strrchr(TOOLS_HELPER, '/') + 1, 0755, program->data, program->size);
    tar_add_end(&tar);
    if (docker_container_create(ctx, client, &create, &id, err) < 0)
        return -1;
    result =
        docker_container_archive_put(ctx, client, id, TOOLS_MOUNT,
                                     &(struct docker_tar){.data = tar.data, .len = tar.len}, err);
    if (instance_remove_container(&cleanup, instance, client, id, result < 0 ? NULL : err) < 0)
        result = -1;
    return result;
}

static int make(const struct ctx *ctx, struct docker_instance *instance,
                struct docker_client *client, struct err *err)
{
    CLEANUP_STRMAP struct strmap labels = {0};
    struct docker_volume volume = {0};
    struct docker_volume_create create = {.labels = &labels};
    struct helper_program program;
    char hash[HELPER_HASH_SIZE];

    if (find_program(ctx, client, &program, err) < 0)
        return -1;
    helper_program_hash(&program, hash);
    free(instance->tools.image);
    instance->tools.image = xasprintf(IMAGE_REPOSITORY ":%s", hash);
    if (!instance->tools.volume)
        instance->tools.volume = xasprintf("runner-%s-helper", own_run_id(instance->services->run));
    if (instance_begin(ctx, instance, client, err) < 0 ||
        ensure_image(ctx, client, &program, hash, instance->tools.image, err) < 0)
        return -1;
    instance_labels(instance, "helper", own_run_id(instance->services->run), &labels);
    create.name = instance->tools.volume;
    if (docker_volume_create(ctx, client, &create, &volume, err) < 0)
        return -1;
    docker_volume_release(&volume);
    return fill_volume(ctx, instance, client, &program, err);
}

int tools_ensure(const struct ctx *ctx, struct docker_instance *instance,
                 struct docker_client *client, struct err *err)
{
    int result = 0;

    if (gate_enter(ctx, &instance->tools.busy, err) < 0)
        return -1;
    if (!instance->tools.ready) {
        result = make(ctx, instance, client, err);
        if (result < 0) {
            instance_create_failed(instance, err);
            err_wrap(err, "cannot bring the helper to the Docker host");
        }
        instance->tools.ready = result == 0;
    }
    gate_leave(&instance->tools.busy);
    return result;
}

void tools_remove(const struct ctx *ctx, struct docker_instance *instance,
                  struct docker_client *client)
{
    struct tools *tools = &instance->tools;
    struct err err = ERR_INIT;

    if (!tools->volume)
        return;
    if (instance_remove_volume(ctx, instance, client, tools->volume, &err) < 0)
        instance_remove_failed(instance, "volume", tools->volume, &err);
}
