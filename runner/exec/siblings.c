#include "exec/siblings.h"

#include <stdlib.h>

#include "base/alloc.h"

void siblings_ended(struct siblings *siblings, uint32_t index)
{
    const struct node *node = &siblings->nodes[index];

    if (siblings->order != PLAN_ORDER_SERIAL)
        return;
    siblings->failed = siblings->failed || node_has_failed(node);
    siblings->cancelled = siblings->cancelled || node->state == STATE_CANCELLED;
}

/* Walks the graph against its edges. */
static struct siblings_state ancestors(const struct siblings *siblings, uint32_t index)
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
            const struct node *node = &siblings->nodes[from];

            if (seen[from])
                continue;
            seen[from] = true;
            stack[len++] = from;
            state.failed = state.failed || node_has_failed(node);
            state.cancelled = state.cancelled || node->state == STATE_CANCELLED;
        }
    }
    return state;
}

struct siblings_state siblings_before(const struct siblings *siblings, uint32_t index)
{
    if (siblings->order == PLAN_ORDER_GRAPH)
        return ancestors(siblings, index);
    return (struct siblings_state){siblings->failed, siblings->cancelled};
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
        if (node->state == STATE_CANCELLED)
            outcome = PLAN_POST_CANCELLED;
    }
    if (outcome == PLAN_POST_CANCELLED && outcome_timed_out(ctx))
        return PLAN_POST_FAILURE;
    return outcome;
}
