/* What is built must be accepted by a real API server, whose cluster-admin's kubeconfig
 * RUNNER_TEST_KUBECONFIG names. Everything is a dry run in the namespace "default". */
#include "tests/unit/kube/kube_test.h"

#include <jansson.h>

#include "apis/kube/cluster.h"
#include "apis/kube/object.h"
#include "base/json_at.h"
#include "k8s/pod.h"
#include "k8s/quantity.h"

static struct kube_cluster *cluster;
static struct kube_client *client;

static int each_setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 120000);
    err_clear(&test_err);
    return 0;
}

static int setup(void **state)
{
    const struct kube_env env = {.file = getenv("RUNNER_TEST_KUBECONFIG")};
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;

    each_setup(state);
    if (!env.file) {
        print_error("RUNNER_TEST_KUBECONFIG is not set: this needs a cluster\n");
        return -1;
    }
    if (make_dir() < 0 || kube_config_load(&env, &config, &test_err) < 0 ||
        kube_config_select(config, NULL, NULL, &cluster, &test_err) < 0) {
        print_error("%s\n", test_err.message);
        return -1;
    }
    client = kube_client_new(cluster);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (!client)
        return 0;
    kube_client_free(client);
    kube_cluster_free(cluster);
    remove_dir();
    return 0;
}

static int dry_run(const char *resource, json_t *object, json_t **ret)
{
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = resource,
                                 .ns = "default",
                                 .name = json_at_string(object, "metadata.name")};

    return kube_patch(&test_ctx, client, &ref, KUBE_PATCH_APPLY, object,
                      &(struct kube_patch_options){.field_manager = "runner-test", .dry_run = true},
                      ret, &test_err);
}

/* A pod of the name, as the server has completed it. */
static json_t *accepted(const struct pod_spec *spec)
{
    json_t *pod = pod_build(spec, &test_err);
    json_t *ret = NULL;

    if (!pod)
        fail_msg("%s", test_err.message);
    assert_ok(dry_run("pods", pod, &ret));
    json_decref(pod);
    return ret;
}

static struct pod_spec spec_of(const struct pod_container *containers, size_t count)
{
    return (struct pod_spec){
        .name = "runner-test-dry",
        .ns = "default",
        .architecture = "amd64",
        .tools = "tools",
        .secret = "env",
        .workspace = "/workspace",
        .workspace_claim = "runner-test-dry",
        .lease_ms = 60000,
        .grace_s = 10,
        .containers = containers,
        .container_count = count,
    };
}

/* Of JSON in which ' stands for ". */
static json_t *parse(const char *text)
{
    CLEANUP_FREE char *quoted = xstrdup(text);
    json_error_t error;
    json_t *value;

    for (char *p = quoted; *p; p++) {
        if (*p == '\'')
            *p = '"';
    }
    value = json_loads(quoted, 0, &error);
    if (!value)
        fail_msg("%s: %s", error.text, quoted);
    return value;
}

static void test_plain(void **state)
{
    const struct pod_container c = {.name = "main", .image = "busybox:1.36"};
    const struct pod_spec spec = spec_of(&c, 1);
    json_t *pod = accepted(&spec);

    (void)state;
    assert_string_equal(json_at_string(pod, "spec.restartPolicy"), "Never");
    assert_string_equal(json_at_string(pod, "metadata.namespace"), "default");
    json_decref(pod);
}

static const char every_key[] =
    "{'service_account': 'default', 'node_selector': {'disk': 'ssd'},"
    " 'tolerations': [{'key': 'ci', 'operator': 'Exists', 'effect': 'NoSchedule'}],"
    " 'affinity': {'nodeAffinity': {'preferredDuringSchedulingIgnoredDuringExecution': ["
    "   {'weight': 1, 'preference': {'matchExpressions': [{'key': 'x', 'operator': 'Exists'}]}}]}},"
    " 'image_pull_secrets': ['registry'], 'labels': {'team': 'a'}, 'annotations': {'note': 'b c'},"
    " 'resources': {'requests': {'cpu': 0.25, 'memory': '64Mi'}},"
    " 'security_context': {'fsGroup': 1000, 'runAsNonRoot': true},"
    " 'host_aliases': [{'ip': '10.1.2.3', 'hostnames': ['mirror.test']}],"
    " 'dns': {'policy': 'None', 'nameservers': ['10.0.0.10'], 'searches': ['test'],"
    "         'options': [{'name': 'ndots', 'value': '2'}]},"
    " 'priority_class': 'system-cluster-critical',"
    " 'workspace': {'size': '1Gi', 'storage_class': 'fast'},"
    " 'volumes': [{'mount': '/config', 'config_map': 'config', 'read_only': true},"
    "             {'mount': '/cache', 'pvc': 'cache', 'sub_path': 'a/b'},"
    "             {'mount': '/tmp', 'empty_dir': {'medium': 'Memory', 'size_limit': '64Mi'}}],"
    " 'pod_patch': {'spec': {'hostname': 'builder', 'containers': [{'name': 'main',"
    "   'env': [{'name': 'A', 'value': 'b'}], 'ports': [{'containerPort': 80}]}]}}}";

