/* The launcher (launch/launch.h) as a queue uses it.
 *
 *     launcher_start(…)                       before this process has other threads
 *     history_open(…)
 *     struct queue_launching launching = {.launcher = launcher, .runs_dir = history->runs, …};
 *     struct queue_launcher ops = queue_launching_ops(&launching);
 *     queue_open(ctx, history, &ops, …)
 *
 * `launching` and what it points to must outlive the queue. */
#pragma once

#include "launch/launch.h"
#include "queue/queue.h"

struct queue_launching {
    struct launcher *launcher;
    const char *runs_dir; /* of the history that the launcher was given */
    const char *workdir;  /* absolute: a run is in WORKDIR/RUNID. NULL: "/" */
    /* What holds for all runs unless a submission says something else; its env is beside theirs.
     * NULL: nothing. */
    const struct prepare_args *defaults;
};

struct queue_launcher queue_launching_ops(struct queue_launching *launching);

/* What is said beside the file of a submission: what the server says, then what the submission
 * does. Borrows, but for its maps, which are to be released. */
struct prepare_args queue_launching_args(const struct queue_launching *launching,
                                         const struct submission_options *options);
void queue_launching_args_release(struct prepare_args *args);
