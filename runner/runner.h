/* librunner: pipelines run by a program that embeds the runner (docs/embedding.md).
 *
 *     runner_new(&options, &runner, &err)                     before the program has other threads
 *     runner_start(NULL, runner, &pipeline, id, &err)         a run has begun, and is recorded
 *     runner_subscribe(runner, id, NULL, seen, arg, &s, &err) its output and its states
 *     runner_cancel(NULL, runner, id, "wrong branch", "alice", &err)
 *     runner_wait(NULL, runner, id, &status, &err)
 *     runner_unsubscribe(s)
 *     runner_free(runner)                                     runs go on
 *
 * Each run is a process of its own, and a record on the disk. So nothing that a run does ends the
 * program, nor the other way round; and all functions but runner_start() and runner_stop() are for
 * any run that is recorded in the history, whoever has started it and when: `runner exec`, a
 * server, or this program before it was started anew. The commands `runner list`, `show`, `logs`
 * and `cancel` see what this has started.
 *
 * Functions return 0 or -1, and then fill *err (which may be NULL) with a code and a message of one
 * line. What can wait takes a context, base/ctx.h, that ends the wait; NULL: nothing does.
 *
 * Threads: any number may use one runner, until runner_free(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "spec/state.h"

struct runner;
struct engine;
struct step_kind;
struct spec_engine_name;
struct spec_service_kind;

#define RUNNER_ID_SIZE 32

/* All may be left zero. Nothing need outlive runner_new(), except for the rows. */
struct runner_options {
    const char *history;   /* where runs are recorded; NULL: ~/.local/state/runner */
    int64_t log_bytes;     /* how much of a run's log is kept, compressed; 0: 4 GiB */
    const char *cache_dir; /* of the local store of caches and artifacts; NULL: ~/.cache/runner */
    int64_t cache_bytes;   /* how large it may become; 0: no limit */
    /* Where engines find their daemons, as the options of `runner exec` say it; NULL: the
     * environment does. */
    const char *docker_host;
    const char *kubeconfig;
    const char *context;
    const char *ns;
    uint32_t jobs; /* of a run, most at a time; 0: 256 */
    bool keep;     /* runs remove nothing at their ends */

    /* Rows that are added to those of the runner; NULL: none. They are for all runners of the
     * process, those that were made before included, and must stay there until it ends. Their
     * functions are called in the processes of runs. */
    const struct engine *const *engines;           /* engine/engine.h; NULL-terminated */
    const struct step_kind *const *step_kinds;     /* step/kind.h; NULL-terminated; asked first */
    const struct spec_engine_name *engine_names;   /* spec/engine_names.h; ends with a NULL name */
    const struct spec_service_kind *service_kinds; /* spec/service_kinds.h; likewise */
};

