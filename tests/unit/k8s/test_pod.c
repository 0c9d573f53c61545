#include "tests/unit/k8s/k8s_test.h"

#include "base/cleanup.h"
#include "k8s/pod.h"

static struct strmap labels;

static struct pod_container step(const char *name)
{
    return (struct pod_container){.name = name, .image = "alpine:3"};
}

static struct pod_spec spec_of(const struct pod_container *containers, size_t count)
{
    return (struct pod_spec){
        .name = "job-1",
        .ns = "build",
        .labels = &labels,
        .architecture = "amd64",
        .tools = "job-tools",
        .secret = "job-env",
        .workspace = "/workspace",
        .lease_ms = 60000,
        .grace_s = 10,
        .containers = containers,
        .container_count = count,
    };
}

static json_t *build(const struct pod_spec *spec)
{
    json_t *pod = pod_build(spec, &test_err);

    if (!pod)
        fail_msg("%s", test_err.message);
    return pod;
}

/* A pod of one container for steps, with that `kubernetes` of the job and of the step. */
static json_t *build_with(const char *job, const char *container, struct err *err)
{
    struct pod_container c = step("main");
    struct pod_spec spec = spec_of(&c, 1);
    json_t *of_job = job ? parse(job) : NULL;
    json_t *of_container = container ? parse(container) : NULL;
    json_t *pod;

    spec.kubernetes = of_job;
    c.kubernetes = of_container;
    pod = pod_build(&spec, err);
    json_decref(of_job);
    json_decref(of_container);
    return pod;
}

static void check_with(const char *job, const char *container, const char *path,
                       const char *expected)
{
    json_t *pod = build_with(job, container, &test_err);

    if (!pod)
        fail_msg("%s", test_err.message);
    check(pod, path, expected);
    json_decref(pod);
}

static void refuse(const char *job, const char *container, const char *message)
{
    err_clear(&test_err);
    if (build_with(job, container, &test_err))
        fail_msg("accepted: %s %s", job ? job : "", container ? container : "");
    assert_string_equal(test_err.message, message);
    assert_int_equal(test_err.code, ERR_INVALID);
}

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

static void test_resources(void **state)
{
    static const char job[] = "{'resources': {'requests': {'cpu': 4, 'memory': '1Mi', 'x/y': 1},"
                              " 'limits': {'cpu': '9', 'x/y': 1}}}";
    static const char own[] = "{'resources': {'requests': {'memory': '0.5k'}, 'limits':"
                              " {'ephemeral-storage': '2G', 'cpu': null}}}";
    struct pod_container c = step("main");
    struct pod_spec spec = spec_of(&c, 1);
    json_t *of_job = parse(job);
    json_t *of_container = parse(own);
    json_t *pod;

    (void)state;
    c.resources =
        (struct pod_resources){.cpus_milli = 1500, .memory_bytes = 1 << 30, .disk_bytes = 5};
    pod = build(&spec);
    check(pod, "spec/containers/0/resources",
          "{'limits': {'cpu': '1500m', 'memory': '1073741824', 'ephemeral-storage': '5'},"
          " 'requests': {'cpu': '1500m', 'memory': '1073741824', 'ephemeral-storage': '5'}}");
    json_decref(pod);
    spec.kubernetes = of_job;
    c.kubernetes = of_container;
    pod = build(&spec);
    check(pod, "spec/containers/0/resources",
          "{'limits': {'cpu': '1500m', 'memory': '1073741824', 'ephemeral-storage': '2G',"
          "            'x/y': '1'},"
          " 'requests': {'cpu': '1500m', 'memory': '0.5k', 'ephemeral-storage': '2G',"
          "              'x/y': '1'}}");
    json_decref(pod);
    c.kubernetes = NULL;
    c.service = true;
    pod = build(&spec);
    check(pod, "spec/containers/0/resources",
          "{'limits': {'cpu': '1500m', 'memory': '1073741824', 'ephemeral-storage': '5'},"
          " 'requests': {'cpu': '1500m', 'memory': '1073741824', 'ephemeral-storage': '5'}}");
    json_decref(pod);
    json_decref(of_job);
    json_decref(of_container);
    check_with("{'resources': {'requests': {'cpu': 0.25, 'memory': 1.5e9}}}", NULL,
               "spec/containers/0/resources",
               "{'requests': {'cpu': '0.25', 'memory': '1500000000.0'}}");
}

