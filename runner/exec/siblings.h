/* How siblings went: what conditions, hooks and what comes next want to know of them.
 *
 * Threads: an item that has ended does not change any more; who asks about others than those runs
 * behind them. */
#pragma once

#include "exec/run.h"

/* How what is before an item went: before it in a serial list, or all that it depends on, directly
 * or not, in a graph. */
struct siblings_state {
    bool failed; /* so that it counts */
    bool cancelled;
};

/* A list of siblings while it runs. */
struct siblings {
    const struct node *nodes; /* `count` of them */
    uint32_t count;
    enum plan_order order;
    const struct plan_flow *(*flow)(void *arg, uint32_t index); /* may return NULL */
    void *arg;
    struct siblings_state before; /* PLAN_ORDER_SERIAL: of those that have ended */
    struct siblings_sum *sums;    /* PLAN_ORDER_GRAPH: of each item, so that long graphs are not
                                   * walked again for each question */
};

/* Before the first item runs, and behind the last. */
void siblings_begin(struct siblings *siblings);
void siblings_end(struct siblings *siblings);
/* Between the two, by the thread of the item or of one behind it. */
struct siblings_state siblings_before(const struct siblings *siblings, uint32_t index);
/* Notes how an item ended; to be called by its thread before it gives way to what is behind it. One
 * in the background may end later. */
void siblings_ended(struct siblings *siblings, uint32_t index);
/* How the first `count` of them went, those aside that run whatever happens, for hooks: failure if
 * one failed so that it counts, or the time of ctx was up; else cancelled if one was. */
enum plan_post siblings_outcome(const struct siblings *siblings, uint32_t count,
                                const struct ctx *ctx);
