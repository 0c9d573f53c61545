/* What expressions see of the run: states and outputs of what has ended, and the functions that ask
 * how things went. */
#pragma once

#include "exec/admission.h"
#include "exec/run.h"
#include "plan/settings.h"

/* Lives as long as the runtime that it fills is used. */
struct values {
    struct run *run;
    const struct ctx *ctx;           /* ends hashFiles() and exists() */
    const struct plan_job *job;      /* NULL: of a stage or job itself */
    const struct node *job_node;     /* likewise */
    const struct siblings *siblings; /* of what asks; NULL: it has none */
    uint32_t index;                  /* of what asks, among them */
    bool ahead; /* what has not ended, and how things went, is not known: an error, not null */
};

/* `environment` may be NULL, see struct plan_runtime. */
void values_init(struct plan_runtime *runtime, struct values *values,
                 const struct strmap *environment);
