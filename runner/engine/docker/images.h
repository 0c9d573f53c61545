/* The images that a run uses: each is looked up, or pulled, once for each daemon and run; whoever
 * needs it meanwhile waits for the one that pulls. Thread-safe. */
#pragma once

#include <pthread.h>

#include "apis/docker/image.h"
#include "engine/engine.h"

struct docker_instance;
struct image_entry;

struct image_cache {
    pthread_mutex_t mu;
    struct image_entry *first; /* guarded by mu */
};

void image_cache_init(struct image_cache *cache);
void image_cache_release(struct image_cache *cache);

/* Makes sure that the image is on the daemon, by the policies of `source` in their order, and
 * tells what it holds. *ret belongs to the cache. `output` (may be NULL) gets notes on progress.
 * ERR_IMAGE_PULL when it cannot be had. */
int image_ensure(const struct ctx *ctx, struct docker_instance *instance,
                 struct docker_client *client, const struct image_source *source,
                 const char *platform, struct output *output, const struct docker_image **ret,
                 struct err *err) __attribute__((warn_unused_result));
