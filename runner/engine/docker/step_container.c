#include "engine/docker/step_container.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/docker/place.h"

void step_container_free(struct step_container *container)
{
    if (!container)
        return;
    docker_wait_free(container->wait);
    http_stream_free(container->stream);
    instance_client_give(container->instance, container->client);
    free(container->id);
    free(container->key);
    free(container);
}

static int create(const struct ctx *ctx, struct docker_place *place,
                  struct step_container *container, struct recipe *recipe, struct err *err)
{
    CLEANUP_FREE char *name = place_object_name(place);

    recipe->create.name = name;
    if (docker_container_create(ctx, container->client, &recipe->create, &container->id, err) == 0)
        return 0;
    instance_create_failed(place->instance, err);
    if (err && recipe->create.storage_opt && strstr(err->message, "storage-opt"))
        err_wrap(err, "`resources.disk` cannot be had on this Docker host");
    return err_wrap(err, "cannot create a container of %s", recipe->image_name);
}

static int start(const struct ctx *ctx, struct step_container *container, struct err *err)
{
    int result;

    if (gate_enter(ctx, &container->instance->starts, err) < 0)
        return -1;
    result = docker_container_start(ctx, container->client, container->id, err);
    gate_leave(&container->instance->starts);
    return result < 0 ? err_wrap(err, "cannot start a container") : 0;
}

/* Attaching comes before the start, so that no output is missed, and so does the wait. */
static int connect_and_start(const struct ctx *ctx, struct step_container *container,
                             struct err *err)
{
    if (docker_container_attach(ctx, container->client, container->id,
                                DOCKER_ATTACH_STDIN | DOCKER_ATTACH_OUTPUT, &container->stream,
                                err) < 0)
        return -1;
    if (!container->shared &&
        docker_container_wait_start(ctx, container->client, container->id, DOCKER_WAIT_NEXT_EXIT,
                                    &container->wait, err) < 0)
        return -1;
    return start(ctx, container, err);
}

int step_container_launch(const struct ctx *ctx, struct docker_place *place,
                          struct docker_client *client, struct recipe *recipe,
                          struct step_container **ret, struct err *err)
{
    struct step_container *container = xcalloc(1, sizeof(*container));

    container->instance = place->instance;
    container->client = client;
    container->key = xstrdup(recipe->key);
    container->shared = recipe->shared;
    container->memory_bytes = recipe->create.memory_bytes;
    if (create(ctx, place, container, recipe, err) < 0) {
        step_container_free(container);
        return -1;
    }
    if (connect_and_start(ctx, container, err) < 0) {
        place_remove_behind(place, container);
        return -1;
    }
    *ret = container;
    return 0;
}