static void test_refused_resources(void **state)
{
    (void)state;
    refuse("{'resources': {'cpu': 1}}", NULL,
           "kubernetes.resources.cpu is not known; known are limits, requests");
    refuse(NULL, "{'resources': {'limits': 1}}",
           "container main: kubernetes.resources.limits must be a map");
    refuse("{'resources': {'requests': {'cpu': []}}}", NULL,
           "kubernetes.resources.requests.cpu must be a quantity, such as \"500m\" or \"64Mi\"");
    refuse("{'resources': {'requests': {'cpu': -0.5}}}", NULL,
           "kubernetes.resources.requests.cpu must not be less than nothing");
    refuse(NULL,
           "{'resources': {'limits': {'nvidia.com/gpu': 1}, 'requests':"
           " {'nvidia.com/gpu': 2}}}",
           "container main: kubernetes.resources.requests[\"nvidia.com/gpu\"] is more than the "
           "limit: 2 of 1");
}

static void test_shared_requests(void **state)
{
    struct pod_container c[] = {step("a"), step("b"), step("db"), step("c")};
    struct pod_spec spec = spec_of(c, 4);
    json_t *gpu = parse("{'resources': {'limits': {'cpu': '1.5', 'nvidia.com/gpu': 1,"
                        " 'hugepages-2Mi': '4Mi', 'a.kubernetes.io/x': 1}}}");
    json_t *pod;

    (void)state;
    c[0].resources = (struct pod_resources){.cpus_milli = 500, .memory_bytes = 1 << 20};
    c[1].resources = (struct pod_resources){.cpus_milli = 1000, .memory_bytes = 1 << 20};
    c[2].resources = (struct pod_resources){9000, 9 << 20, 5, 0};
    c[2].service = true;
    c[3].kubernetes = gpu;
    pod = build(&spec);
    check(pod, "spec/containers/0/resources",
          "{'limits': {'cpu': '500m', 'memory': '1048576'},"
          " 'requests': {'cpu': '0', 'memory': '1048576', 'a.kubernetes.io/x': '0'}}");
    check(pod, "spec/containers/1/resources",
          "{'limits': {'cpu': '1000m', 'memory': '1048576'},"
          " 'requests': {'cpu': '0', 'memory': '0', 'a.kubernetes.io/x': '0'}}");
    check(pod, "spec/containers/2/resources/requests",
          "{'cpu': '9000m', 'memory': '9437184', 'ephemeral-storage': '5'}");
    check(pod, "spec/containers/3/resources/requests",
          "{'cpu': '1.5', 'memory': '0', 'nvidia.com/gpu': '1', 'hugepages-2Mi': '4Mi',"
          " 'a.kubernetes.io/x': '1'}");
    json_decref(pod);
    spec.overlapping = true;
    pod = build(&spec);
    check(pod, "spec/containers/0/resources/requests", "{'cpu': '500m', 'memory': '1048576'}");
    check(pod, "spec/containers/1/resources/requests", "{'cpu': '1000m', 'memory': '1048576'}");
    check(pod, "spec/containers/3/resources/requests/cpu", "'1.5'");
    json_decref(pod);
    json_decref(gpu);
}

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

static int setup(void **state)
{
    (void)state;
    strmap_set(&labels, "dev.runner.run", "r1");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    strmap_release(&labels);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_no_workspace),
        cmocka_unit_test(test_of_the_runner),
        cmocka_unit_test(test_job_keys),
        cmocka_unit_test(test_refused_job_keys),
        cmocka_unit_test(test_workspace),
        cmocka_unit_test(test_volumes),
        cmocka_unit_test(test_refused_volumes),
        cmocka_unit_test(test_shm),
        cmocka_unit_test(test_security),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_resources),
        cmocka_unit_test(test_refused_resources),
        cmocka_unit_test(test_shared_requests),
        cmocka_unit_test(test_pod_patch),
        cmocka_unit_test(test_patches_of_what_is_relied_on),
        cmocka_unit_test(test_patches_of_services),
    };

    return cmocka_run_group_tests_name("pod", tests, setup, teardown);
}
