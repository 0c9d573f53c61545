/* Shared by the files that build a pod; not for others.
 *
 * pod.c puts the pod together, pod_container.c the containers, pod_volume.c their mounts and
 * pod_resources.c what they request; pod_patch.c changes it as the user wants. */
#pragma once

#include "k8s/pod.h"
#include "k8s/setting.h"

#define POD_VOLUME_TOOLS     "runner-tools"
#define POD_VOLUME_RELAY     "runner-relay"
#define POD_VOLUME_LEASE     "runner-lease"
#define POD_VOLUME_WORKSPACE "runner-workspace"

struct pod_builder {
    const struct pod_spec *spec;
    struct setting kubernetes;  /* of the job; its value may be NULL */
    struct setting *containers; /* `kubernetes` of each; their values may be NULL */
    json_t *volumes;
    json_t *common_mounts; /* of the job's volumes, for every container */
    json_t **resources;    /* of each container: {"limits", "requests"} */
};

/* Each returns -1 with ERR_INVALID for what `kubernetes` says wrong; JSON values that they return
 * are new references. */

/* Fills volumes and common_mounts. */
int pod_volumes(struct pod_builder *b, struct err *err) __attribute__((warn_unused_result));
/* The mounts of a container; may add volumes. */
int pod_mounts(struct pod_builder *b, size_t container, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Fills resources. */
int pod_resources(struct pod_builder *b, struct err *err) __attribute__((warn_unused_result));
int pod_container(struct pod_builder *b, size_t container, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));

/* Whether it is a native sidecar. In a pod of services alone none is: it has to have containers. */
bool pod_is_sidecar(const struct pod_spec *spec, const struct pod_container *container);

/* Applies the job's `pod_patch`, if there is one, and checks that it leaves what the runner relies
 * on. *pod may become another value, also on failure. */
int pod_patch(struct pod_builder *b, json_t **pod, struct err *err)
    __attribute__((warn_unused_result));

/* An array of the strings of a list that ends with NULL. */
json_t *pod_strings(const char *const *list);
/* Removes members that are empty lists and maps. */
void pod_remove_empty(json_t *object);
/* Whether the job's `kubernetes` has such a key. */
bool pod_knows(const char *name);
