/* What is wrong with ${…}, {{ }} and conditions, found before anything runs; see plan.h. Also finds
 * out which scopes are late. */
#pragma once

#include "plan/plan.h"

bool plan_is_template(const struct spec_str *text);
/* The keys that every level has. */
void plan_check_scope(const struct plan *plan, struct plan_scope *scope, struct diag_list *diags);
/* Those, and the keys that only a step has. */
void plan_check_step(const struct plan *plan, struct plan_step *step, struct diag_list *diags);
/* Its group; `concurrency` may be NULL. */
void plan_check_concurrency(const struct plan *plan, const struct plan_scope *scope,
                            const struct spec_concurrency *concurrency, struct diag_list *diags);
/* Those of the caches of a step or job. */
void plan_check_caches(const struct plan *plan, const struct plan_scope *scope,
                       const struct spec_cache *caches, size_t count, struct diag_list *diags);
/* The services of a scope, none of which may have the name of one of `outer` (may be NULL). */
void plan_check_services(const struct plan *plan, const struct plan_scope *scope,
                         const struct spec_services *services, const struct spec_services *outer,
                         struct diag_list *diags);
/* The strings of what a job keeps of its files. */
void plan_check_job_artifacts(const struct plan *plan, struct plan_job *job,
                              struct diag_list *diags);
/* Parses the conditions of `spec` (may be NULL) into *flow, which is made if there is one. */
void plan_read_conditions(const struct spec_flow *spec, struct plan_flow **flow,
                          struct diag_list *diags);
/* The names in them; `flow` may be NULL. */
void plan_check_conditions(const struct plan *plan, const struct plan_scope *scope,
                           const struct plan_flow *flow, struct diag_list *diags);
