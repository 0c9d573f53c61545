/* Applying manifests: server-side apply with the field manager "runner", rank by rank (order.h).
 *
 *     struct manifest_apply_options options = {.ns = "build", .wait = true, .timeout_ms = 300000};
 *     if (manifest_apply(ctx, cluster, &list, &options, &sink, err) < 0) ...
 *
 * Objects of one rank are applied side by side. What failed does not keep the others of its rank
 * from being applied, but the ranks behind it. Definitions of kinds are awaited before objects of
 * these kinds are applied. Refusals that may pass are met with more attempts, for about half a
 * minute.
 *
 * Afterwards each manifest has its state, and `live`: the object as the server has it. What was
 * MANIFEST_CREATED, or may have been (MANIFEST_CREATING), was not there before:
 * manifest_take_back() of delete.h removes just that.
 *
 * Errors: each object's go to the sink in full; *err says how many there were, with the code of the
 * first. Source: Kubernetes, "Server-Side Apply". */
#pragma once

#include "k8s/order.h"
#include "k8s/sink.h"

#define MANIFEST_FIELD_MANAGER "runner"
#define MANIFEST_SET_MANAGER   "runner-applyset" /* of the parent of an apply set */

struct manifest_apply_options {
    const char *ns;     /* of objects that name none; NULL: that of the cluster's context */
    bool force;         /* takes fields from other managers */
    bool replace;       /* deletes what cannot be changed in place, and creates it anew */
    bool dry_run;       /* the server does all but write */
    bool wait;          /* until they are ready, see ready.h */
    int64_t timeout_ms; /* of waiting; 0: none */
    const char *set;    /* name of the apply set that they become (applyset.h); NULL: none */
    bool prune;         /* deletes what was in the set and is not now */
};

int manifest_apply(const struct ctx *ctx, struct kube_cluster *cluster, struct manifest_list *list,
                   const struct manifest_apply_options *options, const struct manifest_sink *sink,
                   struct err *err) __attribute__((warn_unused_result));

/* What is sent: a new reference to the object with its namespace, and with a label (NULL: none). */
json_t *manifest_body(const struct manifest *manifest, const char *label, const char *value);
