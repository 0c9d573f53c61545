/* A scope's own strings are expanded once, for the diagnostics alone, and only if there is anything
 * to expand: most steps of a large file have nothing. */
#include "plan/check.h"

#include <stdlib.h>
#include <string.h>

#include "plan/expand.h"
#include "plan/kubernetes.h"
#include "plan/link.h"
#include "plan/names.h"

bool plan_is_template(const struct spec_str *text)
{
    return has_template(text->text);
}

static bool pairs_have_template(const struct spec_pairs *pairs)
{
    for (size_t i = 0; i < pairs->len; i++) {
        if (plan_is_template(&pairs->items[i].value))
            return true;
    }
    return false;
}

static bool common_has_template(const struct spec_common *c)
{
    return pairs_have_template(&c->environment) || plan_is_template(&c->workdir) ||
           plan_is_template(&c->image) || plan_is_template(&c->engine) ||
           plan_is_template(&c->shell) || plan_is_template(&c->user) ||
           plan_is_template(&c->image_registry) || plan_is_template(&c->image_registry_username) ||
           plan_is_template(&c->image_registry_password) || plan_is_template(&c->data_dir_outer) ||
           plan_is_template(&c->data_dir_inner) ||
           (c->kubernetes && json_has_template(c->kubernetes->value));
}

void plan_check_scope(const struct plan *plan, struct plan_scope *scope, struct diag_list *diags)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    bool late = false;

    if (common_has_template(scope->common) &&
        plan_settings_resolve(plan, scope, NULL, &settings, &late, diags, NULL) < 0)
        settings = (struct plan_settings){0};
    scope->late = late || (scope->parent && scope->parent->late);
}

struct check {
    const struct plan *plan;
    const struct plan_settings *settings;
    bool *late;
    struct diag_list *diags;
};

static void check_string(const struct check *c, const struct spec_str *text)
{
    char *expanded = NULL;

    if (plan_is_template(text) &&
        plan_expand(c->plan, c->settings, text, &expanded, c->late, c->diags, NULL) == 0)
        free(expanded);
}

static void check_json(const struct check *c, const struct spec_json *json)
{
    json_t *expanded = NULL;

    if (json && json_has_template(json->value) &&
        plan_expand_json(c->plan, c->settings, json, &expanded, c->late, c->diags, NULL) == 0)
        json_decref(expanded);
}

static void check_strings(const struct check *c, const struct spec_strs *strings)
{
    for (size_t i = 0; i < strings->len; i++)
        check_string(c, &strings->items[i]);
}

/* Those that are exactly one name which is not set are left out. */
static void check_settings(const struct check *c, const struct spec_pairs *settings)
{
    for (size_t i = 0; i < settings->len; i++) {
        if (!plan_is_unset_name(c->plan, c->settings, &settings->items[i].value))
            check_string(c, &settings->items[i].value);
    }
}

static void check_plugin(const struct check *c, const struct spec_plugin *plugin)
{
    check_string(c, &plugin->image);
    check_string(c, &plugin->entrypoint);
    check_string(c, &plugin->image_registry);
    check_string(c, &plugin->image_registry_username);
    check_string(c, &plugin->image_registry_password);
    check_settings(c, &plugin->settings);
}

static void check_artifacts(const struct check *c, const struct spec_artifacts *artifacts)
{
    for (size_t i = 0; i < artifacts->len; i++) {
        check_string(c, &artifacts->items[i].name);
        check_strings(c, &artifacts->items[i].paths);
        check_strings(c, &artifacts->items[i].exclude);
        check_string(c, &artifacts->items[i].expire_in);
        check_string(c, &artifacts->items[i].store);
    }
}

void plan_check_job_artifacts(const struct plan *plan, struct plan_job *job,
                              struct diag_list *diags)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    const struct check c = {plan, &settings, &job->scope.late, diags};
    bool late = false;

    if (job->spec && job->spec->artifacts.len &&
        plan_settings_resolve(plan, &job->scope, NULL, &settings, &late, NULL, NULL) == 0)
        check_artifacts(&c, &job->spec->artifacts);
}

static void check_security(const struct check *c, const struct spec_security *security)
{
    check_string(c, &security->userns);
    check_string(c, &security->seccomp);
    check_strings(c, &security->cap_add);
    check_strings(c, &security->cap_drop);
}

static void check_ready(const struct check *c, const struct spec_ready *ready)
{
    check_string(c, &ready->tcp);
    check_string(c, &ready->http);
    check_string(c, &ready->log);
}

