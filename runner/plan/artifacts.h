/* Artifacts in the plan: whether jobs take them from jobs that have ended by then. Private to
 * plan/.
 */
#pragma once

#include "base/diag.h"
#include "plan/plan.h"

/* Looks at every `from` of the job; what is wrong is added to diags. */
void plan_check_artifact_sources(const struct plan *plan, uint32_t stage, uint32_t job,
                                 struct diag_list *diags);
