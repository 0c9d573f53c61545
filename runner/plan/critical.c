/* Order and weight of siblings; see outline.h. The heaviest path is found level by level: a job
 * costs what the heaviest path through its steps costs, and so on. */
#include <stdlib.h>

#include "base/alloc.h"
#include "plan/outline.h"

struct visit {
    uint32_t node;
    uint32_t next; /* edge to look at */
};

/* Depth first, without recursion, as a chain may be as long as the file. */
uint32_t *outline_sorted(const struct outline *parent)
{
    uint32_t count = parent->count;
    uint32_t *sorted = xcalloc(count, sizeof(*sorted));
    CLEANUP_FREE bool *seen = xcalloc(count, sizeof(*seen));
    CLEANUP_FREE struct visit *path = xcalloc(count, sizeof(*path));
    uint32_t done = 0;

    for (uint32_t root = 0; root < count; root++) {
        uint32_t len = 0;

        if (seen[root])
            continue;
        seen[root] = true;
        path[len++] = (struct visit){.node = root};
        while (len > 0) {
            struct visit *top = &path[len - 1];
            const struct plan_flow *flow = parent->children[top->node].flow;
            uint32_t from;

            if (!flow || top->next == flow->edge_count) {
                sorted[done++] = top->node;
                len--;
                continue;
            }
            from = flow->edges[top->next++].from;
            if (!seen[from]) {
                seen[from] = true;
                path[len++] = (struct visit){.node = from};
            }
        }
    }
    return sorted;
}

/* --- edges --- */

static void add_edges_of(const struct outline *parent, uint32_t to, bool *has_successor,
                         struct outline_edges *ret)
{
    const struct outline *node = &parent->children[to];
    const struct plan_flow *flow = node->flow;
    bool waits_for_all = node->kind == PLAN_POST || node->kind == PLAN_FINALLY;

    for (uint32_t i = 0; flow && i < flow->edge_count; i++) {
        const struct plan_edge *edge = &flow->edges[i];

        if (waits_for_all && has_successor[edge->from])
            continue;
        vec_push(ret, ((struct outline_edge){edge->from, to,
                                             waits_for_all || !edge->given
                                                 ? SPEC_CONDITION_SUCCEEDED
                                                 : (enum spec_condition)edge->condition}));
    }
    for (uint32_t i = 0; waits_for_all && flow && i < flow->edge_count; i++)
        has_successor[flow->edges[i].from] = true;
}

void outline_edges(const struct outline *parent, struct outline_edges *ret)
{
    CLEANUP_FREE bool *has_successor = xcalloc(parent->count, sizeof(*has_successor));

    for (uint32_t i = 1; parent->order == PLAN_ORDER_SERIAL && i < parent->count; i++)
        vec_push(ret, ((struct outline_edge){i - 1, i, SPEC_CONDITION_SUCCEEDED}));
    if (parent->order != PLAN_ORDER_GRAPH)
        return;
    for (uint32_t i = 0; i < parent->count; i++) {
        const struct outline *node = &parent->children[i];

        for (uint32_t j = 0; node->kind == PLAN_PLAIN && node->flow && j < node->flow->edge_count;
             j++)
            has_successor[node->flow->edges[j].from] = true;
    }
    for (uint32_t i = 0; i < parent->count; i++)
        add_edges_of(parent, i, has_successor, ret);
}

/* --- the critical path --- */

#define NONE UINT32_MAX

static bool is_in_background(const struct outline *node)
{
    return node->step && node->step->spec->background == SPEC_TRUE;
}

