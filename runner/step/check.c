/* Steps are lowered once beforehand, for the errors alone, if they have anything that lowering can
 * find wrong: most have not, and files are long. */
#include "step/kind.h"

static void check(const struct step_kind *const *kinds, const struct plan *plan,
                  const struct plan_step *step, struct diag_list *diags)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    const struct strmap identity = {0};
    const struct step_context context = {
        .plan = plan, .step = step, .settings = &settings, .identity = &identity, .id = ""};
    struct step_lowered *lowered = NULL;
    struct err err = ERR_INIT;

    if (plan_settings_resolve(plan, &step->scope, NULL, &settings, NULL, NULL, &err) == 0 &&
        step_lower(kinds, &context, &lowered, &err) == 0)
        step_lowered_free(lowered);
    else
        diag_add(diags, DIAG_ERROR, step->spec->pos, "", "%s", err.message);
}

void step_check(const struct step_kind *const *kinds, const struct plan *plan,
                struct diag_list *diags)
{
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const struct plan_stage *stage = &plan->stages[i];

        for (uint32_t j = 0; j < stage->job_count; j++) {
            const struct plan_job *job = &stage->jobs[j];

            for (uint32_t k = 0; k < job->step_count; k++) {
                const struct plan_step *step = &job->steps[k];
                const struct spec_step *spec = step->spec;

                if (!step->scope.late && (spec->container || spec->plugin || spec->language ||
                                          spec->type || spec->ready))
                    check(kinds, plan, step, diags);
            }
        }
    }
}
