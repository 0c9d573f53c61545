/* What `kubernetes` of a step and of a service becomes for an engine. */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "load/load.h"
#include "step/kind.h"
#include "step/service.h"

static const struct step_kind *const kinds[] = {&step_kind_plugin, &step_kind_command, NULL};

struct fixture {
    struct spec_pipeline *spec;
    struct plan *plan;
    struct diag_list diags;
};

static void make(struct fixture *f, const char *text)
{
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    const struct plan_inputs inputs = {.current_dir = "/repo"};

    *f = (struct fixture){0};
    load_source_init(&source, "p.yaml", text, strlen(text));
    f->spec = load_pipeline(&source, NULL, &f->diags);
    if (!f->spec)
        fail_msg("%s", f->diags.items[0].message);
    f->plan = plan_build(f->spec, &inputs, &f->diags);
    assert_non_null(f->plan);
}

static void done(struct fixture *f)
{
    plan_free(f->plan);
    spec_pipeline_free(f->spec);
    diag_list_release(&f->diags);
}

static void assert_shape(const struct container_shape *shape, const char *expected)
{
    char *text =
        shape->kubernetes ? json_dumps(shape->kubernetes, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    assert_string_equal(text ? text : "nothing", expected);
    free(text);
}

/* The step with these keys, in a job that has a pod shape of its own. */
static void assert_step(const char *keys, const char *expected)
{
    CLEANUP_FREE char *text =
        xasprintf("{name: p, stages: [{name: s, jobs: [{name: j, kubernetes: {resources: {limits: "
                  "{cpu: 1}}}, environment: {A: a}, steps: [{name: a, %s}]}]}]}",
                  keys);
    struct fixture f;
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    const struct strmap identity = {0};
    struct step_context context = {.settings = &settings, .identity = &identity, .id = "R.0.0.0"};
    struct step_lowered *lowered;
    struct err err = ERR_INIT;

    make(&f, text);
    context.plan = f.plan;
    context.step = &f.plan->stages[0].jobs[0].steps[0];
    assert_int_equal(plan_settings_resolve(f.plan, &context.step->scope, NULL, &settings, NULL,
                                           NULL, NULL),
                     0);
    if (step_lower(kinds, &context, &lowered, &err) < 0)
        fail_msg("%s", err.message);
    assert_shape(lowered->runnable.container, expected);
    step_lowered_free(lowered);
    done(&f);
}

static void steps_have_what_they_say_themselves(void **state)
{
    (void)state;
    assert_step("command: x", "nothing");
    assert_step("command: x, kubernetes: {}", "nothing");
    assert_step("command: x, kubernetes: {resources: {requests: {cpu: '${A}', memory: 1Gi}}, "
                "security_context: {a: 1}, volumes: [{mount: '/{{ pipeline.name }}', pvc: b}]}",
                "{\"resources\":{\"requests\":{\"cpu\":\"a\",\"memory\":\"1Gi\"}},"
                "\"security_context\":{\"a\":1},\"volumes\":[{\"mount\":\"/p\",\"pvc\":\"b\"}]}");
    assert_step("plugin: {image: i}, kubernetes: {security_context: {a: '${A}'}}",
                "{\"security_context\":{\"a\":\"a\"}}");
}

static void services_have_what_they_say_themselves(void **state)
{
    struct fixture f;
    struct service_lowered *service;
    struct err err = ERR_INIT;

    (void)state;
    make(&f, "{name: p, engine: kubernetes, kubernetes: {namespace: n}, stages: [{name: s, jobs: ["
             "{name: j, environment: {A: a}, services: {db: {image: x, kubernetes: "
             "{resources: {limits: {cpu: '${A}'}}}}}, steps: [{name: a, command: x}]}]}]}");
    if (service_lower(f.plan, &f.plan->stages[0].jobs[0].scope, NULL,
                      &f.spec->stages[0].jobs[0].services.items[0], "R.0.0.db", &service, &err) < 0)
        fail_msg("%s", err.message);
    assert_shape(service->lowered->runnable.container,
                 "{\"resources\":{\"limits\":{\"cpu\":\"a\"}}}");
    assert_string_equal(service->url, "kubernetes");
    assert_string_equal(json_string_value(
                            json_object_get(service->settings.kubernetes, "namespace")),
                        "n");
    service_lowered_free(service);
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_have_what_they_say_themselves),
        cmocka_unit_test(services_have_what_they_say_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
