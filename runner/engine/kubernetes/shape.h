/* From what is expected to run in a place to the containers of its pod. Pure.
 *
 * What Kubernetes cannot do is refused here, with the key that asks for it. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "engine/engine.h"
#include "k8s/pod.h"

/* Registry → {username, password}, for the Secret that the pod pulls with. */
struct pull_credentials {
    json_t *auths; /* NULL: none */
};

/* Fills *ret but for its name; strings are borrowed from the runnable or go into the arena. `key`
 * gets what tells it from other kinds. */
int shape_container(const struct runnable *runnable, struct arena *arena, struct pod_container *ret,
                    struct buf *key, struct err *err) __attribute__((warn_unused_result));
/* "amd64", "arm64": what all of them say, NULL when none says anything. */
int shape_architecture(const struct runnable *const *expected, size_t count, const char **ret,
                       struct err *err) __attribute__((warn_unused_result));
void shape_add_credentials(const struct image_source *source, struct pull_credentials *credentials);
/* The Secret of type kubernetes.io/dockerconfigjson; a new reference. */
json_t *shape_pull_secret(const struct pull_credentials *credentials, json_t *metadata);
