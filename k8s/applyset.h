/* Apply sets: which objects were applied together, so that those that are no longer wanted can be
 * found.
 *
 * The set is a ConfigMap of its name (the parent), with the label applyset.kubernetes.io/id and
 * annotations that name the kinds and further namespaces of its members; members have the label
 * applyset.kubernetes.io/part-of with the same value. Nothing is looked for but in these kinds and
 * namespaces, and nothing is deleted that has the label but was not applied by the field manager
 * "runner", or that something else owns.
 *
 * Kinds and namespaces are added before objects are applied, and taken away after the others were
 * deleted, so that members are found whenever it was broken off.
 * Source: Kubernetes Enhancement Proposal 3659, "ApplySet: kubectl apply --prune redesign". */
#pragma once

#include "k8s/apply.h"

#define APPLYSET_ID      "applyset.kubernetes.io/id"
#define APPLYSET_PART_OF "applyset.kubernetes.io/part-of"

struct applyset;

/* Looks at the parent, which need not be there. ERR_CONFLICT when a ConfigMap of that name is none,
 * or belongs to another tool. */
int applyset_open(const struct ctx *ctx, struct kube_client *client, const char *name,
                  const char *ns, struct applyset **ret, struct err *err)
    __attribute__((warn_unused_result));
void applyset_free(struct applyset *set);
const char *applyset_id(const struct applyset *set);

/* Writes into the parent, which is made if need be, that it has what the list has. */
int applyset_extend(const struct ctx *ctx, struct kube_client *client, struct applyset *set,
                    const struct manifest_list *list, struct manifest_report *report,
                    struct err *err) __attribute__((warn_unused_result));
/* Deletes members that are not in the list, waits for that as the options say, and writes into the
 * parent what is left. With a dry run it only tells. */
int applyset_prune(const struct ctx *ctx, struct kube_cluster *cluster, struct kube_client *client,
                   struct applyset *set, const struct manifest_list *list,
                   const struct manifest_apply_options *options, struct manifest_report *report,
                   struct err *err) __attribute__((warn_unused_result));