/* Of a graph: the cost of the heaviest path, whose items are marked. */
static int64_t heaviest_path(struct outline *parent)
{
    CLEANUP_FREE uint32_t *sorted = outline_sorted(parent);
    CLEANUP_FREE int64_t *finish = xcalloc(parent->count, sizeof(*finish));
    CLEANUP_FREE uint32_t *before = xcalloc(parent->count, sizeof(*before));
    uint32_t last = NONE;

    for (uint32_t i = 0; i < parent->count; i++) {
        uint32_t at = sorted[i];
        const struct plan_flow *flow = parent->children[at].flow;

        before[at] = NONE;
        for (uint32_t j = 0; flow && j < flow->edge_count; j++) {
            uint32_t from = flow->edges[j].from;

            if (before[at] == NONE || finish[from] > finish[before[at]])
                before[at] = from;
        }
        finish[at] = parent->children[at].cost + (before[at] == NONE ? 0 : finish[before[at]]);
        if (last == NONE || finish[at] > finish[last])
            last = at;
    }
    for (uint32_t at = last; at != NONE; at = before[at])
        parent->children[at].is_critical = parent->children[at].runs;
    return last == NONE ? 0 : finish[last];
}

static int64_t sum(struct outline *parent)
{
    int64_t total = 0;

    for (uint32_t i = 0; i < parent->count; i++) {
        total += parent->children[i].cost;
        parent->children[i].is_critical =
            parent->children[i].runs && !is_in_background(&parent->children[i]);
    }
    return total;
}

static int64_t heaviest(struct outline *parent)
{
    uint32_t found = NONE;

    for (uint32_t i = 0; i < parent->count; i++) {
        if (parent->children[i].runs &&
            (found == NONE || parent->children[i].cost > parent->children[found].cost))
            found = i;
    }
    if (found == NONE)
        return 0;
    parent->children[found].is_critical = true;
    return parent->children[found].cost;
}

/* Whether its cost is not an average. */
static bool is_certain(const struct outline *node)
{
    return node->is_measured || !node->runs || is_in_background(node);
}

static void weigh(struct outline *node)
{
    if (node->level == OUTLINE_STEP)
        return;
    node->is_measured = true;
    for (uint32_t i = 0; i < node->count; i++) {
        weigh(&node->children[i]);
        node->is_measured = node->is_measured && is_certain(&node->children[i]);
    }
    if (!node->runs)
        node->cost = 0;
    else if (node->order == PLAN_ORDER_SERIAL)
        node->cost = sum(node);
    else if (node->order == PLAN_ORDER_FREE)
        node->cost = heaviest(node);
    else
        node->cost = heaviest_path(node);
}

/* What is critical in its own list is so in the whole only if everything above it is, too. */
static void clear_below(struct outline *node)
{
    for (uint32_t i = 0; i < node->count; i++) {
        struct outline *child = &node->children[i];

        child->is_critical = child->is_critical && node->is_critical;
        clear_below(child);
    }
}

struct measure {
    int64_t (*duration_of)(void *arg, const struct outline *step);
    void *arg;
    int64_t total;
    int64_t count;
};

static void measure(struct measure *m, struct outline *node)
{
    int64_t took;

    for (uint32_t i = 0; i < node->count; i++)
        measure(m, &node->children[i]);
    if (node->level != OUTLINE_STEP || !node->runs)
        return;
    if (is_in_background(node))
        return; /* nothing waits for it */
    took = m->duration_of ? m->duration_of(m->arg, node) : 1;
    node->is_measured = m->duration_of && took >= 0;
    node->cost = took;
    if (took >= 0) {
        m->total += took;
        m->count++;
    }
}

static void fill_gaps(struct outline *node, int64_t average)
{
    for (uint32_t i = 0; i < node->count; i++)
        fill_gaps(&node->children[i], average);
    if (node->cost < 0)
        node->cost = average;
}

void outline_estimate(struct outline *root,
                      int64_t (*duration_of)(void *arg, const struct outline *step), void *arg)
{
    struct measure m = {.duration_of = duration_of, .arg = arg};

    measure(&m, root);
    fill_gaps(root, m.count ? m.total / m.count : 0);
    weigh(root);
    root->is_critical = true;
    clear_below(root);
}
