/* What one job has on a cluster: its pod, its workspace, its lanes.
 *
 * All containers of the pod are known when it is created, from what the executor expects to run;
 * steps of one kind share a container. The pod is made when the first of them runs, which can then
 * say what it waits for.
 *
 * Threads: several may run steps; one more keeps the lanes alive that nobody uses. */
#pragma once

#include <pthread.h>

#include "base/arena.h"
#include "engine/kubernetes/container.h"
#include "engine/kubernetes/instance.h"
#include "engine/kubernetes/shape.h"
#include "engine/remote/lane_pool.h"

struct place_container {
    struct pod_container pod;  /* strings belong to the place's arena */
    char *key;                 /* equal for steps that can share it; of a service its id */
    const char *service_name;  /* NULL: it is for steps */
    struct strmap environment; /* of a service */
    int64_t pull_timeout_ms;
    bool leased;                   /* lease.h */
    struct container_remote reach; /* once the pod has its name */
    struct lane_pool lanes;
};

struct kubernetes_place {
    const struct engine *engine;
    struct kubernetes_instance *instance;
    struct space *space;
    struct arena arena;
    char *id;
    char *name;
    char *workspace;
    bool empty;
    bool services; /* it runs these and nothing else, and has no workspace */
    bool overlapping;
    json_t *kubernetes;
    int64_t timeout_ms;
    int64_t schedule_timeout_ms;
    const char *architecture;
    struct kubernetes_place *services_of[PLACE_SERVICES_MAX];
    size_t services_of_count;
    struct place_container *containers;
    size_t container_count;
    struct pull_credentials pulls;
    struct strmap secrets; /* environments of services: "CONTAINER.NAME" */

    struct gate making; /* guards these until `made` */
    bool made;
    char *pod; /* its name; NULL until it may exist */
    char *uid;
    char *pull_secret; /* likewise */
    char *secret;
    char *pull_secret_uid; /* of these three */
    char *secret_uid;
    char *claim_uid;
    char *claim;
    struct tracked_pod *tracked;

    struct gate filling; /* guards: */
    bool filled;

    struct ctx background; /* of the thread that keeps the lanes; cancelled by close */
    pthread_t keeper;
    int64_t node_ms;      /* when the keeper saw that the pod has a node; 0: not yet */
    int64_t lease_due_ms; /* when it renews that of the services; 0: none has been seen to run */
    bool keeping;
};

int kubernetes_place_open(const struct ctx *ctx, struct engine_instance *instance,
                          const struct place_options *options, struct place **ret, struct err *err);
int kubernetes_place_run(const struct ctx *ctx, struct place *place,
                         const struct runnable *runnable, struct output *output,
                         struct exit_record *ret, struct err *err);
void kubernetes_place_close(struct place *place);
bool kubernetes_place_shares_workspace(const struct ctx *ctx, struct place *place);

/* The container that a runnable runs in. ERR_UNSUPPORTED: the pod was made without it. */
int kubernetes_place_find(struct kubernetes_place *place, const struct runnable *runnable,
                          struct place_container **ret, struct err *err)
    __attribute__((warn_unused_result));
