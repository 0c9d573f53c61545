/* Where the output of a step goes: to the log path, and past whoever waits for what it says.
 *
 * Threads: as struct output says, except that `started` and `matched` may be read by any. */
#pragma once

#include <stdatomic.h>

#include "engine/engine.h"
#include "exec/kept_logs.h"
#include "exec/outputs.h"
#include "exec/run.h"
#include "expr/pattern.h"

struct step_output {
    struct output output;
    struct log_pump pump;
    struct kept_logs logs;  /* the owner's, to be released */
    struct outputs outputs; /* what it has told; the owner's, to be released */
    bool said_short;        /* a value in $PIPELINE_MASK was too short to be masked */
    int changed_fd;         /* eventfd, written when one of the next two becomes true; -1: none */
    atomic_bool started;
    atomic_bool matched;                /* a line has matched the pattern */
    const struct expr_pattern *pattern; /* NULL: none is looked for */
    struct buf lines[2]; /* of each stream: the line at hand, while it is looked for */
};

void step_output_init(struct step_output *out, struct run *run, const struct node *node);
/* Emits what is left and frees everything but `outputs` and `logs`; the last lines go to the
 * caller, NULL: there are none.
 */
char *step_output_finish(struct step_output *out);
