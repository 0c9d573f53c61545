#include "exec/lowering.h"

#include <string.h>

#include "base/alloc.h"
#include "exec/outputs.h"
#include "exec/services.h"

static void set_identity(const struct run *run, const struct node *node, uint32_t attempt,
                         struct strmap *identity)
{
    strmap_set(identity, "PIPELINE_ID", run->id);
    strmap_set(identity, "PIPELINE_STAGE", node->parent->parent->name);
    strmap_set(identity, "PIPELINE_JOB", node->parent->name);
    strmap_set(identity, "PIPELINE_STEP", node->name);
    strmap_setf(identity, "PIPELINE_ATTEMPT", "%u", attempt);
}

/* The URL of the engine that runs the step; plugins and languages bring an image with them. */
static char *engine_url(const struct plan_step *step, const struct plan_settings *settings)
{
    bool container = strcmp(settings->engine, "host") != 0;

    return xstrdup(!container && step_implies_container(step->spec) ? "docker" : settings->engine);
}

/* The directory that takes the place of the pipeline's workdir, and of what is said to be in it. */
static int move_workdir(const struct run *run, const struct plan *plan, const struct node *node,
                        struct lowering *l, struct err *err)
{
    const char *parent = own_run_temp_dir(run->options->services->run, err);
    CLEANUP_BUF struct buf id = BUF_INIT;
    size_t len = strlen(plan->workdir);
    char *workdir = l->settings.workdir;

    if (!parent)
        return -1;
    node_id(node->parent, run->id, &id);
    l->workspace = xasprintf("%s/%s", parent, id.data);
    if (strncmp(workdir, plan->workdir, len) == 0 && (!workdir[len] || workdir[len] == '/')) {
        l->settings.workdir = xasprintf("%s%s", l->workspace, workdir + len);
        free(workdir);
    }
    strmap_set(&l->identity, "PIPELINE_WORKDIR", l->workspace);
    return 0;
}

int lowering_make(const struct run *run, const struct plan *plan, const struct plan_step *step,
                  const struct node *node, const struct plan_runtime *runtime, uint32_t attempt,
                  const struct services *services, struct lowering *ret, struct err *err)
{
    CLEANUP_BUF struct buf id = BUF_INIT;
    struct step_context context = {.plan = plan,
                                   .step = step,
                                   .settings = &ret->settings,
                                   .identity = &ret->identity};
    const struct engine *engine;

    if (plan_settings_resolve(plan, &step->scope, runtime, &ret->settings, NULL, NULL, err) < 0)
        return -1;
    ret->url = engine_url(step, &ret->settings);
    engine = engine_find(run->options->engines, ret->url);
    context.local = engine && (engine->capabilities & ENGINE_LOCAL);
    ret->settings.local = context.local;
    set_identity(run, node, attempt, &ret->identity);
    services_environment(services, context.local, &ret->identity);
    node_id(node, run->id, &id);
    context.id = id.data;
    ret->apart = ret->settings.checkout == SPEC_CHECKOUT_NONE;
    if ((ret->apart && context.local && move_workdir(run, plan, node, ret, err) < 0) ||
        step_lower(run->options->kinds, &context, &ret->lowered, err) < 0) {
        lowering_release(ret);
        return -1;
    }
    ret->lowered->runnable.returns = outputs_files;
    ret->lowered->runnable.return_count = OUTPUTS_FILES;
    secrets_mask_step(run, ret->url, &ret->lowered->shape.source);
    return 0;
}

void lowering_release(struct lowering *lowering)
{
    step_lowered_free(lowering->lowered);
    plan_settings_release(&lowering->settings);
    strmap_release(&lowering->identity);
    free(lowering->url);
    free(lowering->workspace);
    *lowering = (struct lowering){0};
}
