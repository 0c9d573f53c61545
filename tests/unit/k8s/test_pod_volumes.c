/* Where the workspace of a pod is, and what else is mounted. */
#include "tests/unit/k8s/pod_test.h"

static void check_claim(const json_t *kubernetes, const char *expected)
{
    json_t *claim = NULL;
    json_t *wrapped;

    assert_int_equal(pod_claim_spec(kubernetes, &claim, &test_err), 0);
    wrapped = claim ? json_pack("{s:o}", "claim", claim) : json_object();
    check(wrapped, "claim", expected);
    json_decref(wrapped);
}

static void test_workspace(void **state)
{
    const struct pod_container c = step("main");
    struct pod_spec spec = spec_of(&c, 1);
    json_t *job = parse("{'workspace': {'size': '1Gi', 'storage_class': 'fast'}}");
    json_t *pod;

    (void)state;
    check_with("{'workspace': {'pvc': 'mine'}}", NULL, "spec/volumes/2",
               "{'name': 'runner-workspace', 'persistentVolumeClaim': {'claimName': 'mine'}}");
    spec.kubernetes = job;
    spec.workspace_claim = "job-1";
    pod = build(&spec);
    check(pod, "spec/volumes/2",
          "{'name': 'runner-workspace', 'persistentVolumeClaim': {'claimName': 'job-1'}}");
    json_decref(pod);
    check_claim(job, "{'accessModes': ['ReadWriteOnce'], 'storageClassName': 'fast',"
                     " 'resources': {'requests': {'storage': '1Gi'}}}");
    json_decref(job);
    job = parse("{'workspace': {'size': 5, 'storage_class': 1}}");
    assert_int_equal(pod_claim_spec(job, &pod, &test_err), -1);
    assert_string_equal(test_err.message,
                        "kubernetes.workspace.storage_class must be a string; put "
                        "quotes around it");
    json_decref(job);
    spec.kubernetes = NULL;
    check_claim(NULL, NULL);
    pod = build(&spec);
    check(pod, "spec/volumes/2", "{'name': 'runner-workspace', 'emptyDir': {}}");
    json_decref(pod);
    refuse("{'workspace': {'size': '1Gi'}}", NULL,
           "kubernetes.workspace has no claim that was made for it");
    refuse("{'workspace': {}}", NULL,
           "kubernetes.workspace must have \"pvc\", a claim, or \"size\", that of a new one");
    refuse("{'workspace': {'pvc': 'x', 'storage_class': 'y'}}", NULL,
           "kubernetes.workspace must have \"pvc\" or else \"size\", not both");
    refuse("{'workspace': {'claim': 'x'}}", NULL,
           "kubernetes.workspace.claim is not known; known are pvc, size, storage_class");
}

static void test_volumes(void **state)
{
    static const char job[] =
        "{'volumes': [{'mount': '/c', 'config_map': 'c'}, {'mount': '/e', 'empty_dir': {}}]}";
    static const char container[] =
        "{'volumes': [{'mount': '/s', 'secret': 's', 'read_only': true, 'sub_path': 'k',"
        " 'items': [{'key': 'a', 'path': 'b'}]},"
        " {'mount': '/p', 'pvc': 'p', 'read_only': false},"
        " {'mount': '/p2', 'pvc': 'p', 'sub_path': 'x'}, {'mount': '/c2', 'config_map': 'c'},"
        " {'mount': '/c/', 'empty_dir': {'medium': 'Memory', 'size_limit': 1000}},"
        " {'mount': '/e2', 'empty_dir': null}]}";
    json_t *pod = build_with(job, container, &test_err);

    (void)state;
    if (!pod)
        fail_msg("%s", test_err.message);
    check(pod, "spec/volumes/3", "{'name': 'volume-3', 'configMap': {'name': 'c'}}");
    check(pod, "spec/volumes/4", "{'name': 'volume-4', 'emptyDir': {}}");
    check(pod, "spec/volumes/5",
          "{'name': 'volume-5', 'secret': {'secretName': 's',"
          " 'items': [{'key': 'a', 'path': 'b'}]}}");
    check(pod, "spec/volumes/6",
          "{'name': 'volume-6', 'persistentVolumeClaim': {'claimName': 'p'}}");
    check(pod, "spec/volumes/7",
          "{'name': 'volume-7', 'emptyDir': {'medium': 'Memory', 'sizeLimit': '1000'}}");
    check(pod, "spec/volumes/8", "{'name': 'volume-8', 'emptyDir': {}}");
    check(pod, "spec/volumes/9", NULL);
    for (size_t i = 0; i < 3; i++)
        json_array_remove(
            json_object_get(
                json_array_get(json_object_get(json_object_get(pod, "spec"), "containers"), 0),
                "volumeMounts"),
            0);
    /* The container's own volume at /c counts instead of the job's. */
    check(pod, "spec/containers/0/volumeMounts",
          "[{'name': 'volume-5', 'mountPath': '/s', 'readOnly': true, 'subPath': 'k'},"
          " {'name': 'volume-6', 'mountPath': '/p'},"
          " {'name': 'volume-6', 'mountPath': '/p2', 'subPath': 'x'},"
          " {'name': 'volume-3', 'mountPath': '/c2'},"
          " {'name': 'volume-7', 'mountPath': '/c/'}, {'name': 'volume-8', 'mountPath': '/e2'},"
          " {'name': 'volume-4', 'mountPath': '/e'}]");
    json_decref(pod);
}

