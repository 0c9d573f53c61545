/* What a pod is made of. */
#include "tests/unit/k8s/pod_test.h"

static void test_whole(void **state)
{
    const struct pod_container c = step("main");
    const struct pod_spec spec = spec_of(&c, 1);
    json_t *pod = build(&spec);

    (void)state;
    check(pod, "metadata",
          "{'name': 'job-1', 'namespace': 'build', 'labels': {'dev.runner.run': 'r1'}}");
    json_object_del(pod, "metadata");
    json_object_set_new(pod, "metadata", json_object());
    check(pod, "apiVersion", "'v1'");
    check(pod, "kind", "'Pod'");
    check(pod, "spec",
          "{'restartPolicy': 'Never', 'automountServiceAccountToken': false,"
          " 'enableServiceLinks': false, 'terminationGracePeriodSeconds': 10,"
          " 'nodeSelector': {'kubernetes.io/arch': 'amd64', 'kubernetes.io/os': 'linux'},"
          " 'containers': [{'name': 'main', 'image': 'alpine:3',"
          "   'imagePullPolicy': 'IfNotPresent',"
          "   'command': ['/.runner/tools/helper', 'relay', '/.runner/relay/main', '60000'],"
          "   'volumeMounts': ["
          "     {'name': 'runner-tools', 'mountPath': '/.runner/tools', 'readOnly': true},"
          "     {'name': 'runner-relay', 'mountPath': '/.runner/relay'},"
          "     {'name': 'runner-workspace', 'mountPath': '/workspace'}]}],"
          " 'volumes': ["
          "   {'name': 'runner-tools', 'configMap': {'name': 'job-tools', 'defaultMode': 365,"
          "     'items': [{'key': 'helper-amd64', 'path': 'helper'}]}},"
          "   {'name': 'runner-relay', 'emptyDir': {}},"
          "   {'name': 'runner-workspace', 'emptyDir': {}}]}");
    json_decref(pod);
}

static void test_no_workspace(void **state)
{
    const struct pod_container c = step("main");
    struct pod_spec spec = spec_of(&c, 1);
    json_t *pod;

    (void)state;
    spec.workspace = NULL;
    pod = build(&spec);
    check(pod, "spec/volumes/2", NULL);
    check(pod, "spec/containers/0/volumeMounts/2", NULL);
    json_decref(pod);
}

static void test_of_the_runner(void **state)
{
    static const char *const names[] = {"db", "db.local", NULL};
    static const char *const secrets[] = {"one", "two", "one", NULL};
    const struct pod_host_alias aliases[] = {{"127.0.0.1", names}, {"10.0.0.1", names}};
    const struct pod_container c = step("main");
    struct pod_spec spec = spec_of(&c, 1);
    CLEANUP_STRMAP struct strmap annotations = {0};
    json_t *owner = parse("{'kind': 'Lease', 'uid': 'u'}");
    json_t *job = parse("{'image_pull_secrets': ['three', 'two'],"
                        " 'host_aliases': [{'ip': '10.0.0.1', 'hostnames': ['x', 'db']},"
                        "                  {'ip': '::1', 'hostnames': ['y']}]}");
    json_t *pod;

    (void)state;
    strmap_set(&annotations, "dev.runner/lease", "5");
    spec.annotations = &annotations;
    spec.owner_reference = owner;
    spec.active_deadline_s = 3600;
    spec.pull_secrets = secrets;
    spec.host_aliases = aliases;
    spec.host_alias_count = 2;
    spec.kubernetes = job;
    pod = build(&spec);
    check(pod, "metadata/ownerReferences", "[{'kind': 'Lease', 'uid': 'u'}]");
    check(pod, "metadata/annotations", "{'dev.runner/lease': '5'}");
    check(pod, "spec/activeDeadlineSeconds", "3600");
    check(pod, "spec/imagePullSecrets", "[{'name': 'one'}, {'name': 'two'}, {'name': 'three'}]");
    check(pod, "spec/hostAliases",
          "[{'ip': '127.0.0.1', 'hostnames': ['db', 'db.local']},"
          " {'ip': '10.0.0.1', 'hostnames': ['db', 'db.local', 'x']},"
          " {'ip': '::1', 'hostnames': ['y']}]");
    json_decref(owner);
    json_decref(job);
    json_decref(pod);
}

