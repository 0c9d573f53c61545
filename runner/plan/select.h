/* Which part of a plan runs: `--only JOB`, `--skip JOB`, `--from STAGE`.
 *
 * What is left out stays in the plan, marked, and is skipped; what depends on it takes it for
 * succeeded. Hooks are not chosen: those of a stage go with its jobs, those of the pipeline always
 * run. A stage of which all jobs are left out is left out itself. */
#pragma once

#include "base/err.h"
#include "plan/plan.h"

/* Names or globs (fnmatch); any may be empty or NULL. A job is called by its name, the name that
 * the file gives to a matrix, or either behind "STAGE/". */
struct plan_selection {
    const struct strvec *only; /* only these jobs, also of `finally` */
    const struct strvec *skip; /* not these jobs */
    const struct strvec *from; /* these stages and what comes after them */
};

/* Marks what is left out, once, before the plan is used. ERR_INVALID: a name that is not there, or
 * nothing is left. */
int plan_select(struct plan *plan, const struct plan_selection *selection, struct err *err)
    __attribute__((warn_unused_result));