/* Forks the process that starts runs. ERR_CONFLICT: this process has other threads already. */
int runner_new(const struct runner_options *options, struct runner **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Ends that process, and no run. Subscriptions must have ended. NULL is fine. */
void runner_free(struct runner *runner);

/* A pipeline and what is said beside it; all but the text may be left zero. Lists end with NULL. */
struct runner_pipeline {
    const char *text; /* of the pipeline file */
    size_t size;      /* of it; 0: it ends with a NUL */
    /* What messages call it. With a "/" in it, files that it names are seen from that directory. */
    const char *name;
    /* The current directory of the run, and so the workdir if the file sets none. It is made if it
     * is not there, and then removed after a success. NULL: that of this process. */
    const char *directory;
    const char *user;             /* who is said to have started it; NULL: the user */
    const char *const *env;       /* "NAME=VALUE": variables, over the file's */
    const char *const *inputs;    /* "NAME=VALUE" */
    const char *const *allow_env; /* names of this environment that steps of the host may see */
    const char *engine;           /* the default engine */
    const char *image;            /* the default image */
    const char *workdir;          /* over the file's */
    int64_t timeout_ms;           /* of the whole pipeline, over the file's; 0: the file's */
};

/* Returns when the run has begun: its record is there. ERR_INVALID: the pipeline is wrong; the
 * message is the first line of what runner_check() says. */
int runner_start(const struct ctx *ctx, struct runner *runner,
                 const struct runner_pipeline *pipeline, char ret_id[RUNNER_ID_SIZE],
                 struct err *err) __attribute__((warn_unused_result));
/* What is wrong with a pipeline, and what is doubtful: lines for people, "" if nothing is; the
 * caller frees. -1: it would not run. Nothing runs, and secrets need not be there. */
int runner_check(struct runner *runner, const struct runner_pipeline *pipeline, char **ret_lines)
    __attribute__((warn_unused_result));

struct runner_status {
    enum state state;   /* pending, running, succeeded, failed, cancelled or skipped */
    enum reason reason; /* why it failed; REASON_LOST: it was killed, and nobody knows */
    int exit_status;    /* as that of `runner exec`; -1: it has none, or not yet */
    int64_t began_ms;   /* wall time */
    int64_t ended_ms;   /* wall time; 0: it goes on */
    bool goes_on;       /* it runs, or cleans up */
    char *name;         /* of the pipeline */
    char *error;        /* what went wrong, or who cancelled it and why; "" if nothing did */
};

void runner_status_release(struct runner_status *status);

/* How a run is at the moment. ERR_NOT_FOUND: none of that id is recorded. */
int runner_status(struct runner *runner, const char *id, struct runner_status *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Returns when the run has ended and removed what it made. *ret, which may be NULL, is how it
 * ended.
 */
int runner_wait(const struct ctx *ctx, struct runner *runner, const char *id,
                struct runner_status *ret, struct err *err) __attribute__((warn_unused_result));
/* runner_start() and runner_wait(). When the context ends, the run is cancelled, and this returns
 * when it has ended. How it ended is no error. */
int runner_execute(const struct ctx *ctx, struct runner *runner,
                   const struct runner_pipeline *pipeline, struct runner_status *ret,
                   struct err *err) __attribute__((warn_unused_result));

/* Asks a run to end, as a user does; `reason` and `by` (either may be NULL) become part of what it
 * records. Returns when the run knows, before it has ended. ERR_CONFLICT: it has ended already. */
int runner_cancel(const struct ctx *ctx, struct runner *runner, const char *id, const char *reason,
                  const char *by, struct err *err) __attribute__((warn_unused_result));
/* What has been asked to end is killed now. */
int runner_hurry(const struct ctx *ctx, struct runner *runner, const char *id, struct err *err)
    __attribute__((warn_unused_result));
/* Cancels all runs that this runner has started and that go on, and waits until they have ended.
 * Each is asked; the first failure is the error. */
int runner_stop(const struct ctx *ctx, struct runner *runner, const char *reason, struct err *err)
    __attribute__((warn_unused_result));

enum runner_event_kind {
    RUNNER_STDOUT,
    RUNNER_STDERR,
    RUNNER_NOTE,  /* a remark for people */
    RUNNER_STATE, /* something has another state, or is tried again; and how the run began and ended
                   */
    RUNNER_MISSING, /* output is not recorded; `size` is how much */
    RUNNER_END,     /* the run has ended, and this was all */
};

enum { RUNNER_POSITION_SIZE = 48 };

/* What happens in a run. All runs and subscribers see it in one order, that in which it happened.
 */
struct runner_event {
    enum runner_event_kind kind;
    const char *position; /* of this event; whoever subscribes from there gets what is behind it */
    int64_t time_ms;      /* wall time; of RUNNER_STATE 0: it is in the text */
    const char *node;     /* of output and notes: the indices of stage, job and step, "0.1.2" */
    /* Output: exact bytes, whole lines or pieces of them. RUNNER_NOTE: one line. RUNNER_STATE: a
     * JSON object, as docs/history.md describes it. NUL-terminated, but for output. */
    const char *data;
    size_t size;
};

/* Another return value than 0 ends the subscription. */
typedef int (*runner_event_fn)(void *arg, const struct runner_event *event);

struct runner_subscription;

/* Has all that happened in the run behind a position, and all that will, given to `fn` by a thread
 * of its own. NULL: from the beginning. */
int runner_subscribe(struct runner *runner, const char *id, const char *position,
                     runner_event_fn fn, void *arg, struct runner_subscription **ret,
                     struct err *err) __attribute__((warn_unused_result));
/* Returns when `fn` runs no more, and never will; not to be called by it. NULL is fine. */
void runner_unsubscribe(struct runner_subscription *subscription);
/* The same in this thread: returns 0 behind RUNNER_END, else what fn returned, or -1. */
int runner_follow(const struct ctx *ctx, struct runner *runner, const char *id,
                  const char *position, runner_event_fn fn, void *arg, struct err *err)
    __attribute__((warn_unused_result));
