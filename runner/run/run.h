/* One run of a plan by this process: ownership, keeper, record, control socket, signals, execution,
 * end. What shows the run, or waits for it, is not part of it.
 *
 *     run_begin(&options, &run, err)            a process of one thread; forks the keeper
 *     event_bus_add(run_bus(run), sink)         who wants to see it
 *     run_record(run, &record, err)             the record, and in it the control socket
 *     run_attend(run, err)                      from here on signals and requests cancel it
 *     run_execute(run, plan, &verdict)          blocks until all has ended
 *     run_end(run, run_exit_status(run, &verdict), keep, err)
 *
 * A run that fails before run_execute() is given up with run_abort(): nothing has begun.
 *
 * Whoever cancels a run through its control socket may say why. That becomes a note of the run, and
 * the text of its last event if it was cancelled indeed.
 *
 * Threads: all by one, except where said. What the structs point to is borrowed until the end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "engine/engine.h"
#include "event/event.h"
#include "event/node.h"
#include "exec/exec.h"
#include "mask/mask.h"
#include "own/own.h"
#include "plan/plan.h"
#include "step/kind.h"

struct run;
struct store_retention;

/* The exit status of a run that was not cancelled, and not ended by its own timeout. */
enum {
    RUN_EXIT_SUCCEEDED = 0,
    RUN_EXIT_FAILED = 1,
    RUN_EXIT_UNAVAILABLE = 3,
    RUN_EXIT_TIMEOUT = 124
};

struct run_options {
    const char *id;                       /* NULL: a new one */
    const struct engine *const *engines;  /* NULL-terminated */
    const struct step_kind *const *kinds; /* NULL-terminated */
    /* Where engines find their daemons: what options say of that. The rest is filled in. */
    struct engine_services services;
    struct mask *mask; /* what must not be seen; NULL: nothing */
    uint32_t jobs;     /* most at a time; 0: the default */
    bool force_clean;  /* see exec.h */
    bool keep;         /* remove nothing at the end */
    exec_open_store_fn open_store;
    void *open_store_arg;
};

struct run_record {
    const char *history; /* its directory; NULL: the user's own */
    const char *origin;  /* "exec", "server" … */
    const char *user;    /* who started it */
    const char *source;  /* the pipeline file; secrets are taken out */
    size_t source_size;
    int64_t log_bytes; /* how large the log may become; 0: the default */
};

/* Blocks the signals that run_attend() handles, and forks the keeper. ERR_CONFLICT: that id has
 * been used already. */
int run_begin(const struct run_options *options, struct run **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Makes the record; from then on the run is found by others. A run need not have one. ERR_CONFLICT:
 * there is one of that id. */
int run_record(struct run *run, const struct run_record *record, struct err *err)
    __attribute__((warn_unused_result));
/* Starts the one thread that waits for signals and for requests. */
int run_attend(struct run *run, struct err *err) __attribute__((warn_unused_result));
void run_execute(struct run *run, const struct plan *plan, struct exec_verdict *ret);
/* Removes what the run has made, then ends its record: whoever waits for the run waits until it has
 * cleaned up. `keep` is for recording_end(). -1: something is missing in the record. NULL is fine.
 */
int run_end(struct run *run, int exit_status, const struct store_retention *keep, struct err *err)
    __attribute__((warn_unused_result));
/* Instead of run_execute() and run_end(); NULL is fine. */
void run_abort(struct run *run);

const char *run_id(const struct run *run);
struct own_run *run_own(struct run *run);
struct event_bus *run_bus(struct run *run);
/* The root context. Any thread may cancel it, and ask whether it has ended. */
struct ctx *run_ctx(struct run *run);
/* The tree; filled by run_execute(). */
const struct node *run_root(const struct run *run);
/* The first signal that came, or SIGTERM if somebody has cancelled the run through its control
 * socket; 0: neither. Any thread may ask. */
int run_signal(const struct run *run);
/* Of the process: RUN_EXIT_…, or 128 + run_signal() if that ended it. */
int run_exit_status(const struct run *run, const struct exec_verdict *verdict);
