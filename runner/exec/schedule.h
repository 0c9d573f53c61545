/* Runs a list of siblings in their order, as many at a time as allowed.
 *
 * An item is started when all that it depends on has ended, however that ended: whether it then
 * really runs is for `run` to decide (see gate.h). Items that could start wait in the order in
 * which they became able to. The caller's thread works too, so that a list of which one item runs
 * at a time starts no thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "plan/plan.h"

struct schedule {
    uint32_t count;
    enum plan_order order;
    /* Of PLAN_ORDER_GRAPH: what an item depends on; NULL: nothing. */
    const struct plan_flow *(*flow)(void *arg, uint32_t index);
    uint32_t max_parallel; /* at least 1 */
    /* Limits of groups of items: the group of an item, 0 for none, and how many of group g run at a
     * time, group_limits[g - 1], 0 for any number. NULL function: there are no groups. */
    uint32_t (*group)(void *arg, uint32_t index);
    const uint32_t *group_limits;
    uint32_t group_count;
    /* Called once for each item; items that do not depend on each other run at the same time. */
    void (*run)(void *arg, uint32_t index);
    void *arg;
};

/* Returns when all items have ended. */
void schedule_run(const struct schedule *schedule);
