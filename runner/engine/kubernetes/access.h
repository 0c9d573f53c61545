/* What the engine must be allowed to do in a namespace of the cluster, and asking whether it is.
 *
 * The table is the one place that says so: deploy/kubernetes/role.yaml and docs/kubernetes.md are
 * held against it by a test. Source: Kubernetes documentation, "Using RBAC Authorization" and
 * SelfSubjectAccessReview. */
#pragma once

#include "apis/kube/client.h"
#include "base/buf.h"

struct kubernetes_permission {
    const char *group; /* "": the core */
    const char *resource;
    const char *subresource;  /* NULL: the objects themselves */
    const char *const *verbs; /* NULL-terminated */
    const char *why;          /* what is done with it */
    bool optional;            /* jobs run without it */
};

/* Ends with a row whose resource is NULL. */
extern const struct kubernetes_permission kubernetes_permissions[];

/* How many of the verbs in the table are not allowed. */
struct kubernetes_missing {
    size_t required;
    size_t optional;
};

/* Asks the cluster about each verb of the table in the namespace `ns`, as who the client is. Adds a
 * line to *rules for each row of which something is not allowed: the rule of a Role that allows it,
 * and why it is needed. -1 when the cluster does not answer; then *rules may hold some. */
int kubernetes_access_check(const struct ctx *ctx, struct kube_client *client, const char *ns,
                            struct buf *rules, struct kubernetes_missing *ret, struct err *err)
    __attribute__((warn_unused_result));

/* For the engine's probe(), and as that says (engine.h): the version of the cluster, whether the
 * namespace of the client's cluster is there, and the check of all permissions in it. */
int kubernetes_access_probe(const struct ctx *ctx, struct kube_client *client, struct buf *report,
                            struct err *err) __attribute__((warn_unused_result));
/* For the engine's mend(). */
const char *kubernetes_access_mend(const struct err *err);
