/* Which engines a plan is about. */
#pragma once

#include "base/vec.h"
#include "plan/plan.h"

/* Appends the URL of each engine that a host has, or a step as far as that is known before the run,
 * if it is not there yet. */
void engines_of_plan(const struct plan *plan, struct strvec *urls);
