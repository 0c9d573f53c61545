/* A sibling: a container beside that of this program, with a process of this same program in it,
 * which lives on when this container ends.
 *
 *     docker_sibling_new(ctx, services, &sibling, err)     we are in a container of that daemon
 *     docker_sibling_shares(sibling, path)                 for each path that both have to see
 *     docker_sibling_start(ctx, sibling, &options, err)
 *     poll(docker_sibling_fd(sibling)); docker_sibling_ended(sibling, err)
 *     docker_sibling_discard(sibling, err)                 if it is not what was wanted
 *     docker_sibling_detach(sibling)                       it is what was wanted, and goes on
 *     docker_sibling_free(sibling)
 *
 * It is made from the same image and has the same user, environment, directory, mounts, networks,
 * limits and rights; not the ports, names in networks, labels, health check and restart policy,
 * which are this container's. It is removed when it ends. What is in the file system of this
 * container alone, it does not have.
 *
 * The labels make it known as something of the runner. It has no owner: this process may end before
 * it. What keeps others from removing it is that it runs (sweep.c); one that was never started, or
 * is left behind by the daemon, goes with the next sweep.
 *
 * Threads: one at a time. */
#pragma once

#include <stdbool.h>

#include "engine/engine.h"

struct docker_sibling;

struct docker_sibling_options {
    const char *id;               /* a run's id; the container is runner-launcher-ID */
    const char *what;             /* for whom: the value of its label OWN_LABEL_ID */
    const char *const *arguments; /* of the program; NULL-terminated */
    int64_t stop_timeout_s;       /* between SIGTERM and SIGKILL, when it is stopped */
};

/* ERR_UNSUPPORTED: this process is in no container of that daemon. Others: those of the daemon. */
int docker_sibling_new(const struct ctx *ctx, const struct engine_services *services,
                       struct docker_sibling **ret, struct err *err)
    __attribute__((warn_unused_result));
/* NULL is fine. */
void docker_sibling_free(struct docker_sibling *sibling);
static inline void docker_sibling_freep(struct docker_sibling **sibling)
{
    docker_sibling_free(*sibling);
}
#define CLEANUP_DOCKER_SIBLING CLEANUP(docker_sibling_freep)

/* Whether an absolute path is in a directory or a volume of the host, and so the same for both. */
bool docker_sibling_shares(const struct docker_sibling *sibling, const char *path);
/* The name of this container, for messages. */
const char *docker_sibling_self(const struct docker_sibling *sibling);

/* Once. After an error something of it may be there: docker_sibling_discard(). */
int docker_sibling_start(const struct ctx *ctx, struct docker_sibling *sibling,
                         const struct docker_sibling_options *options, struct err *err)
    __attribute__((warn_unused_result));
/* To poll for POLLIN: then docker_sibling_ended() is to be asked. */
int docker_sibling_fd(const struct docker_sibling *sibling);
/* Whether it has ended, with the last line that it has written to its standard error in *err. */
bool docker_sibling_ended(struct docker_sibling *sibling, struct err *err);
/* Removes what has been started, also if it runs. -1: it is not known to be gone. */
int docker_sibling_discard(struct docker_sibling *sibling, struct err *err);

/* What it writes is not read any more: only the daemon keeps it. */
void docker_sibling_detach(struct docker_sibling *sibling);
/* Until it is gone, with its places in networks. */
int docker_sibling_await_end(const struct ctx *ctx, struct docker_sibling *sibling, struct err *err)
    __attribute__((warn_unused_result));

/* Removes the sibling of that id if it does not run, whoever has made it. One that is not there is
 * no error; nor is one that runs. */
int docker_sibling_remove_idle(const struct ctx *ctx, struct docker_sibling *sibling,
                               const char *id, struct err *err) __attribute__((warn_unused_result));
