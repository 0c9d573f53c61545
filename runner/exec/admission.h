/* Whether something runs when its turn has come: its dependencies, its conditions and what has
 * happened to its siblings. The rules are written down in docs/flow.md. */
#pragma once

#include "exec/run.h"
#include "exec/siblings.h"

enum admission {
    ADMISSION_RUN,
    ADMISSION_SKIP,       /* a condition does not hold */
    ADMISSION_DEPENDENCY, /* what it needs has not ended as it should */
    ADMISSION_ERROR,      /* a condition cannot be evaluated */
};

/* What it is about. */
struct admission_question {
    struct run *run;
    const struct ctx *ctx; /* of the level above, or that of what always runs */
    const struct siblings *siblings;
    uint32_t index;
    const struct plan_flow *flow; /* NULL: it says nothing */
    const struct plan_scope *scope;
    const struct plan_job *job;       /* of a step; else NULL */
    const struct node *job_node;      /* likewise */
    const struct strmap *environment; /* see struct plan_runtime */
    bool always;                      /* only its own conditions count, not how others ended */
};

/* `why` gets a line for people unless the answer is ADMISSION_RUN, *err the error of
 * ADMISSION_ERROR. */
enum admission admission_ask(const struct admission_question *question, struct buf *why,
                             struct err *err);
/* The same, and ends the node when it does not run. */
bool admission_passes(const struct admission_question *question, struct node *node);
/* Whether a job of hooks has a step for that outcome. */
bool hook_is_for(const struct plan_job *job, enum plan_post outcome);
