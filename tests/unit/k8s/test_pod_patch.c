/* Patches of whole pods, by who knows better than the keys. */
#include "tests/unit/k8s/pod_test.h"

static void test_pod_patch(void **state)
{
    (void)state;
    check_with("{'pod_patch': {'spec': {'hostname': 'x', 'nodeSelector': {'a': 'b'},"
               " 'containers': [{'name': 'main', 'env': [{'name': 'A', 'value': 'b'}]}]}}}",
               NULL, "spec/containers/0/env", "[{'name': 'A', 'value': 'b'}]");
    check_with("{'pod_patch': [{'op': 'add', 'path': '/spec/hostname', 'value': 'x'}]}", NULL,
               "spec/hostname", "'x'");
    refuse("{'pod_patch': 'x'}", NULL,
           "kubernetes.pod_patch must be a map, a strategic merge patch, or a list, a JSON Patch");
    refuse("{'pod_patch': [{'op': 'test', 'path': '/spec', 'value': 1}, {}]}", NULL,
           "kubernetes.pod_patch[0].path is not what the test expects: \"/spec\"");
}

static void test_patches_of_what_is_relied_on(void **state)
{
    static const struct {
        const char *patch;
        const char *what;
    } cases[] = {
        {"[{'op': 'replace', 'path': '', 'value': 1}]", "apiVersion"},
        {"[{'op': 'replace', 'path': '', 'value': {}}]", "apiVersion"},
        {"{'apiVersion': 'v2'}", "apiVersion"},
        {"{'kind': null}", "kind"},
        {"{'metadata': {'name': 'x'}}", "metadata.name"},
        {"{'metadata': {'$patch': 'delete'}}", "metadata.name"},
        {"{'metadata': {'namespace': 5}}", "metadata.namespace"},
        {"{'metadata': {'labels': {'dev.runner.run': null}}}",
         "metadata.labels[\"dev.runner.run\"]"},
        {"{'metadata': {'annotations': {'lease': '6'}}}", "metadata.annotations[\"lease\"]"},
        {"{'metadata': {'ownerReferences': [{'uid': 'u', 'name': 'x'}]}}",
         "metadata.ownerReferences"},
        {"[{'op': 'remove', 'path': '/metadata/ownerReferences/0'}]", "metadata.ownerReferences"},
        {"{'spec': {'restartPolicy': 'Always'}}", "spec.restartPolicy"},
        {"{'spec': 1}", "spec.restartPolicy"},
        {"{'spec': {'volumes': null}}", "the runner's volumes"},
        {"{'spec': {'volumes': [{'name': 'runner-tools', 'configMap': {'name': 'x'}}]}}",
         "the runner's volumes"},
        {"{'spec': {'volumes': [{'name': 'runner-workspace', '$patch': 'delete'}]}}",
         "the runner's volumes"},
        {"{'spec': {'containers': [{'name': 'main', '$patch': 'delete'}]}}",
         "the name or place of container main"},
        {"[{'op': 'replace', 'path': '/spec/containers', 'value': 1}]",
         "the name or place of container main"},
        {"{'spec': {'containers': [{'name': 'main', 'command': ['sh']}]}}",
         "the command of container main"},
        {"{'spec': {'containers': [{'name': 'main', 'args': ['sh']}]}}",
         "the command of container main"},
        {"{'spec': {'containers': [{'name': 'main', 'volumeMounts': null}]}}",
         "the mounts of the runner's volumes of container main"},
        {"[{'op': 'replace', 'path': '/spec/containers/0/volumeMounts/1/mountPath', 'value': "
         "'/r'}]",
         "the mounts of the runner's volumes of container main"},
    };
    CLEANUP_STRMAP struct strmap annotations = {0};
    json_t *owner = parse("{'uid': 'u'}");
    struct pod_container c = step("main");
    struct pod_spec spec = spec_of(&c, 1);

    (void)state;
    strmap_set(&annotations, "lease", "5");
    spec.annotations = &annotations;
    spec.owner_reference = owner;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *kubernetes = json_pack("{s:o}", "pod_patch", parse(cases[i].patch));
        char message[256];

        spec.kubernetes = kubernetes;
        snprintf(message, sizeof(message),
                 "kubernetes.pod_patch changes %s, which the runner relies on; leave it as it is",
                 cases[i].what);
        err_clear(&test_err);
        if (pod_build(&spec, &test_err))
            fail_msg("accepted: %s", cases[i].patch);
        assert_string_equal(test_err.message, message);
        assert_int_equal(test_err.code, ERR_INVALID);
        json_decref(kubernetes);
    }
    json_decref(owner);
}

/* Services may be given another command, and stay where they are. */
static void test_patches_of_services(void **state)
{
    struct pod_container c[] = {step("main"), step("db")};
    struct pod_spec spec = spec_of(c, 2);
    json_t *kubernetes = parse("{'pod_patch': {'spec': {'initContainers': [{'name': 'db',"
                               " 'command': ['x']}, {'name': 'first', 'image': 'y'}]}}}");
    json_t *pod;

    (void)state;
    c[1].service = true;
    spec.native_sidecars = true;
    spec.kubernetes = kubernetes;
    pod = build(&spec);
    check(pod, "spec/initContainers/0/command", "['x']");
    check(pod, "spec/initContainers/1", "{'name': 'first', 'image': 'y'}");
    json_decref(pod);
    json_decref(kubernetes);
    kubernetes = parse("{'pod_patch': [{'op': 'move', 'from': '/spec/initContainers',"
                       " 'path': '/spec/x'}]}");
    spec.kubernetes = kubernetes;
    assert_null(pod_build(&spec, &test_err));
    assert_string_equal(test_err.message,
                        "kubernetes.pod_patch changes the name or place of container db, which the "
                        "runner relies on; leave it as it is");
    json_decref(kubernetes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pod_patch),
        cmocka_unit_test(test_patches_of_what_is_relied_on),
        cmocka_unit_test(test_patches_of_services),
    };

    return cmocka_run_group_tests_name("pod_patch", tests, setup, teardown);
}
