/* How siblings went: what conditions, hooks and what comes next want to know of them.
 *
 * Threads: an item that has ended does not change any more; who asks about others than those runs
 * behind them. */
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

struct siblings_state siblings_before(const struct siblings *siblings, uint32_t index);
/* Notes how an item ended, of a serial list; those of others are looked at where they are. */
void siblings_ended(struct siblings *siblings, uint32_t index);
/* How the first `count` of them went, those aside that run whatever happens, for hooks: failure if
 * one failed so that it counts, or the time of ctx was up; else cancelled if one was. */
enum plan_post siblings_outcome(const struct siblings *siblings, uint32_t count,
                                const struct ctx *ctx);
