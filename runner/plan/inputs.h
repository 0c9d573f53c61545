/* The pipeline's `inputs`. Private to plan/. */
#pragma once

#include "plan/plan.h"

/* Fills plan->parameters from what was given and the defaults. What is wrong, all of it, goes to
 * diags. */
void inputs_resolve(struct plan *plan, struct diag_list *diags);
/* NULL: the pipeline has no such input. */
const struct spec_input *inputs_find(const struct plan *plan, const char *name);
/* Of the type that the input has; null: it has no value. Borrows from the plan. */
struct expr_value inputs_value(const struct plan *plan, const struct spec_input *input);
