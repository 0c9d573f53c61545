/* A deployment: `service` of a step.
 * Source: pipeline file reference, section 7. */
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "step/lower.h"

static bool claims(const struct spec_step *spec)
{
    return spec->deployment != NULL;
}

/* One line that names a regular file is its path; anything else is the text itself. What is
 * neither, for it has no ":" and no brace, is a file that is not there; earlier steps may still
 * make it. */
static int choose_config(const struct step_context *context, struct step_lowered *lowered,
                         const char *config, struct err *err)
{
    struct deployment_shape *shape = &lowered->deployment;
    size_t len = strcspn(config, "\n");
    CLEANUP_FREE char *path = NULL;
    struct stat st;

    shape->directory = context->settings->workdir;
    shape->text = config;
    if (config[len] && config[len + 1])
        return 0;
    config = lower_own(lowered, xstrndup(config, len));
    path = fs_join(context->settings->workdir, config);
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        shape->text = NULL;
        shape->file = lower_own(lowered, fs_absolute(path));
    } else if (!strpbrk(config, ":{[") && !context->plan->inputs.ahead) {
        return err_set(err, ERR_NOT_FOUND, "the file of the service is not there: %s", path);
    }
    return 0;
}

static int lower(const struct step_context *context, struct step_lowered *lowered, struct err *err)
{
    const struct spec_deployment *spec = context->step->spec->deployment;
    struct deployment_shape *shape = &lowered->deployment;

    if (lower_string(context, lowered, &spec->name, &shape->name, err) < 0 ||
        choose_config(context, lowered, spec->config.text, err) < 0)
        return -1;
    shape->lasting = spec->lifetime <= SPEC_LIFETIME_PERSISTENT;
    shape->wait = spec->wait != SPEC_FALSE;
    shape->prune = spec->prune == SPEC_TRUE;
    shape->timeout_ms = spec->timeout_ms > 0 ? spec->timeout_ms : 0;
    lower_environment(context, &lowered->environment);
    lowered->runnable.deployment = shape;
    return 0;
}

const struct step_kind step_kind_deployment = {
    .name = "service",
    .claims = claims,
    .lower = lower,
};
