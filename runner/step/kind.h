/* Step kinds: what a step of the file becomes for an engine.
 *
 * A kind only *lowers*: it turns the step's specification and settings into a `runnable`, in which
 * nothing is left to look up. Kinds stand in a table that the composition root hands in; the first
 * that claims a step lowers it. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/map.h"
#include "base/vec.h"
#include "engine/engine.h"
#include "plan/plan.h"
#include "plan/settings.h"
#include "step/ready.h"

/* What a kind may look at. Everything is borrowed. */
struct step_context {
    const struct plan *plan;
    const struct plan_step *step;
    const struct plan_settings *settings;
    const struct strmap *identity; /* PIPELINE_ID, PIPELINE_STAGE … of this step */
    const char *id;                /* RUN.0.1.2 */
    bool local;                    /* the engine shares the runner's environment */
};

/* A runnable and all that it points to; freed as one. */
struct step_lowered {
    struct runnable runnable;
    struct container_shape shape;
    struct strmap environment;
    struct strvec argv;
    struct strvec entrypoint;
    struct strvec cap_add;
    struct strvec cap_drop;
    json_t *kubernetes; /* of the shape */
    VEC(struct mount_spec)
    mounts;
    struct strvec owned;     /* other strings that the above borrow */
    struct strvec passwords; /* that it is given, to be masked */
    struct runnable_file file;
    /* For what is known about the run when the step starts, as JSON; path NULL: not wanted. */
    struct placed_file context;
    struct deployment_shape deployment;
    struct image_check image_check;
    struct strmap plugin_settings; /* of a plugin: as they are named in the file */
    /* Of a step in the background; NULL: ready as soon as it runs, or lowered ahead of its time. */
    struct readiness *ready;
};

struct step_kind {
    const char *name;
    bool (*claims)(const struct spec_step *spec);
    /* Fills what differs from a plain command: argv, environment, image. */
    int (*lower)(const struct step_context *context, struct step_lowered *lowered, struct err *err);
};

extern const struct step_kind step_kind_command;
extern const struct step_kind step_kind_plugin;
extern const struct step_kind step_kind_language;
extern const struct step_kind step_kind_type;
extern const struct step_kind step_kind_deployment;

/* Whether the step needs an image although no level names one, so that it runs in a container. */
bool step_implies_container(const struct spec_step *spec);

/* `kinds` is NULL-terminated. *ret goes to the caller: step_lowered_free(). */
int step_lower(const struct step_kind *const *kinds, const struct step_context *context,
               struct step_lowered **ret, struct err *err) __attribute__((warn_unused_result));
void step_lowered_free(struct step_lowered *lowered);

/* Adds what lowering the steps of a plan would find wrong, so that it is known before they run. */
void step_check(const struct step_kind *const *kinds, const struct plan *plan,
                struct diag_list *diags);
