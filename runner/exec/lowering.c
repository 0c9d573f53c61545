#include "exec/lowering.h"

#include <string.h>

#include "base/alloc.h"
#include "exec/outputs.h"
#include "exec/services.h"
#include "spec/engine_names.h"
#include "spec/service_kinds.h"

static void set_identity(const struct run *run, const struct plan_step *step,
                         const struct node *node, uint32_t attempt, struct strmap *identity)
{
    strmap_set(identity, "PIPELINE_ID", run->id);
    strmap_set(identity, "PIPELINE_STAGE", node->parent->parent->name);
    strmap_set(identity, "PIPELINE_JOB", node->parent->name);
    strmap_set(identity, "PIPELINE_STEP", node->name);
    if (step->scope.job->host)
        strmap_set(identity, "PIPELINE_HOST", step->scope.job->host->spec->name.text);
    strmap_setf(identity, "PIPELINE_ATTEMPT", "%u", attempt);
}

/* A deployment goes to what the runner itself reaches: to the cluster or daemon that is the step's
 * engine, if it can go there, or to the usual one. */
static int deployment_url(const struct spec_deployment *spec, const struct plan_settings *settings,
                          char **ret, struct err *err)
{
    const struct spec_service_kind *kind = spec_service_kind(spec->type);
    const char *address = strstr(settings->engine, "://");
    size_t len = address ? (size_t)(address - settings->engine) : strlen(settings->engine);
    CLEANUP_FREE char *name = xstrndup(settings->engine, len);
    bool cluster = spec_engine_is(settings->engine, "kubernetes");
    bool docker = strcmp(name, "docker") == 0;

    if (!cluster && !docker && strcmp(name, "host") != 0)
        return err_set(err, ERR_INVALID,
                       "a service is deployed from where the runner is, not by the engine %s; "
                       "write engine: host at the step",
                       settings->engine);
    if (cluster && !kind->cluster)
        return err_set(err, ERR_INVALID,
                       "a service of the type %s goes to the Docker that the runner reaches, not "
                       "to the engine %s; write engine: host at the step",
                       kind->name, settings->engine);
    *ret = xasprintf("%s%s", kind->engine, cluster && address ? address : "");
    return 0;
}

/* The URL of the engine that runs the step; plugins and languages bring an image with them. */
static int engine_url(const struct plan_step *step, const struct plan_settings *settings,
                      char **ret, struct err *err)
{
    bool container = strcmp(settings->engine, "host") != 0;

    if (step->spec->deployment)
        return deployment_url(step->spec->deployment, settings, ret, err);
    if (plan_engine_is_remote(settings->engine) && step_implies_container(step->spec))
        return err_set(err, ERR_UNSUPPORTED,
                       "a plugin or language runs in a container, and the engine %.*s has none; "
                       "write engine: docker at the step",
                       (int)strcspn(settings->engine, ":"), settings->engine);
    *ret = xstrdup(!container && step_implies_container(step->spec) ? "docker" : settings->engine);
    return 0;
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
    if (engine_url(step, &ret->settings, &ret->url, err) < 0) {
        lowering_release(ret);
        return -1;
    }
    engine = engine_find(run->options->engines, ret->url);
    context.local = engine && (engine->capabilities & ENGINE_LOCAL);
    ret->settings.local = context.local;
    set_identity(run, step, node, attempt, &ret->identity);
    services_environment(services, context.local, &ret->identity);
    node_id(node, run->id, &id);
    context.id = id.data;
    ret->apart = ret->settings.checkout == SPEC_CHECKOUT_NONE;
    if ((ret->apart && context.local && move_workdir(run, plan, node, ret, err) < 0) ||
        step_lower(run->options->kinds, &context, &ret->lowered, err) < 0) {
        lowering_release(ret);
        return -1;
    }
    if (engine && (engine->capabilities & ENGINE_REMOTE) && !ret->settings.workdir_given &&
        ret->lowered->runnable.workdir == ret->settings.workdir)
        ret->lowered->runnable.workdir = NULL;
    ret->lowered->runnable.returns = outputs_files;
    ret->lowered->runnable.return_count = OUTPUTS_FILES;
    secrets_mask_step(run, ret->url, ret->lowered);
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
