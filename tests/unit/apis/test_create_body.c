#include "live.h"

#include "apis/docker/create.h"

static void check(const struct docker_create *create, int api_minor, const char *expected)
{
    json_t *body = docker_create_body(create, api_minor, &test_err);
    char *text = json_dumps(body, JSON_COMPACT);

    assert_string_equal(text, expected);
    free(text);
    json_decref(body);
}

static void test_minimal(void **state)
{
    (void)state;
    check(&(struct docker_create){.image = "x"}, 41, "{\"Image\":\"x\",\"HostConfig\":{}}");
}

static void test_process(void **state)
{
    const char *const cmd[] = {"sh", "-c", "a b", NULL};
    const char *const none[] = {NULL};
    CLEANUP_STRMAP struct strmap env = {0};
    struct docker_create c = {.image = "x",
                              .cmd = cmd,
                              .clear_entrypoint = true,
                              .env = &env,
                              .labels = &env,
                              .workdir = "/w",
                              .user = "1:2",
                              .stop_signal = "SIGINT",
                              .open_stdin = true,
                              .stdin_once = true};

    (void)state;
    strmap_set(&env, "B", "");
    strmap_set(&env, "A", "1=2");
    check(&c, 41,
          "{\"Image\":\"x\",\"Cmd\":[\"sh\",\"-c\",\"a b\"],\"Entrypoint\":[\"\"],"
          "\"Env\":[\"B=\",\"A=1=2\"],\"Labels\":{\"B\":\"\",\"A\":\"1=2\"},"
          "\"WorkingDir\":\"/w\",\"User\":\"1:2\",\"StopSignal\":\"SIGINT\","
          "\"OpenStdin\":true,\"StdinOnce\":true,\"HostConfig\":{}}");
    c = (struct docker_create){.image = "x", .entrypoint = none, .clear_entrypoint = true};
    check(&c, 41, "{\"Image\":\"x\",\"Entrypoint\":[\"\"],\"HostConfig\":{}}");
    c = (struct docker_create){.image = "x", .entrypoint = cmd, .clear_entrypoint = true};
    check(&c, 41, "{\"Image\":\"x\",\"Entrypoint\":[\"sh\",\"-c\",\"a b\"],\"HostConfig\":{}}");
}

static void test_host(void **state)
{
    const char *const caps[] = {"NET_ADMIN", NULL};
    const char *const volumes[] = {"/v", NULL};
    const char *const security[] = {"no-new-privileges", NULL};
    const struct docker_ulimit ulimits[] = {{"nofile", 0, -1}};
    const struct docker_device devices[] = {{.host_path = "/dev/kvm"}};
    const bool init = true;
    CLEANUP_STRMAP struct strmap options = {0};
    struct docker_create c = {.image = "x",
                              .init = &init,
                              .auto_remove = true,
                              .network_mode = "container:abc",
                              .privileged = true,
                              .read_only_rootfs = true,
                              .cap_add = caps,
                              .cap_drop = caps,
                              .security_opt = security,
                              .userns_mode = "host",
                              .cgroupns_mode = "private",
                              .log_driver = "none",
                              .cpus_milli = 1500,
                              .memory_bytes = 1 << 20,
                              .memory_swap_bytes = -1,
                              .pids_limit = 10,
                              .shm_bytes = 4096,
                              .ulimits = ulimits,
                              .ulimit_count = 1,
                              .devices = devices,
                              .device_count = 1,
                              .restart_policy = "on-failure",
                              .restart_max_retries = 3,
                              .anonymous_volumes = volumes,
                              .tmpfs = &options};
#define BEFORE                                                                                     \
    "{\"Image\":\"x\",\"HostConfig\":{\"Tmpfs\":{\"/t\":\"size=1m\"},"                             \
    "\"NetworkMode\":\"container:abc\",\"Privileged\":true,\"ReadonlyRootfs\":true,"               \
    "\"CapAdd\":[\"NET_ADMIN\"],\"CapDrop\":[\"NET_ADMIN\"],"                                      \
    "\"SecurityOpt\":[\"no-new-privileges\"],\"UsernsMode\":\"host\","
#define BEHIND                                                                                     \
    "\"NanoCpus\":1500000000,\"Memory\":1048576,\"MemorySwap\":-1,\"PidsLimit\":10,"               \
    "\"ShmSize\":4096,\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":0,\"Hard\":-1}],"                 \
    "\"Devices\":[{\"PathOnHost\":\"/dev/kvm\",\"PathInContainer\":\"/dev/kvm\","                  \
    "\"CgroupPermissions\":\"rwm\"}],\"Init\":true,\"AutoRemove\":true,"                           \
    "\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":3},"                         \
    "\"LogConfig\":{\"Type\":\"none\"}},\"Volumes\":{\"/v\":{}}}"

    (void)state;
    strmap_set(&options, "/t", "size=1m");
    check(&c, 40, BEFORE BEHIND);
    check(&c, 41, BEFORE "\"CgroupnsMode\":\"private\"," BEHIND);
}

