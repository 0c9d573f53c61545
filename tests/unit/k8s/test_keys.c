/* What may be written in a pipeline file is known to who makes the pod of it. */
#include "tests/unit/k8s/k8s_test.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "k8s/pod.h"
#include "load/load.h"
#include "load/pipeline_tables.h"
#include "plan/settings.h"

static json_t *build(const json_t *job, const json_t *of_container)
{
    struct pod_container container = {.name = "main",
                                      .image = "alpine:3",
                                      .kubernetes = of_container};
    const struct pod_spec spec = {.name = "job-1",
                                  .ns = "build",
                                  .architecture = "amd64",
                                  .tools = "job-tools",
                                  .workspace = "/workspace",
                                  .workspace_claim = "job-1",
                                  .lease_ms = 60000,
                                  .containers = &container,
                                  .container_count = 1,
                                  .kubernetes = job};

    return pod_build(&spec, &test_err);
}

/* Each of the keys by itself, as if nothing had been given for it. */
static void check_rows(const struct table *table, const char *format)
{
    for (size_t i = 0; i < table->field_count; i++) {
        CLEANUP_FREE char *text = xasprintf(format, table->fields[i].name);
        json_t *job = parse(text);
        json_t *pod;

        err_clear(&test_err);
        pod = build(table == &pod_container_table ? NULL : job,
                    table == &pod_container_table ? job : NULL);
        if (!pod && strstr(test_err.message, "is not known"))
            fail_msg("%s", test_err.message);
        json_decref(pod);
        json_decref(job);
    }
}

static void every_key_is_known(void **state)
{
    (void)state;
    check_rows(&pod_table, "{'%s': null}");
    check_rows(&pod_container_table, "{'%s': null}");
    check_rows(&pod_quantities_table, "{'resources': {'%s': null}}");
    check_rows(&pod_volume_table, "{'volumes': [{'%s': null}]}");
    check_rows(&pod_empty_dir_table, "{'volumes': [{'mount': '/a', 'empty_dir': {'%s': null}}]}");
    check_rows(&pod_host_alias_table, "{'host_aliases': [{'%s': null}]}");
    check_rows(&pod_dns_table, "{'dns': {'%s': null}}");
    check_rows(&pod_workspace_table, "{'workspace': {'%s': null}}");
}

/* A file with all keys becomes a pod. */
static void a_file_becomes_a_pod(void **state)
{
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    CLEANUP_STRMAP struct strmap overrides = {0};
    const struct plan_inputs inputs = {.current_dir = "/repo", .overrides = &overrides};
    struct spec_pipeline *spec;
    struct plan *plan;
    json_t *own;
    json_t *pod;

    (void)state;
    strmap_set(&overrides, "ACCOUNT", "builder");
    strmap_set(&overrides, "DIR", "a/b");
    assert_int_equal(load_read(TEST_DATA "/load/kubernetes/input.yaml", NULL, &source, &diags), 0);
    spec = load_pipeline(&source, NULL, &diags);
    assert_non_null(spec);
    plan = plan_build(spec, &inputs, &diags);
    assert_non_null(plan);
    assert_int_equal(plan_settings_resolve(plan, &plan->scope, NULL, &settings, NULL, NULL, NULL),
                     0);
    assert_int_equal(plan_expand_json(plan, &settings,
                                      spec->stages[0].jobs[0].steps[0].container->kubernetes, &own,
                                      NULL, NULL, NULL),
                     0);
    pod = build(settings.kubernetes, own);
    if (!pod)
        fail_msg("%s", test_err.message);
    check(pod, "spec/hostname", "'a'");
    check(pod, "spec/serviceAccountName", "'builder'");
    check(pod, "spec/nodeSelector/gpu", "'true'");
    check(pod, "spec/tolerations/0/tolerationSeconds", "30");
    check(pod, "spec/imagePullSecrets", "[{'name': 'registry'}]");
    check(pod, "spec/dnsPolicy", "'None'");
    check(pod, "spec/dnsConfig/nameservers", "['10.0.0.53']");
    check(pod, "spec/containers/0/securityContext/runAsNonRoot", "true");
    check(pod, "metadata/labels/empty", "''");
    json_decref(pod);
    json_decref(own);
    plan_free(plan);
    spec_pipeline_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_known),
        cmocka_unit_test(a_file_becomes_a_pod),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
