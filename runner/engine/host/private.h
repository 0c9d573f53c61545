/* Shared by the files of engine/host/. */
#pragma once

#include <stdatomic.h>

#include <pthread.h>

#include "base/vec.h"
#include "engine/host/host.h"

/* A directory with the files that a step gives back, all empty, for steps of that user. */
struct host_files {
    char *dir;
    char *names; /* of the files, each with a "/" behind it */
    uid_t uid;
    gid_t gid;
};

struct host_instance {
    const struct engine *engine;
    const struct engine_services *services;
    pthread_mutex_t mu;
    VEC(int)
    idle; /* sockets of supervisors with nothing to do; guarded by mu */
    VEC(struct host_files)
    idle_files; /* guarded by mu */
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

/* files.c: most steps write to none of their files. To make and remove them for each step is all
 * that such a step asks of the disk, and where others keep that busy, it waits for them several
 * times as long as it takes. So a directory that a step has left as it found it serves the next. */

/* One that is like `wanted`, for the caller, or NULL. */
char *host_files_take(struct host_instance *instance, const struct host_files *wanted);
/* Takes the directory if it can be used again, when nothing of the step is left; else false. */
bool host_files_give_back(struct host_instance *instance, const struct host_files *files);
/* Removes those that are idle. */
void host_files_release(struct host_instance *instance);

/* engine->run, engine->check and engine->sweep */
int host_run(const struct ctx *ctx, struct place *place, const struct runnable *runnable,
             struct output *output, struct exit_record *ret, struct err *err);
int host_check(const struct ctx *ctx, struct place *place, const struct runnable *running,
               const struct probe *probe, struct err *err);
int host_sweep(const struct ctx *ctx, struct engine_instance *instance,
               const struct sweep_request *request, size_t *ret_count, struct err *err);