static const char container_keys[] =
    "{'resources': {'limits': {'example.com/device': 1}},"
    " 'security_context': {'procMount': 'Default', 'capabilities': {'drop': ['MKNOD']}},"
    " 'volumes': [{'mount': '/keys', 'secret': 'keys'}, {'mount': '/keys2', 'secret': 'keys'}]}";

static struct pod_spec whole_spec(struct pod_container *c, const struct strmap *map)
{
    static const char *const strings[] = {"sh", "-c", NULL};
    static const char *const added[] = {"CAP_NET_ADMIN", NULL};
    static const char *const secrets[] = {"one", NULL};
    static const char *const names[] = {"db", NULL};
    static const struct pod_host_alias alias = {"127.0.0.1", names};
    struct pod_spec spec;

    c[0] = (struct pod_container){.name = "main", .image = "busybox:1.36", .user = "1000:1000"};
    c[0].resources = (struct pod_resources){1500, 1 << 30, 1 << 30, 64 << 20};
    c[0].security = (struct pod_security){.read_only = true,
                                          .no_new_privileges = true,
                                          .seccomp_unconfined = true,
                                          .cap_add = added};
    c[1] = (struct pod_container){.name = "other", .image = "busybox:1.36", .user = "1001"};
    c[1].resources = (struct pod_resources){.cpus_milli = 500, .memory_bytes = 2LL << 30};
    c[1].pull = POD_PULL_ALWAYS;
    c[1].security.privileged = true;
    c[2] = (struct pod_container){.name = "db", .image = "postgres:15", .service = true};
    c[2].command = strings;
    c[2].args = strings;
    c[2].workdir = "/";
    c[2].user = "999";
    c[2].tty = true;
    c[2].environment = map;
    c[2].resources.memory_bytes = 1 << 28;
    spec = spec_of(c, 3);
    spec.labels = map;
    spec.annotations = map;
    spec.pull_secrets = secrets;
    spec.active_deadline_s = 3600;
    spec.host_aliases = &alias;
    spec.host_alias_count = 1;
    return spec;
}

static const char *request(const json_t *pod, size_t container, const char *name)
{
    const json_t *object = json_array_get(json_at(pod, "spec.containers"), container);

    return json_at_string(json_at(object, "resources.requests"), name);
}

static void test_whole(void **state)
{
    struct pod_container c[3];
    CLEANUP_STRMAP struct strmap map = {0};
    json_t *owner = parse("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'name': 'owner', 'uid': 'u'}");
    json_t *of_job = parse(every_key);
    json_t *of_container = parse(container_keys);
    struct pod_spec spec = whole_spec(c, &map);
    json_t *object;

    (void)state;
    strmap_set(&map, "dev.runner.run", "r1");
    spec.owner_reference = owner;
    spec.kubernetes = of_job;
    c[0].kubernetes = of_container;
    object = accepted(&spec);
    assert_string_equal(json_at_string(object, "spec.hostname"), "builder");
    /* An explicit 0 stays, while a missing request would have become the limit. */
    assert_string_equal(request(object, 0, "cpu"), "250m");
    assert_string_equal(request(object, 0, "memory"), "64Mi");
    assert_string_equal(request(object, 1, "cpu"), "0");
    assert_string_equal(request(object, 1, "memory"), "0");
    assert_string_equal(request(object, 1, "ephemeral-storage"), "0");
    assert_string_equal(request(object, 2, "memory"), "268435456");
    json_decref(object);
    assert_ok(pod_claim_spec(of_job, &object, &test_err));
    object =
        json_pack("{s:s, s:s, s:{s:s}, s:o}", "apiVersion", "v1", "kind", "PersistentVolumeClaim",
                  "metadata", "name", "runner-test-dry", "spec", object);
    assert_ok(dry_run("persistentvolumeclaims", object, NULL));
    json_decref(object);
    json_decref(owner);
    json_decref(of_job);
    json_decref(of_container);
}

