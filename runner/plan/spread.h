/* What one job of the file becomes: a job for each combination of its matrix, each host of its
 * `run_on`, or each of one with each of the other. Private to plan/. */
#pragma once

#include "plan/hosts.h"
#include "plan/matrix.h"
#include "plan/plan.h"

struct plan_spread {
    struct combinations combinations; /* none: there is no matrix */
    struct plan_hosts hosts;          /* none: there is no `run_on` */
    uint32_t *batches;                /* of the hosts */
    size_t count;                     /* of the jobs; 0: something is wrong */
    bool is_group;                    /* there is a matrix or a `run_on` */
    struct plan_group group;          /* what holds for all of them */
};

/* Adds what is wrong to diags. *ret is to be released in any case. */
void plan_spread_init(const struct plan *plan, const struct plan_stage *stage,
                      const struct spec_job *spec, struct plan_spread *ret,
                      struct diag_list *diags);
void plan_spread_release(struct plan_spread *spread);
