/* Which resource a kind is. See client.h for threads and errors.
 *
 * Asks /api/v1 and /apis/GROUP/VERSION, which servers of every age have, and keeps the answers in
 * the client. */
#pragma once

#include "apis/kube/client.h"

/* Strings belong to the client until kube_discovery_forget(), or until a kind is asked for that is
 * not among what was kept, which makes its group be read anew. */
struct kube_resource {
    const char *api_version;
    const char *resource; /* plural: "pods" */
    const char *kind;
    bool namespaced;
    const json_t *verbs; /* an array: "get", "list", … */
};

/* ERR_NOT_FOUND when the server does not have that version of the group, or the kind in it. */
int kube_discover(const struct ctx *ctx, struct kube_client *client, const char *api_version,
                  const char *kind, struct kube_resource *ret, struct err *err)
    __attribute__((warn_unused_result));
/* The same for a kind of which only the group is known ("": the core), in the version that the
 * server prefers, or else in another one. */
int kube_discover_group(const struct ctx *ctx, struct kube_client *client, const char *group,
                        const char *kind, struct kube_resource *ret, struct err *err)
    __attribute__((warn_unused_result));
bool kube_resource_can(const struct kube_resource *resource, const char *verb);
/* For when kinds have come or gone. */
void kube_discovery_forget(struct kube_client *client);
