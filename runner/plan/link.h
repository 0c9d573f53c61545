/* Dependencies between siblings: from the names in `depends_on` to edges. Private to plan/. */
#pragma once

#include <stdbool.h>

#include "base/diag.h"
#include "plan/plan.h"

/* One stage, job or step as far as its order is concerned. */
struct sibling {
    const char *id;               /* NULL: it has none */
    const char *name;             /* as it is shown */
    const char *plain_name;       /* as the file has it; NULL: the same */
    const struct spec_flow *spec; /* NULL: it says nothing */
    struct plan_flow **flow;      /* gets the edges */
    enum plan_kind kind;
    /* Begins when those from `after` up to, without, `after_end` have ended, however. */
    uint32_t after;
    uint32_t after_end;
    uint32_t span; /* how many, from here on, stand for the same thing in the file; 0: not the first
                    * of them */
};

/* Links the siblings if one of them says `depends_on`, or if there are hooks or batches among
 * siblings that are free to run at once, and tells whether that is so. Hooks and `finally` are tied
 * to the others. Unknown names, names that mean several, and cycles are added to diags. `level` is
 * "stage", "job" or "step". Linear in siblings and edges. */
bool plan_link(const struct sibling *siblings, uint32_t count, enum plan_order order,
               const char *level, struct diag_list *diags);
/* The flow of a sibling, made if it has none yet. */
struct plan_flow *plan_flow_make(struct plan_flow **flow);
void plan_flow_free(struct plan_flow *flow);
