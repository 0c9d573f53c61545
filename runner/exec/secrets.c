/* Every step could print the file that it comes from, so that passwords are hidden from the start,
 * not only while a step uses them. Those that depend on what only a run knows come when their step
 * is lowered. What is too short to be hidden is not: a password is not refused for that. */
#include <string.h>

#include "base/alloc.h"
#include "exec/exec.h"
#include "exec/run.h"

/* What goes into the mask, and whether all of it could. */
struct masking {
    const struct plan *plan;
    struct mask *mask;
    bool too_large;
};

static void mask_password(struct masking *masking, const char *password)
{
    if (password && mask_add(masking->mask, password, strlen(password)) == MASK_TOO_LARGE)
        masking->too_large = true;
}

void secrets_say_too_large(const struct run *run)
{
    event_bus_note(run->bus, run->root, "a password is too long to be masked");
}

void secrets_mask_step(const struct run *run, const char *engine_url,
                       const struct step_lowered *lowered)
{
    struct masking masking = {run->plan, run->bus->mask, false};

    if (!masking.mask)
        return;
    mask_add_url(masking.mask, engine_url);
    mask_password(&masking, lowered->shape.source.password);
    for (size_t i = 0; i < lowered->passwords.len; i++)
        mask_password(&masking, lowered->passwords.items[i]);
    if (masking.too_large)
        secrets_say_too_large(run);
}

static bool may_hold_password(const struct spec_str *engine)
{
    return engine->text && (strchr(engine->text, '@') || strstr(engine->text, "${"));
}

static void mask_scope(struct masking *masking, const struct plan_scope *scope)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    const struct spec_common *common = scope->common;
    bool late = false;

    if ((!common->image_registry_password.text && !may_hold_password(&common->engine)) ||
        plan_settings_resolve(masking->plan, scope, NULL, &settings, &late, NULL, NULL) < 0)
        return;
    mask_password(masking, settings.image_registry_password);
    mask_add_url(masking->mask, settings.engine);
}

static void mask_plugin(struct masking *masking, const struct plan_step *step)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    CLEANUP_FREE char *password = NULL;
    bool late = false;

    if (!step->spec->plugin || !step->spec->plugin->image_registry_password.text ||
        plan_settings_resolve(masking->plan, &step->scope, NULL, &settings, &late, NULL, NULL) <
            0 ||
        plan_expand(masking->plan, &settings, &step->spec->plugin->image_registry_password,
                    &password, &late, NULL, NULL) < 0)
        return;
    mask_password(masking, password);
}

static void mask_config(struct masking *masking, const struct plan_step *step)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    const struct spec_config *config = step->spec->config;
    CLEANUP_FREE char *password = NULL;
    CLEANUP_FREE char *repository = NULL;
    bool late = false;

    if (!config || (!config->password.text && !config->repository.text) ||
        plan_settings_resolve(masking->plan, &step->scope, NULL, &settings, &late, NULL, NULL) < 0)
        return;
    if (plan_expand(masking->plan, &settings, &config->password, &password, &late, NULL, NULL) == 0)
        mask_password(masking, password);
    if (plan_expand(masking->plan, &settings, &config->repository, &repository, &late, NULL,
                    NULL) == 0 &&
        repository)
        mask_add_url(masking->mask, repository);
}

static void mask_job(struct masking *masking, const struct plan_job *job)
{
    mask_scope(masking, &job->scope);
    for (uint32_t i = 0; i < job->step_count; i++) {
        mask_scope(masking, &job->steps[i].scope);
        mask_plugin(masking, &job->steps[i]);
        mask_config(masking, &job->steps[i]);
    }
}

bool exec_mask_known(const struct plan *plan, struct mask *mask)
{
    struct masking masking = {plan, mask, false};

    if (!mask)
        return true;
    if (plan->inputs.engine)
        mask_add_url(mask, plan->inputs.engine);
    mask_scope(&masking, &plan->scope);
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        mask_scope(&masking, &plan->stages[i].scope);
        for (uint32_t j = 0; j < plan->stages[i].job_count; j++)
            mask_job(&masking, &plan->stages[i].jobs[j]);
    }
    return !masking.too_large;
}

/* A value that cannot be hidden is either no secret, or the step must not go on as if it were. */
static int mask_line(struct event_bus *bus, const struct node *node, const char *line, size_t len,
                     bool *said, struct err *err)
{
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (!len)
        return 0;
    switch (mask_add(bus->mask, line, len)) {
    case MASK_TOO_LARGE:
        return err_set(err, ERR_LIMIT,
                       "a value in $PIPELINE_MASK is too large: it may have %d KiB, and all "
                       "together %d KiB",
                       MASK_VALUE_MAX / 1024, MASK_TOTAL_MAX / 1024);
    case MASK_TOO_SHORT:
        if (!*said)
            event_bus_note(bus, node,
                           "a value in $PIPELINE_MASK has less than %d bytes and is not masked",
                           MASK_VALUE_MIN);
        *said = true;
        return 0;
    default:
        return 0;
    }
}

int secrets_mask_lines(struct event_bus *bus, const struct node *node, enum returned_state state,
                       const char *data, size_t size, bool *said, struct err *err)
{
    const char *end = data + size;
    int result = 0;

    if (!bus->mask)
        return 0;
    for (const char *at = data; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;

        if (mask_line(bus, node, at, (size_t)(stop - at), said, result < 0 ? NULL : err) < 0)
            result = -1;
        at = stop + 1;
    }
    if (state == RETURNED_TRUNCATED)
        return err_set(err, ERR_LIMIT, "$PIPELINE_MASK holds more than %d KiB",
                       MASK_TOTAL_MAX / 1024);
    if (state == RETURNED_UNREADABLE)
        return err_set(err, ERR_INVALID, "$PIPELINE_MASK is no regular file any more");
    return result;
}
