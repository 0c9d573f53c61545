/* What has to be there before what, and which resource a kind is.
 *
 * Objects of one rank do not need each other, and can be applied side by side; they are removed in
 * the opposite order. Source: Kubernetes API reference; Helm, kustomize and kubectl order likewise.
 */
#pragma once

#include "apis/kube/discovery.h"
#include "apis/kube/object.h"
#include "k8s/manifest.h"

enum manifest_rank {
    RANK_NAMESPACE,
    RANK_DEFINITION, /* of kinds */
    RANK_ACCOUNT,    /* a secret for an account that is not there is deleted again */
    RANK_BASE,       /* what others refer to: roles, configuration, storage, limits */
    RANK_BINDING,    /* needs its role */
    RANK_SERVICE,    /* before pods, which have it in their environment */
    RANK_WORKLOAD,
    RANK_CUSTOM,   /* objects of kinds that somebody has defined, behind who looks after them */
    RANK_REGISTER, /* what others' requests go through from then on */
    RANK_COUNT,
};

enum manifest_rank manifest_rank(const struct manifest *manifest);

/* Finds the resource and whether it has a namespace; those that have, and name none, get `ns`. What
 * the cluster does not know is an error, unless an object of the list defines it: then `resource`
 * stays NULL. Also an error is an object that is written twice, with its namespace and without.
 * Calls again look for what is missing. */
int manifest_resolve(const struct ctx *ctx, struct kube_client *client, struct manifest_list *list,
                     const char *ns, struct err *err) __attribute__((warn_unused_result));
/* Whether a CustomResourceDefinition of the list defines its kind. */
bool manifest_is_defined_in(const struct manifest *manifest, const struct manifest_list *list);
struct kube_ref manifest_ref(const struct manifest *manifest);
