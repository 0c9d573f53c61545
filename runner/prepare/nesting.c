#include "prepare/nesting.h"

#include <stdlib.h>
#include <string.h>

#include "prepare/inputs.h"

#define NESTED                                                                                     \
    "you are already in a pipeline (PIPELINE_RUNNER is set in its environment); a nested run "     \
    "needs --allow-nested"

int nesting_check(const struct prepare_args *args, const struct variables *variables,
                  struct err *err)
{
    bool nested = strmap_has(&variables->above, "PIPELINE_RUNNER") ||
                  strmap_has(&variables->below, "PIPELINE_RUNNER") ||
                  (getenv("PIPELINE_RUNNER") &&
                   inputs_allows(&args->allow_env, args->allow_all_env, "PIPELINE_RUNNER"));

    return nested ? err_set(err, ERR_CONFLICT, NESTED) : 0;
}

static void refuse_nested(const struct spec_common *common, struct diag_list *diags)
{
    const struct spec_pairs *environment = &common->environment;

    for (size_t i = 0; i < environment->len; i++) {
        if (strcmp(environment->items[i].key, "PIPELINE_RUNNER") == 0)
            diag_add(diags, DIAG_ERROR, environment->items[i].value.pos, "", NESTED);
    }
}

static void refuse_nested_stages(const struct spec_stage *stages, size_t count,
                                 struct diag_list *diags)
{
    for (size_t i = 0; i < count; i++) {
        const struct spec_stage *stage = &stages[i];

        refuse_nested(&stage->common, diags);
        for (size_t j = 0; j < stage->job_count; j++) {
            const struct spec_job *job = &stage->jobs[j];

            refuse_nested(&job->common, diags);
            for (size_t k = 0; k < job->step_count; k++)
                refuse_nested(&job->steps[k].common, diags);
        }
    }
}

void nesting_check_file(const struct spec_pipeline *spec, struct diag_list *diags)
{
    refuse_nested(&spec->common, diags);
    refuse_nested_stages(spec->stages, spec->stage_count, diags);
    refuse_nested_stages(spec->finally, spec->finally_count, diags);
}