static void test_mounts(void **state)
{
    CLEANUP_STRMAP struct strmap labels = {0};
    const struct docker_mount mounts[] = {
        {.type = DOCKER_MOUNT_BIND,
         .source = "/s",
         .target = "/t",
         .read_only = true,
         .propagation = "rslave",
         .create_mountpoint = true},
        {.type = DOCKER_MOUNT_VOLUME,
         .source = "v",
         .target = "/v",
         .volume_nocopy = true,
         .volume_subpath = "sub",
         .volume_labels = &labels},
        {.type = DOCKER_MOUNT_TMPFS, .target = "/m", .tmpfs_size_bytes = 9, .tmpfs_mode = 0700},
    };
    const char *const binds[] = {"/a:/b:ro", NULL};
    const char *const from[] = {"c:ro", NULL};
    struct docker_create c = {
        .image = "x", .binds = binds, .volumes_from = from, .mounts = mounts, .mount_count = 3};

    (void)state;
    strmap_set(&labels, "k", "v");
#define MOUNTS(bind, volume)                                                                       \
    "{\"Image\":\"x\",\"HostConfig\":{\"Binds\":[\"/a:/b:ro\"],\"VolumesFrom\":[\"c:ro\"],"        \
    "\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/s\",\"Target\":\"/t\",\"ReadOnly\":true,"        \
    "\"BindOptions\":{\"Propagation\":\"rslave\"" bind "}},{\"Type\":\"volume\","                  \
    "\"Source\":\"v\",\"Target\":\"/v\",\"VolumeOptions\":{\"NoCopy\":true," volume                \
    "\"Labels\":{\"k\":\"v\"}}},{\"Type\":\"tmpfs\",\"Target\":\"/m\","                            \
    "\"TmpfsOptions\":{\"SizeBytes\":9,\"Mode\":448}}]}}"
    check(&c, 42, MOUNTS("", ""));
    check(&c, 43, MOUNTS(",\"CreateMountpoint\":true", ""));
    check(&c, 45, MOUNTS(",\"CreateMountpoint\":true", "\"Subpath\":\"sub\","));
}

/* A volume that the mount makes with another driver cannot be written as a bind. */
static void test_volume_driver(void **state)
{
    CLEANUP_STRMAP struct strmap options = {0};
    const struct docker_mount mounts[] = {{.type = DOCKER_MOUNT_VOLUME,
                                           .source = "v",
                                           .target = "/v",
                                           .volume_driver = "nfs",
                                           .volume_options = &options}};

    (void)state;
    strmap_set(&options, "share", "a");
    check(&(struct docker_create){.image = "x", .mounts = mounts, .mount_count = 1}, 41,
          "{\"Image\":\"x\",\"HostConfig\":{\"Mounts\":[{\"Type\":\"volume\","
          "\"Source\":\"v\",\"Target\":\"/v\",\"VolumeOptions\":{\"DriverConfig\":"
          "{\"Name\":\"nfs\",\"Options\":{\"share\":\"a\"}}}}]}}");
}

static void test_network(void **state)
{
    const char *const aliases[] = {"db", NULL};
    const struct docker_network_attach networks[] = {
        {.network = "one", .aliases = aliases, .mac_address = "02:00:00:00:00:01"},
        {.network = "two", .ipv4_address = "10.0.0.2"},
    };
    const struct docker_port ports[] = {
        {.container_port = 80, .host_port = 8080, .host_ip = "127.0.0.1"},
        {.container_port = 80},
        {.container_port = 53, .protocol = "udp", .expose_only = true},
    };
    const char *const test[] = {"CMD", "true", NULL};
    const struct docker_healthcheck health = {.test = test,
                                              .interval_ms = 1500,
                                              .start_interval_ms = 1,
                                              .retries = 2};
    struct docker_create c = {.image = "x",
                              .networks = networks,
                              .network_count = 2,
                              .ports = ports,
                              .port_count = 3,
                              .healthcheck = &health};
#define NETWORK(health, one, two)                                                                  \
    "{\"Image\":\"x\",\"Healthcheck\":{\"Test\":[\"CMD\",\"true\"],\"Interval\":"                  \
    "1500000000," health "\"Retries\":2},\"HostConfig\":{\"PortBindings\":{\"80/tcp\":["           \
    "{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"8080\"},{}]},\"NetworkMode\":\"one\"},"              \
    "\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}},\"NetworkingConfig\":{"                        \
    "\"EndpointsConfig\":{\"one\":{\"Aliases\":[\"db\"]" one "}" two "}}}"

    (void)state;
    check(&c, 43, NETWORK("", "", ""));
    check(&c, 44,
          NETWORK("\"StartInterval\":1000000,", ",\"MacAddress\":\"02:00:00:00:00:01\"",
                  ",\"two\":{\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.2\"}}"));
}

