/* A service is lowered as a step would be that has the service's own keys and inherits nothing but
 * where images come from: neither environment nor user, workdir or shell of its level are meant for
 * it. */
#include "step/service.h"

#include <string.h>

#include "base/alloc.h"
#include "step/lower.h"

/* The step that it is taken for. */
struct service_step {
    struct plan_step step; /* first: a context leads to it */
    struct spec_step spec;
    const struct spec_service *service;
};

static bool claims(const struct spec_step *spec)
{
    (void)spec;
    return true;
}

static int lower(const struct step_context *context, struct step_lowered *lowered, struct err *err)
{
    const struct spec_service *spec = ((const struct service_step *)context->step)->service;

    for (size_t i = 0; i < spec->command.len; i++) {
        const char *word;

        if (lower_string(context, lowered, &spec->command.items[i], &word, err) < 0)
            return -1;
        strvec_push(&lowered->argv, word);
    }
    for (size_t i = 0; i < spec->environment.len; i++) {
        const char *value;

        if (lower_string(context, lowered, &spec->environment.items[i].value, &value, err) < 0)
            return -1;
        strmap_set(&lowered->environment, spec->environment.items[i].key, value ? value : "");
    }
    return 0;
}

static const struct step_kind kind_service = {"service", claims, lower};

/* Replaces a setting by what the service says; `inherit`: if it says something. */
static int replace(const struct plan *plan, const struct plan_settings *settings,
                   const struct spec_str *text, bool inherit, char **setting, char **ret,
                   struct err *err)
{
    if (plan_expand(plan, settings, text, ret, NULL, NULL, err) < 0)
        return -1;
    if (*ret && !**ret)
        free(steal_ptr(ret));
    if (!*ret && inherit)
        *ret = xstrdup_null(*setting);
    return 0;
}

static int make_settings(const struct plan *plan, const struct spec_service *spec,
                         struct plan_settings *s, struct err *err)
{
    const struct {
        const struct spec_str *text;
        char **setting;
        bool inherit;
    } rows[] = {
        {&spec->image, &s->image, false},
        {&spec->user, &s->user, false},
        {&spec->workdir, &s->workdir, false},
        {&spec->image_registry, &s->image_registry, true},
        {&spec->image_registry_username, &s->image_registry_username, true},
        {&spec->image_registry_password, &s->image_registry_password, true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char *value = NULL;

        if (replace(plan, s, rows[i].text, rows[i].inherit, rows[i].setting, &value, err) < 0)
            return -1;
        free(*rows[i].setting);
        *rows[i].setting = value;
    }
    if (!s->image)
        return err_set(err, ERR_INVALID, "its `image` is empty");
    free(steal_ptr(&s->shell));
    free(steal_ptr(&s->data_dir_outer));
    free(steal_ptr(&s->data_dir_inner));
    s->isolation = SPEC_ISOLATION_STEP;
    s->resources = spec->resources;
    if (spec->pull_count) {
        s->pull = spec->pull;
        s->pull_count = spec->pull_count;
    }
    if (spec->grace_ms != SPEC_UNSET)
        s->grace_ms = spec->grace_ms;
    return 0;
}

static int add_ports(const struct plan *plan, const struct spec_service *spec,
                     struct service_lowered *service, struct err *err)
{
    for (size_t i = 0; i < spec->ports.len; i++) {
        CLEANUP_FREE char *text = NULL;
        struct port_mapping mapping;

        if (plan_expand(plan, &service->settings, &spec->ports.items[i], &text, NULL, NULL, err) <
                0 ||
            port_mapping_parse(text, &mapping, err) < 0)
            return -1;
        vec_push(&service->ports, mapping);
    }
    return 0;
}

static int lower_runnable(const struct plan *plan, const struct spec_service *spec, const char *id,
                          struct service_lowered *service, struct err *err)
{
    const struct step_kind *const kinds[] = {&kind_service, NULL};
    const struct strmap identity = {0};
    struct service_step step = {
        .step = {.spec = &step.spec, .name = spec->name.text},
        .spec = {.pos = spec->pos,
                 .ready = spec->ready,
                 .container = (struct spec_container *)&spec->container},
        .service = spec,
    };
    const struct step_context context = {.plan = plan,
                                         .step = &step.step,
                                         .settings = &service->settings,
                                         .identity = &identity,
                                         .id = id};

    if (step_lower(kinds, &context, &service->lowered, err) < 0)
        return -1;
    readiness_add_image(&service->lowered->ready);
    service->shape = (struct service_shape){.name = spec->name.text,
                                            .ports = service->ports.items,
                                            .port_count = service->ports.len};
    service->lowered->runnable.service = &service->shape;
    return 0;
}

int service_lower(const struct plan *plan, const struct plan_scope *scope,
                  const struct plan_runtime *runtime, const struct spec_service *spec,
                  const char *id, struct service_lowered **ret, struct err *err)
{
    struct service_lowered *service = xcalloc(1, sizeof(*service));

    if (plan_settings_resolve(plan, scope, runtime, &service->settings, NULL, NULL, err) < 0) {
        free(service);
        return -1;
    }
    service->url = xstrdup(
        strcmp(service->settings.engine, "host") == 0 ? "docker" : service->settings.engine);
    if (make_settings(plan, spec, &service->settings, err) < 0 ||
        add_ports(plan, spec, service, err) < 0 ||
        lower_runnable(plan, spec, id, service, err) < 0) {
        service_lowered_free(service);
        return -1;
    }
    *ret = service;
    return 0;
}

void service_lowered_free(struct service_lowered *service)
{
    if (!service)
        return;
    step_lowered_free(service->lowered);
    plan_settings_release(&service->settings);
    vec_release(&service->ports);
    free(service->url);
    free(service);
}
