/* The images that a run uses: each is looked up, or pulled, once for each daemon and run; whoever
 * needs it meanwhile waits for the one that pulls, and tells of its progress.
 *
 * Pulls have three ranks. That of a step that waits (it has an output) starts at once. So does that
 * of the next step of a job, made ready ahead (no output). What is prefetched for later does not
 * begin while a step waits for an image. Only the first kind is tried again and has its failure
 * remembered: after the others the step itself tries, and reports. Thread-safe. */
#pragma once

#include <pthread.h>

#include "apis/docker/image.h"
#include "base/gate.h"
#include "engine/engine.h"

struct docker_instance;
struct image_entry;

struct image_cache {
    pthread_mutex_t mu;
    struct image_entry *first; /* guarded by mu */
    unsigned waiting_steps;    /* guarded by mu */
    struct gate platforms;     /* held from a pull for a platform until the image's id is known:
                                * the daemon has one image of a name */
    int quiet_fd;              /* eventfd, readable while no step waits */
};

/* `quiet_fd` of a cache that is released uninitialized must be -1. */
int image_cache_init(struct image_cache *cache, struct err *err)
    __attribute__((warn_unused_result));
void image_cache_release(struct image_cache *cache);

/* Makes sure that the image is on the daemon, by the policies of `source` in their order, and
 * tells what it holds. *ret belongs to the cache. `output` gets notes on progress; NULL: no step
 * waits for it yet. ERR_IMAGE_PULL when it cannot be had. */
int image_ensure(const struct ctx *ctx, struct docker_instance *instance,
                 struct docker_client *client, const struct image_source *source,
                 const char *platform, struct output *output, const struct docker_image **ret,
                 struct err *err) __attribute__((warn_unused_result));

/* Brings the image to the daemon if its policies want that; returns at once when that was done
 * before. What is found is not remembered: a step may yet give the name to another image. */
void image_prefetch(const struct ctx *ctx, struct docker_instance *instance,
                    const struct image_source *source, const char *platform);