static void check_container(const struct check *c, const struct spec_container *container)
{
    check_string(c, &container->platform);
    check_string(c, &container->network);
    check_strings(c, &container->volumes);
    check_strings(c, &container->entrypoint);
    check_json(c, container->kubernetes);
    if (container->security)
        check_security(c, container->security);
}

static void check_service(const struct check *c, const struct spec_service *service)
{
    const struct spec_str *const strings[] = {&service->image,
                                              &service->user,
                                              &service->workdir,
                                              &service->image_registry,
                                              &service->image_registry_username,
                                              &service->image_registry_password};

    for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++)
        check_string(c, strings[i]);
    for (size_t i = 0; i < service->environment.len; i++)
        check_string(c, &service->environment.items[i].value);
    check_strings(c, &service->command);
    check_strings(c, &service->ports);
    check_container(c, &service->container);
    if (service->ready)
        check_ready(c, service->ready);
}

/* Of "PIPELINE_SERVICE_NAME_HOST", in which only letters and digits stay what they are. */
static bool has_same_variables(const char *a, const char *b)
{
    while (*a && (*a == *b || (strchr("-_.", *a) && *b && strchr("-_.", *b)))) {
        a++;
        b++;
    }
    return *a == *b;
}

static void check_service_names(const struct spec_services *services, size_t index,
                                const struct spec_services *outer, struct diag_list *diags)
{
    const struct spec_str *name = &services->items[index].name;
    size_t outer_len = outer ? outer->len : 0;

    for (size_t i = 0; i < outer_len + index; i++) {
        const char *other =
            i < outer_len ? outer->items[i].name.text : services->items[i - outer_len].name.text;

        if (strcmp(other, name->text) == 0)
            diag_add(diags, DIAG_ERROR, name->pos, "",
                     "the pipeline has a service \"%s\", too; give this one another name", other);
        else if (has_same_variables(other, name->text))
            diag_add(diags, DIAG_ERROR, name->pos, "",
                     "the services \"%s\" and \"%s\" would have the same variables "
                     "PIPELINE_SERVICE_…; give this one another name",
                     other, name->text);
    }
}

void plan_check_services(const struct plan *plan, const struct plan_scope *scope,
                         const struct spec_services *services, const struct spec_services *outer,
                         struct diag_list *diags)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    bool late = false;
    const struct check c = {plan, &settings, &late, diags};

    if (!services->len ||
        plan_settings_resolve(plan, scope, NULL, &settings, &late, NULL, NULL) < 0)
        return;
    for (size_t i = 0; i < services->len; i++) {
        check_service(&c, &services->items[i]);
        check_service_names(services, i, outer, diags);
    }
}

static void check_config(const struct check *c, const struct spec_config *config)
{
    const struct spec_str *const strings[] = {
        &config->path,     &config->repository, &config->ref,    &config->username,
        &config->password, &config->image,      &config->report, &config->destination,
        &config->url,      &config->message,    &config->body,
    };
    const struct spec_strs *const lists[] = {&config->args, &config->targets, &config->source};
    const struct spec_pairs *const maps[] = {&config->headers, &config->settings};

    for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++)
        check_string(c, strings[i]);
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        check_strings(c, lists[i]);
    for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
        check_settings(c, maps[i]);
}

static void check_own_keys(const struct check *c, const struct spec_step *spec)
{
    if (spec->container)
        check_container(c, spec->container);
    if (spec->plugin)
        check_plugin(c, spec->plugin);
    if (spec->language) {
        check_string(c, &spec->language->name);
        check_string(c, &spec->language->version);
        check_string(c, &spec->language->image);
    }
    if (spec->deployment)
        check_string(c, &spec->deployment->name);
    if (spec->config)
        check_config(c, spec->config);
    if (spec->ready)
        check_ready(c, spec->ready);
    check_artifacts(c, &spec->artifacts);
}

void plan_check_step(const struct plan *plan, struct plan_step *step, struct diag_list *diags)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    const struct check c = {plan, &settings, &step->scope.late, diags};
    bool late = false;

    plan_check_scope(plan, &step->scope, diags);
    if (!step->spec->container && !step->spec->plugin && !step->spec->language &&
        !step->spec->deployment && !step->spec->config && !step->spec->ready &&
        !step->spec->artifacts.len)
        return;
    if (plan_settings_resolve(plan, &step->scope, NULL, &settings, &late, NULL, NULL) < 0)
        return; /* said where the string stands */
    /* Plugins and programs of a language run in containers, whatever the engine. */
    settings.local = settings.local && !step->spec->plugin && !step->spec->language;
    check_own_keys(&c, step->spec);
}