static void test_job_keys(void **state)
{
    (void)state;
    check_with("{'service_account': 'ci'}", NULL, "spec/serviceAccountName", "'ci'");
    check_with("{'service_account': 'ci'}", NULL, "spec/automountServiceAccountToken", NULL);
    check_with("{'node_selector': {'disk': 'ssd', 'kubernetes.io/arch': 'amd64'}}", NULL,
               "spec/nodeSelector",
               "{'kubernetes.io/arch': 'amd64', 'kubernetes.io/os': 'linux', 'disk': 'ssd'}");
    check_with("{'tolerations': [{'key': 'ci', 'operator': 'Exists'}]}", NULL, "spec/tolerations",
               "[{'key': 'ci', 'operator': 'Exists'}]");
    check_with("{'affinity': {'nodeAffinity': {}}}", NULL, "spec/affinity", "{'nodeAffinity': {}}");
    check_with("{'runtime_class': 'gvisor'}", NULL, "spec/runtimeClassName", "'gvisor'");
    check_with("{'priority_class': 'high'}", NULL, "spec/priorityClassName", "'high'");
    check_with("{'labels': {'team': 'a'}}", NULL, "metadata/labels",
               "{'dev.runner.run': 'r1', 'team': 'a'}");
    check_with("{'annotations': {'note': 'b'}}", NULL, "metadata/annotations", "{'note': 'b'}");
    check_with("{'security_context': {'fsGroup': 1}}", NULL, "spec/securityContext",
               "{'fsGroup': 1}");
    check_with("{'dns': {'policy': 'None', 'nameservers': ['1.1.1.1'], 'searches': ['a.b'],"
               " 'options': [{'name': 'ndots', 'value': '2'}]}}",
               NULL, "spec/dnsConfig",
               "{'nameservers': ['1.1.1.1'], 'searches': ['a.b'],"
               " 'options': [{'name': 'ndots', 'value': '2'}]}");
    check_with("{'dns': {'policy': 'Default'}}", NULL, "spec/dnsPolicy", "'Default'");
    check_with("{'dns': {'policy': 'Default'}}", NULL, "spec/dnsConfig", NULL);
    check_with("{'affinity': null, 'tolerations': []}", "null", "spec/tolerations", NULL);
    check_with("null", NULL, "kind", "'Pod'");
}

static void test_refused_job_keys(void **state)
{
    (void)state;
    refuse("[]", NULL, "kubernetes must be a map");
    refuse("{'nodeselector': {}}", NULL,
           "kubernetes.nodeselector is not known; did you mean \"node_selector\"?");
    refuse("{'labels': {'dev.runner.run': 'r2'}}", NULL,
           "kubernetes.labels[\"dev.runner.run\"] is the runner's own and cannot be changed");
    refuse("{'labels': {'n': 1}}", NULL,
           "kubernetes.labels.n must be a string; put quotes around it");
    refuse("{'node_selector': {'kubernetes.io/os': 'windows'}}", NULL,
           "kubernetes.node_selector[\"kubernetes.io/os\"] is the runner's own and cannot be "
           "changed");
    refuse("{'service_account': ''}", NULL, "kubernetes.service_account must not be empty");
    refuse("{'tolerations': {}}", NULL, "kubernetes.tolerations must be a list");
    refuse("{'tolerations': [{}, 1]}", NULL, "kubernetes.tolerations[1] must be a map");
    refuse("{'image_pull_secrets': [{'name': 'x'}]}", NULL,
           "kubernetes.image_pull_secrets[0] must be a string; put quotes around it");
    refuse("{'host_aliases': [{'ip': '::1'}]}", NULL,
           "kubernetes.host_aliases[0].hostnames must be a list");
    refuse("{'host_aliases': ['x']}", NULL, "kubernetes.host_aliases[0] must be a map");
    refuse("{'dns': {'searches': 'x'}}", NULL, "kubernetes.dns.searches must be a list");
    refuse("{'dns': {'colour': 'x'}}", NULL,
           "kubernetes.dns.colour is not known; known are policy, nameservers, searches, options");
}

