/* Removing the objects of manifests, in the opposite order of applying them.
 *
 * All are looked at first. Each is then removed by the UID that it had, what depends on it before
 * it (foreground propagation), and waited for before what it may need goes. See apply.h for errors.
 */
#pragma once

#include "k8s/order.h"
#include "k8s/sink.h"

struct manifest_delete_options {
    const char *ns;        /* of objects that name none; NULL: that of the cluster's context */
    bool ignore_not_found; /* what is not there is no error */
    bool wait;             /* until they are gone */
    bool dry_run;          /* only tells what would be deleted */
    int64_t timeout_ms;    /* of waiting, for all together; 0: none */
};

int manifest_delete(const struct ctx *ctx, struct kube_cluster *cluster, struct manifest_list *list,
                    const struct manifest_delete_options *options, const struct manifest_sink *sink,
                    struct err *err) __attribute__((warn_unused_result));

/* Removes what manifest_apply() created, and nothing that was there before: for a step that was
 * broken off. Takes a context of its own; waits as the options say. */
int manifest_take_back(const struct ctx *ctx, struct kube_cluster *cluster,
                       struct manifest_list *list, const struct manifest_delete_options *options,
                       const struct manifest_sink *sink, struct err *err)
    __attribute__((warn_unused_result));

/* Removes the object with that UID, in the foreground, and waits until it is gone if `wait` says
 * so. That it was gone already is fine. */
int manifest_delete_one(const struct ctx *ctx, struct kube_client *client,
                        const struct manifest *manifest, const char *uid, bool wait,
                        struct err *err) __attribute__((warn_unused_result));
