/* From a runnable to the container it runs in: what is passed to the daemon.
 *
 * Environment, arguments, working directory and files are not part of it, as the helper gets them
 * with its request; so a container can be made, and started, before they are known. */
#pragma once

#include "apis/docker/create.h"
#include "apis/docker/image.h"
#include "base/arena.h"
#include "engine/engine.h"

struct docker_place;

struct recipe {
    struct arena arena; /* holds what `create` borrows */
    struct docker_create create;
    struct strmap labels;
    struct strmap tmpfs;
    struct strmap storage;
    const struct docker_image *image;
    const char *image_name; /* as people know it */
    bool shared;
    char *key; /* equal for two runnables that could share a container */
};

#define CLEANUP_RECIPE CLEANUP(recipe_release)
void recipe_release(struct recipe *recipe);

/* Looks up or pulls the image, too, and makes the holder when the container joins its network.
 * `output` may be NULL. *recipe must be zeroed. */
int recipe_make(const struct ctx *ctx, struct docker_place *place, struct docker_client *client,
                const struct runnable *runnable, struct output *output, struct recipe *recipe,
                struct err *err) __attribute__((warn_unused_result));
