/* The keeper: a small process beside the runner that outlives its sudden death.
 *
 * It is forked before any thread exists, starts the step supervisors for the runner (a threaded
 * process must not fork), and holds the lock of the run's journal. If the runner goes without a
 * goodbye (SIGKILL, a crash), it waits for the supervisors to end their trees, lets every engine
 * that the journal names sweep what the run has left, and removes temporary directories and
 * journal. What it cannot remove within a minute, `runner reap` finds later: the journal stays.
 *
 *     own_run_begin(NULL, &run, err)
 *     keeper_start(&options, &keeper, err)          before the first thread
 *     services.supervisor = keeper_supervisor; services.supervisor_arg = keeper;
 *     …                                             run the pipeline, disconnect the engines
 *     own_run_end(run)
 *     keeper_stop(keeper)
 *
 * Without the keeper nobody could clean up, so nothing goes on without it: when it dies, its
 * supervisors end their steps, which are then lost.
 *
 * Threads: keeper_supervisor() may be called from any. */
#pragma once

#include "engine/engine.h"

struct keeper;

struct keeper_options {
    struct own_run *run;                    /* the keeper works on its own copy */
    const struct engine *const *engines;    /* NULL-terminated */
    const struct engine_services *services; /* with `keep` nothing is swept */
    /* What a supervisor runs, until one of the descriptors closes: supervisor_main(). */
    void (*supervisor)(int socket, int keeper);
};

int keeper_start(const struct keeper_options *options, struct keeper **ret, struct err *err)
    __attribute__((warn_unused_result));
/* For engine_services.supervisor: a connected socket to a fresh supervisor. A fork that fails shows
 * as a socket that is closed at once. ERR_LOST when the keeper has died. */
int keeper_supervisor(void *keeper, const struct ctx *ctx, int *ret_fd, struct err *err)
    __attribute__((warn_unused_result));
/* An orderly end: waits for the supervisors (close their sockets first), then for the keeper; NULL
 * is fine. */
void keeper_stop(struct keeper *keeper);
/* The keeper's process, for messages and tests. */
pid_t keeper_pid(const struct keeper *keeper);
