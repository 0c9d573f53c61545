/* One cluster, as one user of it: the clients, and the namespaces that are in use.
 *
 * Threads: any. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "apis/http/retry.h"
#include "apis/kube/object.h"
#include "base/vec.h"
#include "engine/engine.h"
#include "engine/kubernetes/space.h"

struct kubernetes_instance {
    const struct engine *engine;
    const struct engine_services *services;
    struct kube_cluster *cluster;
    char *endpoint;       /* what is noted: k8s://CONTEXT/NAMESPACE without the namespace */
    bool native_sidecars; /* the server has them: Kubernetes 1.29 */
    char *prefix;         /* of the names of its objects: "runner-RUN", and no other instance's */
    atomic_uint place_count;
    atomic_bool uncertain; /* a create call was broken off, or a removal failed */
    pthread_mutex_t mu;
    VEC(struct kube_client *)
    idle_clients;         /* guarded by mu */
    struct space *spaces; /* likewise */
};

int kubernetes_instance_connect(const struct ctx *ctx, const struct engine_services *services,
                                const char *url, struct engine_instance **ret, struct err *err);
void kubernetes_instance_disconnect(struct engine_instance *instance);
int kubernetes_instance_probe(const struct ctx *ctx, struct engine_instance *instance,
                              struct buf *report, struct err *err);

struct kube_client *kubernetes_client_take(struct kubernetes_instance *instance);
void kubernetes_client_give(struct kubernetes_instance *instance, struct kube_client *client);

/* Notes that the run may have objects in that namespace, and gives what it shares there; it is the
 * instance's. ns NULL: the cluster's own. */
int kubernetes_space(struct kubernetes_instance *instance, const char *ns, struct space **ret,
                     struct err *err) __attribute__((warn_unused_result));

/* Creates an object of the run; that it exists with this content is a success, too, as then an
 * answer was lost. *ret (may be NULL) is a new reference. */
int kubernetes_create(const struct ctx *ctx, struct kubernetes_instance *instance,
                      const struct kube_ref *ref, json_t *object, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Trying again what may be done twice, for as long as an API server may take to be restarted. */
void kubernetes_retry_init(struct retry *retry);
/* Whether an error may pass and there is an attempt left, for which it has waited then. */
bool kubernetes_again(const struct ctx *ctx, struct retry *retry, const struct err *err);
/* Asks for the removal until the server has taken that; what is not there is gone. */
int kubernetes_delete(const struct ctx *ctx, struct kubernetes_instance *instance,
                      const struct kube_ref *ref, const struct kube_delete_options *options,
                      struct err *err) __attribute__((warn_unused_result));
