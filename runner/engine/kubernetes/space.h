/* One namespace of a cluster, as far as a run uses it: what all its pods there share.
 *
 * The first thing that is made there is the run's ConfigMap. It holds the helper for the pods, and
 * it is the run's lease: an annotation says until when the run is alive, and is renewed for as long
 * as it is. Everything else that the run makes there has it as its owner, so that the cluster's
 * garbage collector takes all of it away when it goes; and when the runner itself is a pod of that
 * namespace, that one owns the ConfigMap.
 *
 * Threads: any. */
#pragma once

#include <jansson.h>
#include <pthread.h>

#include "apis/kube/client.h"
#include "base/gate.h"
#include "engine/kubernetes/pods.h"

struct kubernetes_instance;

/* On the ConfigMap: the time (RFC 3339) after which the run is taken for dead. */
#define SPACE_ANNOTATION_LEASE "dev.runner.lease"
#define SPACE_LEASE_MS         900000
#define SPACE_RENEW_MS         240000

struct space {
    struct kubernetes_instance *instance;
    char *ns;
    struct gate making; /* guards what follows, until `ready` */
    bool ready;
    char *tools;        /* name of the ConfigMap; NULL until it may exist */
    char *tools_uid;    /* NULL: not known */
    int64_t renewed_ms; /* its lease; monotonic */
    struct pods *pods;
    pthread_mutex_t mu;
    json_t *owner; /* an ownerReference to the ConfigMap; guarded by mu */
    VEC(struct tracked_pod *)
    leaving; /* guarded by mu */
    struct space *next;
};

/* No I/O. NULL with err. */
struct space *space_new(struct kubernetes_instance *instance, const char *ns, struct err *err)
    __attribute__((warn_unused_result));
/* Makes what is shared, on the first call, and renews the lease when that is due. */
int space_ensure(const struct ctx *ctx, struct space *space, struct err *err)
    __attribute__((warn_unused_result));
/* Renews the lease when that is due. */
void space_renew(const struct ctx *ctx, struct space *space);
/* Takes a pod over whose removal has been asked for (`leaving`), or that needs no more looking at.
 */
void space_leave(struct space *space, struct tracked_pod *pod, bool leaving);
/* Waits until those have gone, removes the ConfigMap and ends the watches. */
void space_free(struct space *space);

/* An ownerReference to the ConfigMap: a new reference, NULL when it is not there yet. */
json_t *space_owner(struct space *space);
/* metadata for an object of the run: name, labels with the role and what it serves, annotations,
 * and the owner once there is one. A new reference. */
json_t *space_metadata(struct space *space, const char *name, const char *role, const char *id);
