/* What is wrong with ${…} in a scope's own strings, found before anything runs; see plan.h. */
#pragma once

#include "plan/plan.h"

bool plan_is_template(const struct spec_str *text);
/* The keys that every level has. */
void plan_check_scope(const struct plan *plan, const struct plan_scope *scope,
                      struct diag_list *diags);
/* Those, and the keys that only a step has. */
void plan_check_step(const struct plan *plan, const struct plan_step *step,
                     struct diag_list *diags);