static void test_json_patch(void **state)
{
    const struct pod_container c = {.name = "main", .image = "busybox:1.36"};
    struct pod_spec spec = spec_of(&c, 1);
    json_t *kubernetes = parse("{'pod_patch': ["
                               " {'op': 'add', 'path': '/metadata/labels', 'value': {'a/b': 'c'}},"
                               " {'op': 'test', 'path': '/metadata/labels/a~1b', 'value': 'c'},"
                               " {'op': 'add', 'path': '/spec/containers/-',"
                               "  'value': {'name': 'more', 'image': 'busybox:1.36'}},"
                               " {'op': 'copy', 'from': '/spec/containers/0/volumeMounts',"
                               "  'path': '/spec/containers/1/volumeMounts'}]}");
    json_t *pod;

    (void)state;
    spec.kubernetes = kubernetes;
    pod = accepted(&spec);
    assert_string_equal(json_at_string(json_at(pod, "metadata.labels"), "a/b"), "c");
    assert_int_equal(json_array_size(json_at(pod, "spec.containers")), 2);
    json_decref(pod);
    json_decref(kubernetes);
}

/* The same pods are not accepted with something wrong in them: the dry run does look. */
static void test_refused(void **state)
{
    const struct pod_container c = {.name = "main", .image = "busybox:1.36"};
    struct pod_spec spec = spec_of(&c, 1);
    json_t *kubernetes = parse("{'pod_patch': {'spec': {'dnsPolicy': 'None'}}}");
    json_t *pod;

    (void)state;
    spec.kubernetes = kubernetes;
    pod = pod_build(&spec, &test_err);
    assert_non_null(pod);
    assert_error(dry_run("pods", pod, NULL), ERR_INVALID);
    assert_message("spec.dnsConfig: Required value");
    json_decref(pod);
    json_decref(kubernetes);
}

static bool has_sidecars(void)
{
    json_t *version = NULL;
    bool result;

    assert_ok(kube_version(&test_ctx, client, &version, &test_err));
    result = strtol(json_at_string(version, "minor"), NULL, 10) >= 29;
    json_decref(version);
    return result;
}

/* Where there are no sidecars, the server says so. */
static void test_sidecars(void **state)
{
    const struct pod_container c[] = {
        {.name = "db", .image = "postgres:15", .service = true},
        {.name = "main", .image = "busybox:1.36"},
    };
    struct pod_spec spec = spec_of(c, 2);
    json_t *pod;

    (void)state;
    spec.native_sidecars = true;
    pod = pod_build(&spec, &test_err);
    assert_non_null(pod);
    if (has_sidecars())
        assert_ok(dry_run("pods", pod, NULL));
    else
        assert_int_equal(dry_run("pods", pod, NULL), -1);
    json_decref(pod);
}

/* The server takes the quantities that we take, and others not. Few of those, as an old one says
 * that it failed itself, which makes the client try again. */
static void test_quantities(void **state)
{
    static const char *const texts[] = {
        "0",    "1",   "+1",   "1.",   ".5",    "1.5",  "001.50",
        "100m", "1n",  "1u",   "2k",   "3M",    "1G",   "1T",
        "1P",   "1E",  "1Ki",  "64Mi", "1Gi",   "1Ti",  "1Pi",
        "7Ei",  "2e3", "2E3",  "2e+3", "25e-1", "0.1n", "9223372036854775808",
        "8Ei",  "10E", "1e19", "1K",   "0x1"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const struct pod_container c = {.name = "main", .image = "busybox:1.36"};
        const struct pod_spec spec = spec_of(&c, 1);
        json_t *pod = pod_build(&spec, &test_err);
        json_t *container;
        struct quantity q;
        bool taken;

        assert_non_null(pod);
        container = json_array_get(json_at(pod, "spec.containers"), 0);
        json_object_set_new(container, "resources",
                            json_pack("{s:{s:s}}", "requests", "memory", texts[i]));
        taken = dry_run("pods", pod, NULL) == 0;
        if (taken != (quantity_parse(texts[i], &q, NULL) == 0))
            fail_msg("\"%s\" is %s by the server: %s", texts[i], taken ? "taken" : "refused",
                     test_err.message);
        json_decref(pod);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_plain, each_setup),
        cmocka_unit_test_setup(test_whole, each_setup),
        cmocka_unit_test_setup(test_json_patch, each_setup),
        cmocka_unit_test_setup(test_refused, each_setup),
        cmocka_unit_test_setup(test_sidecars, each_setup),
        cmocka_unit_test_setup(test_quantities, each_setup),
    };

    return cmocka_run_group_tests_name("pods of a cluster", tests, setup, teardown);
}
