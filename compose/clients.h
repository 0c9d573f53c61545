/* Docker clients for threads that come and go: one at a time has each. Thread-safe. */
#pragma once

#include <pthread.h>

#include "apis/docker/client.h"
#include "base/vec.h"

struct compose_clients {
    const struct docker_endpoint *endpoint;
    int api_minor; /* 0: not negotiated yet */
    pthread_mutex_t mu;
    VEC(struct docker_client *)
    idle; /* guarded by mu */
};

/* Negotiates the version. */
int compose_clients_init(const struct ctx *ctx, struct compose_clients *clients,
                         const struct docker_endpoint *endpoint, struct err *err)
    __attribute__((warn_unused_result));
/* All have been given back. */
void compose_clients_release(struct compose_clients *clients);
int compose_client_take(struct compose_clients *clients, struct docker_client **ret,
                        struct err *err) __attribute__((warn_unused_result));
void compose_client_give(struct compose_clients *clients, struct docker_client *client);
