/* The names that expressions can use: what the plan knows of them. Private to plan/. */
#pragma once

#include "plan/plan.h"

/* The value of a name that is known before the run (matrix, pipeline.name); false: of another. */
bool names_value(const struct plan *plan, const struct plan_scope *scope, const char *const *path,
                 size_t len, struct expr_value *ret);
/* Whether all names of an expression mean something in the scope. -1: one does not, and *ret_offset
 * is where it stands. Names are looked up only once the plan has them all (plan->complete). */
int names_check(const struct plan *plan, const struct plan_scope *scope, const struct expr *expr,
                size_t *ret_offset, struct err *err) __attribute__((warn_unused_result));
