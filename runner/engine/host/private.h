/* Shared by the files of engine/host/. */
#pragma once

#include <stdatomic.h>

#include <pthread.h>

#include "base/vec.h"
#include "engine/host/host.h"

struct host_instance {
    const struct engine *engine;
    const struct engine_services *services;
    pthread_mutex_t mu;
    VEC(int)
    idle; /* sockets of supervisors with nothing to do; guarded by mu */
};

struct host_place {
    const struct engine *engine;
    struct host_instance *instance;
    char *workspace;
    _Atomic(char *) chunk; /* HOST_CHUNK_BYTES to read output into, of whom takes it; NULL: taken */
};

enum { HOST_CHUNK_BYTES = 256 * 1024 };

/* A supervisor's socket (non-blocking), or -1. *ret_fresh says that it has not served before;
 * another one may have died since. */
int host_supervisor_take(const struct ctx *ctx, struct host_instance *instance, bool *ret_fresh,
                         struct err *err) __attribute__((warn_unused_result));
/* Only for one that has said GONE or FAILED. */
void host_supervisor_give_back(struct host_instance *instance, int socket);

/* engine->run, engine->check and engine->sweep */
int host_run(const struct ctx *ctx, struct place *place, const struct runnable *runnable,
             struct output *output, struct exit_record *ret, struct err *err);
int host_check(const struct ctx *ctx, struct place *place, const struct runnable *running,
               const struct probe *probe, struct err *err);
int host_sweep(const struct ctx *ctx, struct engine_instance *instance,
               const struct sweep_request *request, size_t *ret_count, struct err *err);