static void test_refused_volumes(void **state)
{
    static const struct {
        const char *volume;
        const char *message; /* behind "kubernetes.volumes[1]" */
    } cases[] = {
        {"1", " must be a map"},
        {"{'pvc': 'p'}", " must have \"mount\", the path where it is mounted"},
        {"{'mount': 1, 'pvc': 'p'}", ".mount must be a string; put quotes around it"},
        {"{'mount': 'a', 'pvc': 'p'}",
         ".mount must be an absolute path without \":\", and not \"/\": \"a\""},
        {"{'mount': '//', 'pvc': 'p'}",
         ".mount must be an absolute path without \":\", and not \"/\": \"//\""},
        {"{'mount': '/a:b', 'pvc': 'p'}",
         ".mount must be an absolute path without \":\", and not \"/\": \"/a:b\""},
        {"{'mount': '/.runner/tools', 'pvc': 'p'}",
         ".mount must not be in /.runner, which is the runner's own"},
        {"{'mount': '/workspace/', 'pvc': 'p'}",
         ".mount is where the workspace is; set kubernetes.workspace of the job, or take another "
         "path"},
        {"{'mount': '/a', 'pvc': 'p'}", ".mount is the path of another volume: \"/a\""},
        {"{'mount': '/b'}", " must have one of config_map, secret, pvc and empty_dir"},
        {"{'mount': '/b', 'pvc': 'p', 'secret': 's'}",
         " must have one of config_map, secret, pvc and empty_dir, not several"},
        {"{'mount': '/b', 'pvc': ''}", ".pvc must not be empty"},
        {"{'mount': '/b', 'pvc': 'p', 'read_only': 'yes'}", ".read_only must be true or false"},
        {"{'mount': '/b', 'pvc': 'p', 'sub_path': 1}",
         ".sub_path must be a string; put quotes around it"},
        {"{'mount': '/b', 'host_path': '/'}",
         ".host_path is not known; known are mount, config_map, secret, pvc, empty_dir, items, "
         "read_only, sub_path"},
        {"{'mount': '/b', 'pvc': 'p', 'items': []}", ".items goes with config_map or secret"},
        {"{'mount': '/b', 'empty_dir': {}, 'items': []}", ".items goes with config_map or secret"},
        {"{'mount': '/b', 'secret': 's', 'items': {}}", ".items must be a list"},
        {"{'mount': '/b', 'empty_dir': 'x'}", ".empty_dir must be a map"},
        {"{'mount': '/b', 'empty_dir': {'size_limit': 'x'}}",
         ".empty_dir.size_limit must be a quantity: \"x\" is not a quantity; write a number with "
         "an "
         "optional unit, such as \"500m\", \"1.5\", \"64Mi\" or \"1G\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char volumes[512];
        char message[512];

        snprintf(volumes, sizeof(volumes), "{'volumes': [{'mount': '/a', 'pvc': 'p'}, %s]}",
                 cases[i].volume);
        snprintf(message, sizeof(message), "kubernetes.volumes[1]%s", cases[i].message);
        refuse(volumes, NULL, message);
        snprintf(message, sizeof(message), "container main: kubernetes.volumes[1]%s",
                 cases[i].message);
        refuse(NULL, volumes, message);
    }
    refuse("{'volumes': {}}", NULL, "kubernetes.volumes must be a list");
}

static void test_shm(void **state)
{
    struct pod_container c[] = {step("one"), step("two")};
    json_t *own = parse("{'volumes': [{'mount': '/dev/shm', 'pvc': 'p'}]}");
    const struct pod_spec spec = spec_of(c, 2);
    json_t *pod;

    (void)state;
    c[0].resources.shm_bytes = 64 << 20;
    c[1].resources.shm_bytes = 1;
    c[1].kubernetes = own;
    pod = build(&spec);
    check(pod, "spec/volumes/3",
          "{'name': 'runner-shm-0', 'emptyDir': {'medium': 'Memory', 'sizeLimit': '67108864'}}");
    check(pod, "spec/containers/0/volumeMounts/3",
          "{'name': 'runner-shm-0', 'mountPath': '/dev/shm'}");
    check(pod, "spec/containers/1/volumeMounts/3", "{'name': 'volume-4', 'mountPath': '/dev/shm'}");
    check(pod, "spec/volumes/5", NULL);
    json_decref(pod);
    json_decref(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workspace),
        cmocka_unit_test(test_volumes),
        cmocka_unit_test(test_refused_volumes),
        cmocka_unit_test(test_shm),
    };

    return cmocka_run_group_tests_name("pod_volumes", tests, setup, teardown);
}