static void test_limits(void **state)
{
    const char *const unset[] = {"GONE", NULL};
    const char *const rules[] = {"c 1:3 mr", NULL};
    const char *const links[] = {"db:base", NULL};
    const int64_t swappiness = 0;
    const struct docker_blkio_rate weights[] = {{"/dev/a", 300}, {0}};
    const struct docker_blkio_rate rates[] = {{"/dev/a", 1024}, {"/dev/b", 1}, {0}};
    const struct docker_port port = {.container_port = 80,
                                     .host_port = 8000,
                                     .host_port_end = 8010};
    CLEANUP_STRMAP struct strmap notes = {0};
    struct docker_create c = {.image = "x",
                              .env_unset = unset,
                              .annotations = &notes,
                              .mac_address = "02:00:00:00:00:01",
                              .links = links,
                              .ports = &port,
                              .port_count = 1,
                              .device_cgroup_rules = rules,
                              .cpu_period_us = 100000,
                              .cpu_quota_us = 50000,
                              .memory_swappiness = &swappiness,
                              .oom_kill_disable = true,
                              .blkio = {.weight = 500,
                                        .weight_devices = weights,
                                        .write_iops = rates}};
#define LIMITS(mac, annotations)                                                                   \
    "{\"Image\":\"x\",\"Env\":[\"GONE\"],\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{"          \
    "\"HostPort\":\"8000-8010\"}]},\"Links\":[\"db:base\"],\"CpuPeriod\":100000,\"CpuQuota\":"     \
    "50000,\"MemorySwappiness\":0,\"OomKillDisable\":true,\"DeviceCgroupRules\":[\"c 1:3 mr\"],"   \
    "\"BlkioWeight\":500,\"BlkioWeightDevice\":[{\"Path\":\"/dev/a\",\"Weight\":300}],"            \
    "\"BlkioDeviceWriteIOps\":[{\"Path\":\"/dev/a\",\"Rate\":1024},{\"Path\":\"/dev/b\","          \
    "\"Rate\":1}]" annotations "},\"ExposedPorts\":{\"80/tcp\":{}}" mac "}"

    (void)state;
    strmap_set(&notes, "a", "1");
    check(&c, 42, LIMITS(",\"MacAddress\":\"02:00:00:00:00:01\"", ""));
    check(&c, 44, LIMITS("", ",\"Annotations\":{\"a\":\"1\"}"));
}

/* That of another container, but for what is said. */
static void test_host_config(void **state)
{
    const char *const from[] = {"x", NULL};
    json_t *other = json_pack("{s:i, s:b, s:n, s:{s:s}}", "Memory", 5, "AutoRemove", 0, "Binds",
                              "RestartPolicy", "Name", "always");
    const struct docker_create c = {.image = "x",
                                    .auto_remove = true,
                                    .volumes_from = from,
                                    .host_config = other};

    (void)state;
    check(&c, 41,
          "{\"Image\":\"x\",\"HostConfig\":{\"Memory\":5,\"AutoRemove\":true,\"Binds\":null,"
          "\"RestartPolicy\":{\"Name\":\"always\"},\"VolumesFrom\":[\"x\"]}}");
    assert_true(json_is_false(json_object_get(other, "AutoRemove")));
    json_decref(other);
}

static void test_not_utf8(void **state)
{
    CLEANUP_STRMAP struct strmap env = {0};

    (void)state;
    strmap_set(&env, "NAME", "\xff");
    assert_null(
        docker_create_body(&(struct docker_create){.image = "x", .env = &env}, 41, &test_err));
    assert_int_equal(test_err.code, ERR_INVALID);
    assert_string_equal(test_err.message,
                        "NAME: the text is not valid UTF-8, which Docker cannot take");
    assert_null(
        docker_create_body(&(struct docker_create){.image = "x", .labels = &env}, 41, &test_err));
}

static void test_filters(void **state)
{
    static const struct docker_filter filters[] = {{"label", "a=1"}, {"label", "b=\xff"}};
    CLEANUP_BUF struct buf path = BUF_INIT;

    (void)state;
    docker_add_filters(&path, true, filters, 0);
    assert_string_equal(path.data, "");
    docker_add_filters(&path, true, filters, 1);
    assert_string_equal(path.data, "?filters=%7B%22label%22%3A%5B%22a%3D1%22%5D%7D");
    buf_reset(&path);
    docker_add_filters(&path, false, filters + 1, 1); /* not UTF-8, but no filter less */
    assert_string_equal(path.data, "&filters=%7B%22label%22%3A%5B%22%EF%BF%BD%22%5D%7D");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters), cmocka_unit_test(test_minimal),
        cmocka_unit_test(test_process), cmocka_unit_test(test_host),
        cmocka_unit_test(test_mounts),  cmocka_unit_test(test_volume_driver),
        cmocka_unit_test(test_network), cmocka_unit_test(test_not_utf8),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_host_config),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
