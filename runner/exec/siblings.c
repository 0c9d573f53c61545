#include "exec/siblings.h"

#include <stdlib.h>

#include "base/alloc.h"

/* What an item that has ended and all before it add to what is behind them. */
struct siblings_sum {
    bool settled; /* none of them can change any more; else the others say nothing */
    struct siblings_state state;
};

void siblings_begin(struct siblings *siblings)
{
    if (siblings->order == PLAN_ORDER_GRAPH)
        siblings->sums = xcalloc(siblings->count, sizeof(*siblings->sums));
}

void siblings_end(struct siblings *siblings)
{
    free(siblings->sums);
    siblings->sums = NULL;
}

static void add_node(struct siblings_state *state, const struct node *node)
{
    state->failed = state->failed || node_has_failed(node);
    state->cancelled = state->cancelled || node->state == STATE_CANCELLED;
}

static void add_state(struct siblings_state *state, const struct siblings_state *more)
{
    state->failed = state->failed || more->failed;
    state->cancelled = state->cancelled || more->cancelled;
}

/* By the sums of those that it depends on directly, if all are settled. */
static bool add_sums(const struct siblings *siblings, uint32_t index, struct siblings_state *ret)
{
    const struct plan_flow *flow = siblings->flow(siblings->arg, index);
    struct siblings_state state = {0};

    for (uint32_t i = 0; flow && i < flow->edge_count; i++) {
        const struct siblings_sum *sum = &siblings->sums[flow->edges[i].from];

        if (!sum->settled)
            return false;
        add_state(&state, &sum->state);
    }
    *ret = state;
    return true;
}

/* Walks the graph against its edges: steps in the background end later than what is behind them
 * begins. */
static struct siblings_state walk(const struct siblings *siblings, uint32_t index)
{
    CLEANUP_FREE bool *seen = xcalloc(siblings->count, sizeof(*seen));
    CLEANUP_FREE uint32_t *stack = xcalloc(siblings->count, sizeof(*stack));
    struct siblings_state state = {0};
    uint32_t len = 0;

    stack[len++] = index;
    while (len > 0) {
        const struct plan_flow *flow = siblings->flow(siblings->arg, stack[--len]);

        for (uint32_t i = 0; flow && i < flow->edge_count; i++) {
            uint32_t from = flow->edges[i].from;

            if (seen[from])
                continue;
            seen[from] = true;
            if (siblings->sums[from].settled) {
                add_state(&state, &siblings->sums[from].state);
                continue;
            }
            add_node(&state, &siblings->nodes[from]);
            stack[len++] = from;
        }
    }
    return state;
}

void siblings_ended(struct siblings *siblings, uint32_t index)
{
    const struct node *node = &siblings->nodes[index];
    struct siblings_sum sum = {0};

    if (siblings->order == PLAN_ORDER_SERIAL)
        add_node(&siblings->before, node);
    if (siblings->order != PLAN_ORDER_GRAPH || !state_is_final((enum state)node->state))
        return;
    sum.settled = add_sums(siblings, index, &sum.state);
    add_node(&sum.state, node);
    siblings->sums[index] = sum;
}

struct siblings_state siblings_before(const struct siblings *siblings, uint32_t index)
{
    struct siblings_state state;

    if (siblings->order != PLAN_ORDER_GRAPH)
        return siblings->before;
    return add_sums(siblings, index, &state) ? state : walk(siblings, index);
}

enum plan_post siblings_outcome(const struct siblings *siblings, uint32_t count,
                                const struct ctx *ctx)
{
    enum plan_post outcome = PLAN_POST_SUCCESS;

    for (uint32_t i = 0; i < count; i++) {
        const struct node *node = &siblings->nodes[i];

        if (node->is_post)
            continue;
        if (node_has_failed(node))
            return PLAN_POST_FAILURE;
        if (outcome_was_cut_short(ctx, node))
            outcome = PLAN_POST_CANCELLED;
    }
    if (outcome == PLAN_POST_CANCELLED && outcome_timed_out(ctx))
        return PLAN_POST_FAILURE;
    return outcome;
}
