/* How objects would change: what is there, against what a server-side apply would make of it (which
 * the server tries out without writing). What only the server sets is left out, and data of Secrets
 * are masked. See apply.h for errors. */
#pragma once

#include "k8s/order.h"
#include "k8s/sink.h"

struct manifest_diff_options {
    const char *ns; /* of objects that name none; NULL: that of the cluster's context */
    bool force;     /* as if fields were taken from other managers */
};

/* The differences go to the sink, in the order of applying. */
int manifest_diff(const struct ctx *ctx, struct kube_cluster *cluster, struct manifest_list *list,
                  const struct manifest_diff_options *options, const struct manifest_sink *sink,
                  bool *ret_differs, struct err *err) __attribute__((warn_unused_result));

/* The texts that are compared; either may be NULL (not there). Pure. *ret_old and *ret_new are
 * added to. */
void manifest_diff_texts(const json_t *old, const json_t *new, struct buf *ret_old,
                         struct buf *ret_new);