static void test_security(void **state)
{
    static const char *const add[] = {"cap_net_admin", "SYS_TIME", NULL};
    static const char *const drop[] = {"all", NULL};
    struct pod_container c = step("main");
    const struct pod_spec spec = spec_of(&c, 1);
    json_t *changes = parse("{'security_context': {'privileged': null, 'runAsNonRoot': true,"
                            " 'capabilities': {'drop': []}, 'runAsUser': 5}}");
    json_t *pod;

    (void)state;
    c.user = "1000:0";
    c.security = (struct pod_security){.privileged = true,
                                       .read_only = true,
                                       .no_new_privileges = true,
                                       .seccomp_unconfined = true,
                                       .cap_add = add,
                                       .cap_drop = drop};
    pod = build(&spec);
    check(pod, "spec/containers/0/securityContext",
          "{'privileged': true, 'readOnlyRootFilesystem': true, 'allowPrivilegeEscalation': false,"
          " 'seccompProfile': {'type': 'Unconfined'}, 'runAsUser': 1000, 'runAsGroup': 0,"
          " 'capabilities': {'add': ['NET_ADMIN', 'SYS_TIME'], 'drop': ['ALL']}}");
    json_decref(pod);
    c.kubernetes = changes;
    pod = build(&spec);
    check(pod, "spec/containers/0/securityContext",
          "{'readOnlyRootFilesystem': true, 'allowPrivilegeEscalation': false,"
          " 'seccompProfile': {'type': 'Unconfined'}, 'runAsUser': 5, 'runAsGroup': 0,"
          " 'runAsNonRoot': true, 'capabilities': {'add': ['NET_ADMIN', 'SYS_TIME'], 'drop': []}}");
    json_decref(pod);
    json_decref(changes);
    refuse(NULL, "{'security_context': []}",
           "container main: kubernetes.security_context must be a map");
    refuse(NULL, "{'tolerations': []}",
           "container main: kubernetes.tolerations is of the whole pod; write it in kubernetes of "
           "the job");
    refuse(NULL, "{'volume': []}",
           "container main: kubernetes.volume is not known; did you mean \"volumes\"?");
}

static void test_users(void **state)
{
    static const char *const wrong[] = {"app", "",           "1000:", "1000:app", ":5",   "-1",
                                        "1 ",  "2147483648", "1:2:3", "0x1",      "+5:5", "1:-2"};
    struct pod_container c = step("main");
    const struct pod_spec spec = spec_of(&c, 1);
    json_t *pod;

    (void)state;
    c.user = "2147483647";
    pod = build(&spec);
    check(pod, "spec/containers/0/securityContext", "{'runAsUser': 2147483647}");
    json_decref(pod);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char message[256];

        c.user = wrong[i];
        snprintf(message, sizeof(message),
                 "container main: user \"%s\": Kubernetes takes numbers only; write the number, "
                 "such as \"1000\" or \"1000:1000\"",
                 wrong[i]);
        assert_null(pod_build(&spec, &test_err));
        assert_string_equal(test_err.message, message);
        assert_int_equal(test_err.code, ERR_INVALID);
    }
}

