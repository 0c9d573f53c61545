#include "live.h"

#include "apis/docker/service_spec.h"

static void check(const struct docker_service_spec *spec, int api_minor, const char *expected)
{
    json_t *body = docker_service_body(spec, api_minor, &test_err);
    char *text = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(3));

    assert_string_equal(text, expected);
    free(text);
    json_decref(body);
}

/* One member of the body, by its path. */
static void check_part(const struct docker_service_spec *spec, int api_minor, const char *first,
                       const char *second, const char *expected)
{
    json_t *body = docker_service_body(spec, api_minor, &test_err);
    json_t *part = json_object_get(body, first);
    char *text;

    if (second)
        part = json_object_get(part, second);
    text = json_dumps(part, JSON_COMPACT | JSON_REAL_PRECISION(3));
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
    json_decref(body);
}

static void test_minimal(void **state)
{
    (void)state;
    check(&(struct docker_service_spec){.name = "n", .image = "x", .replicas = 1}, 41,
          "{\"Name\":\"n\",\"TaskTemplate\":{\"Resources\":{},\"ContainerSpec\":{\"Image\":\"x\","
          "\"Privileges\":{}},\"Placement\":{}},\"Mode\":{\"Replicated\":{\"Replicas\":1}},"
          "\"EndpointSpec\":{}}");
}

static void test_container(void **state)
{
    const char *const command[] = {"/bin/sh", NULL};
    const char *const args[] = {"-c", "a", NULL};
    const char *const hosts[] = {"10.0.0.1 db", NULL};
    const char *const dns[] = {"1.1.1.1", NULL};
    const char *const env[] = {"A=1", "B", NULL};
    const char *const caps[] = {"CAP_NET_ADMIN", NULL};
    const int64_t grace = 0;
    const bool init = false;
    const struct docker_ulimit ulimits[] = {{"nofile", 10, 20}};
    const struct docker_mount mounts[] = {
        {.type = DOCKER_MOUNT_TMPFS, .target = "/t", .tmpfs_size_bytes = 64}};
    const struct docker_service_spec spec = {
        .image = "x",
        .command = command,
        .args = args,
        .hosts = hosts,
        .dns = dns,
        .env = env,
        .dir = "/w",
        .user = "1:2",
        .hostname = "h",
        .stop_signal = "SIGINT",
        .stop_grace_ns = &grace,
        .tty = true,
        .open_stdin = true,
        .read_only = true,
        .init = &init,
        .isolation = "default",
        .cap_add = caps,
        .cap_drop = caps,
        .ulimits = ulimits,
        .ulimit_count = 1,
        .mounts = mounts,
        .mount_count = 1,
        .oom_score_adj = 5,
    };

    (void)state;
    check_part(&spec, 46, "TaskTemplate", "ContainerSpec",
               "{\"Image\":\"x\",\"Command\":[\"/bin/sh\"],\"Args\":[\"-c\",\"a\"],"
               "\"Hostname\":\"h\",\"Env\":[\"A=1\",\"B\"],\"Dir\":\"/w\",\"User\":\"1:2\","
               "\"StopSignal\":\"SIGINT\",\"StopGracePeriod\":0,\"TTY\":true,\"OpenStdin\":true,"
               "\"ReadOnly\":true,\"Isolation\":\"default\",\"Init\":false,"
               "\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/t\","
               "\"TmpfsOptions\":{\"SizeBytes\":64}}],\"Hosts\":[\"10.0.0.1 db\"],"
               "\"DNSConfig\":{\"Nameservers\":[\"1.1.1.1\"]},\"Privileges\":{},"
               "\"CapabilityAdd\":[\"CAP_NET_ADMIN\"],\"CapabilityDrop\":[\"CAP_NET_ADMIN\"],"
               "\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":10,\"Hard\":20}],\"OomScoreAdj\":5}");
    /* What an old daemon does not know is not sent. */
    check_part(&(struct docker_service_spec){.image = "x",
                                             .ulimits = ulimits,
                                             .ulimit_count = 1,
                                             .oom_score_adj = 5},
               40, "TaskTemplate", "ContainerSpec", "{\"Image\":\"x\",\"Privileges\":{}}");
}

static void test_files(void **state)
{
    const struct docker_service_file secrets[] = {
        {.id = "i", .name = "n", .target = "t", .uid = "0", .gid = "1", .mode = 0440}};
    const struct docker_service_file configs[] = {{.id = "c", .name = "m"}};

    (void)state;
    check_part(&(struct docker_service_spec){.image = "x",
                                             .secrets = secrets,
                                             .secret_count = 1,
                                             .configs = configs,
                                             .config_count = 1,
                                             .credential_config = "c"},
               41, "TaskTemplate", "ContainerSpec",
               "{\"Image\":\"x\",\"Secrets\":[{\"File\":{\"Name\":\"t\",\"UID\":\"0\","
               "\"GID\":\"1\",\"Mode\":288},\"SecretID\":\"i\",\"SecretName\":\"n\"}],"
               "\"Configs\":[{\"Runtime\":{},\"ConfigID\":\"c\",\"ConfigName\":\"m\"}],"
               "\"Privileges\":{\"CredentialSpec\":{\"Config\":\"c\"}}}");
}