void plan_check_concurrency(const struct plan *plan, const struct plan_scope *scope,
                            const struct spec_concurrency *concurrency, struct diag_list *diags)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    bool late = false;
    const struct check c = {plan, &settings, &late, diags};

    if (concurrency && plan_is_template(&concurrency->group) &&
        plan_settings_resolve(plan, scope, NULL, &settings, &late, NULL, NULL) == 0)
        check_string(&c, &concurrency->group);
}

/* They are expanded when the step or job starts, so that what needs a run is no matter here. */
void plan_check_caches(const struct plan *plan, const struct plan_scope *scope,
                       const struct spec_cache *caches, size_t count, struct diag_list *diags)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    bool late = false;
    const struct check c = {plan, &settings, &late, diags};

    if (!count || plan_settings_resolve(plan, scope, NULL, &settings, &late, NULL, NULL) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        check_string(&c, &caches[i].key);
        check_string(&c, &caches[i].store);
        check_strings(&c, &caches[i].paths);
        check_strings(&c, &caches[i].restore_keys);
    }
}

/* --- conditions --- */

/* Where byte `offset` of a text of one line stands; else where the text begins. */
static struct src_pos position_in(const struct spec_str *text, size_t offset)
{
    struct src_pos pos = text->pos;

    if (pos.line && !memchr(text->text, '\n', offset))
        pos.column += (uint32_t)offset;
    return pos;
}

/* The syntax has been looked at when the file was read; specifications can also come from code. */
static struct expr *read_condition(const struct spec_str *text, struct diag_list *diags)
{
    struct expr *expr = NULL;
    struct err err = ERR_INIT;
    size_t offset = 0;

    if (expr_parse(text->text, strlen(text->text), &expr, &offset, &err) < 0)
        diag_add(diags, DIAG_ERROR, position_in(text, offset), "", "%s", err.message);
    return expr;
}

void plan_read_conditions(const struct spec_flow *spec, struct plan_flow **flow,
                          struct diag_list *diags)
{
    struct plan_flow *f;

    if (!spec)
        return;
    f = plan_flow_make(flow);
    f->spec = spec;
    if (spec->condition.text)
        f->condition = read_condition(&spec->condition, diags);
    if (spec->when && spec->when->expr.text)
        f->when_expr = read_condition(&spec->when->expr, diags);
    f->asks_status = (f->condition && expr_uses_status(f->condition)) ||
                     (f->when_expr && expr_uses_status(f->when_expr)) ||
                     (spec->when && spec->when->status.len);
}

static void check_condition(const struct plan *plan, const struct plan_scope *scope,
                            const struct expr *expr, const struct spec_str *text,
                            struct diag_list *diags)
{
    struct err err = ERR_INIT;
    size_t offset = 0;

    if (expr && names_check(plan, scope, expr, &offset, &err) < 0)
        diag_add(diags, DIAG_ERROR, position_in(text, offset), "", "%s", err.message);
}

static bool strings_have_template(const struct spec_strs *strings)
{
    for (size_t i = 0; i < strings->len; i++) {
        if (plan_is_template(&strings->items[i]))
            return true;
    }
    return false;
}

/* They are expanded anew when it is asked, so that what needs a run is no matter here. */
static void check_when_strings(const struct plan *plan, const struct plan_scope *scope,
                               const struct spec_when *when, struct diag_list *diags)
{
    const struct spec_strs *const lists[] = {&when->exists, &when->changed, &when->branch,
                                             &when->event};
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    bool late = false;
    const struct check c = {plan, &settings, &late, diags};
    bool any = false;

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        any = any || strings_have_template(lists[i]);
    if (!any || plan_settings_resolve(plan, scope, NULL, &settings, &late, NULL, NULL) < 0)
        return;
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        check_strings(&c, lists[i]);
}

void plan_check_conditions(const struct plan *plan, const struct plan_scope *scope,
                           const struct plan_flow *flow, struct diag_list *diags)
{
    if (!flow || !flow->spec)
        return;
    check_condition(plan, scope, flow->condition, &flow->spec->condition, diags);
    if (flow->spec->when)
        check_condition(plan, scope, flow->when_expr, &flow->spec->when->expr, diags);
    if (flow->spec->when)
        check_when_strings(plan, scope, flow->spec->when, diags);
}