static void test_services(void **state)
{
    static const char *const command[] = {"postgres", NULL};
    static const char *const args[] = {"-c", "x", NULL};
    CLEANUP_STRMAP struct strmap environment = {0};
    struct pod_container c[] = {step("db"), step("main")};
    struct pod_spec spec = spec_of(c, 2);
    json_t *pod;

    (void)state;
    strmap_set(&environment, "USER", "x");
    strmap_set(&environment, "_A.b-1", "y");
    c[0].service = true;
    c[0].pull = POD_PULL_ALWAYS;
    c[0].command = command;
    c[0].args = args;
    c[0].workdir = "/w";
    c[0].tty = true;
    c[0].user = "5";
    c[0].environment = &environment;
    c[1].pull = POD_PULL_NEVER;
    pod = build(&spec);
    check(pod, "spec/initContainers", NULL);
    check(pod, "spec/containers/0",
          "{'name': 'db', 'image': 'alpine:3', 'imagePullPolicy': 'Always',"
          " 'command': ['postgres'], 'args': ['-c', 'x'], 'workingDir': '/w', 'tty': true,"
          " 'env': [{'name': 'USER', 'valueFrom': {'secretKeyRef': {'name': 'job-env',"
          "                                                          'key': 'db.USER'}}},"
          "         {'name': '_A.b-1', 'valueFrom': {'secretKeyRef': {'name': 'job-env',"
          "                                                            'key': 'db._A.b-1'}}}],"
          " 'livenessProbe': {'exec': {'command': ['/.runner/tools/helper', 'leased',"
          "                                        '/.runner/lease/until']},"
          "   'initialDelaySeconds': 60, 'periodSeconds': 30, 'timeoutSeconds': 10,"
          "   'failureThreshold': 2},"
          " 'volumeMounts': [{'name': 'runner-tools', 'mountPath': '/.runner/tools',"
          "                   'readOnly': true},"
          "                  {'name': 'runner-lease', 'mountPath': '/.runner/lease'}],"
          " 'securityContext': {'runAsUser': 5}}");
    check(pod, "spec/containers/1/imagePullPolicy", "'Never'");
    check(pod, "spec/containers/1/livenessProbe", NULL);
    check(pod, "spec/volumes/2", "{'name': 'runner-lease', 'emptyDir': {}}");
    json_decref(pod);
    spec.native_sidecars = true;
    pod = build(&spec);
    /* The kubelet ends them with the container for steps, whose lease counts. */
    check(pod, "spec/initContainers/0/livenessProbe", NULL);
    check(pod, "spec/volumes/2/name", "'runner-workspace'");
    check(pod, "spec/initContainers/0/name", "'db'");
    check(pod, "spec/initContainers/0/restartPolicy", "'Always'");
    check(pod, "spec/initContainers/1", NULL);
    check(pod, "spec/containers/0/name", "'main'");
    check(pod, "spec/containers/0/restartPolicy", NULL);
    check(pod, "spec/containers/1", NULL);
    json_decref(pod);
    /* Without anything beside them they are what the pod is for. */
    spec.container_count = 1;
    pod = build(&spec);
    check(pod, "spec/initContainers", NULL);
    check(pod, "spec/containers/0/name", "'db'");
    check(pod, "spec/containers/0/restartPolicy", NULL);
    check(pod, "spec/containers/0/livenessProbe/initialDelaySeconds", "60");
    json_decref(pod);
    spec.container_count = 2;
    spec.secret = NULL;
    assert_null(pod_build(&spec, &test_err));
    assert_string_equal(test_err.message, "container db has an environment, but no Secret");
    spec.secret = "s";
    strmap_set(&environment, "A B", "x");
    assert_null(pod_build(&spec, &test_err));
    assert_string_equal(test_err.message,
                        "container db: a variable \"A B\" cannot be given by Kubernetes; names "
                        "have letters, digits, \"_\", \"-\" and \".\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_no_workspace),
        cmocka_unit_test(test_of_the_runner),
        cmocka_unit_test(test_job_keys),
        cmocka_unit_test(test_refused_job_keys),
        cmocka_unit_test(test_security),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_services),
    };

    return cmocka_run_group_tests_name("pod", tests, setup, teardown);
}