static void test_task(void **state)
{
    const int64_t delay = 0;
    const struct docker_service_restart restart = {.condition = "none", .delay_ns = &delay};
    const struct docker_service_generic generic[] = {{"gpu", 2}};
    const struct docker_service_resources limits = {.nano_cpus = 500000000,
                                                    .memory_bytes = 64,
                                                    .pids = 9};
    const struct docker_service_resources reservations = {.generic = generic, .generic_count = 1};
    const char *const constraints[] = {"node.role==manager", NULL};
    const char *const spread[] = {"node.labels.rack", NULL};
    const struct docker_platform platforms[] = {{"linux", "amd64"}, {"linux", ""}};
    const char *const aliases[] = {"a", NULL};
    const struct docker_service_network networks[] = {{.target = "net", .aliases = aliases}};
    json_t *body = docker_service_body(&(struct docker_service_spec){.image = "x",
                                                                     .restart = &restart,
                                                                     .limits = &limits,
                                                                     .reservations = &reservations,
                                                                     .constraints = constraints,
                                                                     .spread = spread,
                                                                     .max_replicas_per_node = 2,
                                                                     .platforms = platforms,
                                                                     .platform_count = 2,
                                                                     .networks = networks,
                                                                     .network_count = 1,
                                                                     .log_driver = "json-file",
                                                                     .force_update = 3},
                                       41, &test_err);
    json_t *task = json_object_get(body, "TaskTemplate");
    char *text;

    (void)state;
    json_object_del(task, "ContainerSpec");
    text = json_dumps(task, JSON_COMPACT);
    assert_string_equal(
        text, "{\"Resources\":{\"Limits\":{\"NanoCPUs\":500000000,\"MemoryBytes\":64,\"Pids\":9},"
              "\"Reservations\":{\"GenericResources\":[{\"DiscreteResourceSpec\":"
              "{\"Kind\":\"gpu\",\"Value\":2}}]}},"
              "\"RestartPolicy\":{\"Condition\":\"none\",\"Delay\":0},"
              "\"Placement\":{\"Constraints\":[\"node.role==manager\"],"
              "\"Preferences\":[{\"Spread\":{\"SpreadDescriptor\":\"node.labels.rack\"}}],"
              "\"MaxReplicas\":2,\"Platforms\":[{\"Architecture\":\"amd64\",\"OS\":\"linux\"},"
              "{\"OS\":\"linux\"}]},\"Networks\":[{\"Target\":\"net\",\"Aliases\":[\"a\"]}],"
              "\"LogDriver\":{\"Name\":\"json-file\"},\"ForceUpdate\":3}");
    free(text);
    json_decref(body);
}

static void test_service(void **state)
{
    const struct docker_update_config update = {.parallelism = 0,
                                                .failure_action = "rollback",
                                                .monitor_ns = 5,
                                                .max_failure_ratio = 0.25,
                                                .order = "start-first"};
    const struct docker_service_port ports[] = {
        {.protocol = "tcp", .target = 80, .published = 8080, .mode = "ingress"},
        {.protocol = "udp", .target = 53, .mode = "host"}};
    const struct docker_service_spec spec = {.image = "x",
                                             .mode = DOCKER_SERVICE_REPLICATED_JOB,
                                             .replicas = 3,
                                             .max_concurrent = 2,
                                             .update = &update,
                                             .endpoint_mode = "dnsrr",
                                             .ports = ports,
                                             .port_count = 2};

    (void)state;
    check_part(&spec, 41, "Mode", NULL,
               "{\"ReplicatedJob\":{\"MaxConcurrent\":2,\"TotalCompletions\":3}}");
    check_part(&spec, 41, "UpdateConfig", NULL,
               "{\"Parallelism\":0,\"FailureAction\":\"rollback\",\"Monitor\":5,"
               "\"MaxFailureRatio\":0.25,\"Order\":\"start-first\"}");
    check_part(&spec, 41, "EndpointSpec", NULL,
               "{\"Mode\":\"dnsrr\",\"Ports\":[{\"Protocol\":\"tcp\",\"TargetPort\":80,"
               "\"PublishedPort\":8080,\"PublishMode\":\"ingress\"},{\"Protocol\":\"udp\","
               "\"TargetPort\":53,\"PublishMode\":\"host\"}]}");
    check_part(&(struct docker_service_spec){.image = "x", .mode = DOCKER_SERVICE_GLOBAL}, 40,
               "Mode", NULL, "{\"Global\":{}}");
    assert_null(docker_service_body(&spec, 40, &test_err));
    assert_int_equal(test_err.code, ERR_UNSUPPORTED);
    assert_message("this Docker daemon knows no jobs (API 1.40, 1.41 is needed)");
}

static void test_not_utf8(void **state)
{
    (void)state;
    assert_null(docker_service_body(&(struct docker_service_spec){.image = "x", .dir = "\xff"}, 41,
                                    &test_err));
    assert_int_equal(test_err.code, ERR_INVALID);
    assert_message("Dir");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minimal), cmocka_unit_test(test_container),
        cmocka_unit_test(test_files),   cmocka_unit_test(test_task),
        cmocka_unit_test(test_service), cmocka_unit_test(test_not_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
