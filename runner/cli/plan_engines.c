#include "cli/plan_engines.h"

#include <string.h>

#include "base/alloc.h"
#include "load/engine_name.h"
#include "plan/settings.h"
#include "step/kind.h"

static void add(struct strvec *urls, const char *url)
{
    if (engine_name_check(url, NULL) == 0 && !strvec_has(urls, url))
        strvec_push(urls, url);
}

static void add_host(const struct plan *plan, const struct plan_host *host, struct strvec *urls)
{
    CLEANUP_DIAG_LIST struct diag_list said_elsewhere = {0};
    CLEANUP_FREE char *url =
        plan_expand_at(plan, &plan->scope, &host->common.engine, &said_elsewhere);

    if (url)
        add(urls, url);
}

static void add_step(const struct plan *plan, const struct plan_step *step, struct strvec *urls)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    bool late = false;

    if (step->spec->deployment ||
        plan_settings_resolve(plan, &step->scope, NULL, &settings, &late, NULL, NULL) < 0)
        return;
    if (strcmp(settings.engine, "host") == 0 && step_implies_container(step->spec))
        add(urls, "docker");
    else
        add(urls, settings.engine);
}

void engines_of_plan(const struct plan *plan, struct strvec *urls)
{
    for (size_t i = 0; i < plan->host_count; i++)
        add_host(plan, &plan->hosts[i], urls);
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const struct plan_stage *stage = &plan->stages[i];

        for (uint32_t j = 0; j < stage->job_count; j++) {
            for (uint32_t k = 0; k < stage->jobs[j].step_count; k++)
                add_step(plan, &stage->jobs[j].steps[k], urls);
        }
    }
}
