/* Whether something runs when its turn has come: its dependencies, its conditions and what has
 * happened to its siblings. The rules are written down in docs/flow.md. */
#pragma once

#include "exec/run.h"

/* A list of siblings while it runs. */
struct siblings {
    const struct node *nodes; /* `count` of them */
    uint32_t count;
    enum plan_order order;
    const struct plan_flow *(*flow)(void *arg, uint32_t index); /* may return NULL */
    void *arg;
    /* PLAN_ORDER_SERIAL: of those that have ended, whether one failed so that it counts, and
     * whether one was cancelled. */
    bool failed;
    bool cancelled;
};

/* How what is before an item went: before it in a serial list, or all that it depends on, directly
 * or not, in a graph. */
struct siblings_state {
    bool failed; /* so that it counts */
    bool cancelled;
};

enum gate_answer {
    GATE_RUN,
    GATE_SKIP,       /* a condition does not hold */
    GATE_DEPENDENCY, /* what it needs has not ended as it should */
    GATE_ERROR,      /* a condition cannot be evaluated */
};

/* What it is about. */
struct gate_question {
    struct run *run;
    const struct siblings *siblings;
    uint32_t index;
    const struct plan_flow *flow; /* NULL: it says nothing */
    const struct plan_scope *scope;
    const struct plan_job *job;       /* of a step; else NULL */
    const struct node *job_node;      /* likewise */
    const struct strmap *environment; /* see struct plan_runtime */
    bool always;                      /* only its own conditions count, not how others ended */
};

/* `why` gets a line for people unless the answer is GATE_RUN, *err the error of GATE_ERROR. */
enum gate_answer gate_ask(const struct gate_question *question, struct buf *why, struct err *err);
/* The same, and ends the node when it does not run. */
bool gate_passes(const struct gate_question *question, struct node *node);
/* Whether a job of hooks has a step for that outcome. */
bool hook_is_for(const struct plan_job *job, enum plan_post outcome);
struct siblings_state siblings_before(const struct siblings *siblings, uint32_t index);
/* Notes how an item ended, of a serial list; those of others are looked at where they are. */
void siblings_ended(struct siblings *siblings, uint32_t index);
/* How the first `count` of them went, those aside that run whatever happens, for hooks: failure if
 * one failed so that it counts, or the time of ctx was up; else cancelled if one was. */
enum plan_post siblings_outcome(const struct siblings *siblings, uint32_t count,
                                const struct ctx *ctx);
