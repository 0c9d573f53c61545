#include "live.h"

#include <pthread.h>
#include <signal.h>

#include "apis/docker/events.h"
#include "apis/docker/image.h"
#include "apis/docker/network.h"
#include "apis/docker/volume.h"

static struct docker_client *docker;
static struct strmap labels;

/* Whatever a test that failed has left. */
static void sweep(void)
{
    const struct docker_filter filter = {"label", "runner.test.apis=1"};
    struct docker_container_list list = {0};

    if (docker_container_list(&test_ctx, docker, true, &filter, 1, &list, NULL) == 0) {
        for (size_t i = 0; i < list.len; i++)
            (void)!docker_container_remove(&test_ctx, docker, list.items[i].id,
                                           DOCKER_REMOVE_FORCE | DOCKER_REMOVE_VOLUMES, NULL);
    }
    docker_container_list_release(&list);
    (void)!docker_network_remove(&test_ctx, docker, "apis-net", NULL);
    (void)!docker_volume_remove(&test_ctx, docker, "apis-vol", true, NULL);
}

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    strmap_set(&labels, "runner.test.apis", "1");
    docker = live_client();
    assert_ok(docker_client_ping(&test_ctx, docker, &test_err));
    sweep();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 60000);
    sweep();
    docker_client_free(docker);
    strmap_release(&labels);
    return 0;
}

static int each_setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 60000);
    err_clear(&test_err);
    return 0;
}

/* Podman's init is a program that Debian does not install with it. */
static const bool *with_init(void)
{
    static const bool init = true;

    return docker_client_is_podman(docker) ? NULL : &init;
}

/* Runs a shell script in a fresh container, the way the docker engine does. */
static int64_t run_script(struct docker_client *client, const char *script, const char *input,
                          struct live_output *output, struct err *err)
{
    const char *const cmd[] = {"sh", "-c", script, NULL};
    struct docker_create create = {.image = live_image(),
                                   .cmd = cmd,
                                   .labels = &labels,
                                   .network_mode = "none",
                                   .init = with_init(),
                                   .open_stdin = input != NULL,
                                   .stdin_once = input != NULL,
                                   .attach_stdin = input != NULL,
                                   .attach_output = true};
    CLEANUP_FREE char *id = NULL;
    CLEANUP_HTTP_STREAM struct http_stream *stream = NULL;
    CLEANUP_DOCKER_WAIT struct docker_wait *wait = NULL;
    int64_t code = -1;

    if (docker_container_create(&test_ctx, client, &create, &id, err) < 0 ||
        docker_container_attach(&test_ctx, client, id,
                                DOCKER_ATTACH_OUTPUT | (input ? DOCKER_ATTACH_STDIN : 0), &stream,
                                err) < 0 ||
        docker_container_wait_start(&test_ctx, client, id, DOCKER_WAIT_NEXT_EXIT, &wait, err) < 0 ||
        docker_container_start(&test_ctx, client, id, err) < 0)
        return -1;
    if (input && (http_stream_write_all(&test_ctx, stream, input, strlen(input), err) < 0 ||
                  http_stream_shutdown_write(stream, err) < 0))
        return -1;
    if (live_drain(&test_ctx, stream, output, err) < 0 ||
        docker_wait_result(&test_ctx, wait, &code, err) < 0 ||
        docker_container_remove(&test_ctx, client, id, DOCKER_REMOVE_FORCE | DOCKER_REMOVE_VOLUMES,
                                err) < 0)
        return -1;
    return code;
}

static void test_negotiation(void **state)
{
    CLEANUP_DOCKER_INFO struct docker_info info = {0};
    json_t *version = NULL;

    (void)state;
    assert_ok(docker_client_ping(&test_ctx, docker, &test_err));
    assert_in_range(docker_client_api_minor(docker), DOCKER_API_MINOR_MIN, DOCKER_API_MINOR_MAX);
    assert_ok(docker_system_info(&test_ctx, docker, &info, &test_err));
    assert_string_equal(info.os_type, "linux");
    assert_true(*info.architecture && *info.cgroup_version && info.cpu_count > 0);
    assert_ok(docker_system_version(&test_ctx, docker, &version, &test_err));
    assert_true(json_is_string(json_object_get(version, "ApiVersion")));
    json_decref(version);
}

static void test_run(void **state)
{
    struct live_output o = {BUF_INIT, BUF_INIT};
    int64_t code =
        run_script(docker, "echo out; echo err >&2; printf last; exit 7", NULL, &o, &test_err);

    (void)state;
    if (code < 0)
        fail_msg("%s", test_err.message);
    assert_int_equal(code, 7);
    assert_string_equal(o.out.data, "out\nlast");
    assert_string_equal(o.errors.data, "err\n");
    live_output_release(&o);
}

static void test_output_complete(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct live_output o = {BUF_INIT, BUF_INIT};

        assert_int_equal(run_script(docker, "head -c 3000000 /dev/zero", NULL, &o, &test_err), 0);
        assert_int_equal(o.out.len, 3000000);
        live_output_release(&o);
    }
}

static void test_stdin(void **state)
{
    struct live_output o = {BUF_INIT, BUF_INIT};

    (void)state;
    assert_int_equal(run_script(docker, "cat; echo end", "hello\n", &o, &test_err), 0);
    assert_string_equal(o.out.data, "hello\nend\n");
    live_output_release(&o);
}

static char *start_sleeper(const struct docker_create *shape)
{
    const char *const cmd[] = {"sleep", "600", NULL};
    struct docker_create create = *shape;
    char *id = NULL;

    create.image = live_image();
    if (!create.cmd)
        create.cmd = cmd;
    create.labels = &labels;
    create.init = with_init();
    if (!create.network_mode && !create.network_count)
        create.network_mode = "none";
    assert_ok(docker_container_create(&test_ctx, docker, &create, &id, &test_err));
    assert_ok(docker_container_start(&test_ctx, docker, id, &test_err));
    return id;
}

/* A signal that comes before the init of the container has set itself up is lost. */
static void wait_for_output(const char *id, const char *expected)
{
    bool there = false;

    while (!there) {
        struct live_output o = {BUF_INIT, BUF_INIT};
        struct docker_frames frames;

        docker_frames_init(&frames, false, live_collect, &o);
        assert_ok(docker_container_logs(&test_ctx, docker, id,
                                        &(struct docker_logs){.flags = DOCKER_ATTACH_OUTPUT},
                                        &frames, &test_err));
        there = o.out.len > 0 && strcmp(o.out.data, expected) == 0;
        live_output_release(&o);
        assert_ok(ctx_sleep(&test_ctx, 20, &test_err));
    }
}

static void test_life_cycle(void **state)
{
    const char *const cmd[] = {"sh", "-c", "echo ready; exec sleep 600", NULL};
    CLEANUP_STRMAP struct strmap env = {0};
    CLEANUP_FREE char *id = NULL;
    CLEANUP_DOCKER_CONTAINER struct docker_container c = {0};
    struct docker_container after = {0};
    const char *const binds[] = {"/tmp:/host:ro", NULL};
    const struct docker_mount mounts[] = {{.type = DOCKER_MOUNT_TMPFS,
                                           .target = "/scratch",
                                           .tmpfs_size_bytes = 1 << 20,
                                           .tmpfs_mode = 0700}};

    (void)state;
    strmap_set(&env, "A", "b c");
    id = start_sleeper(&(struct docker_create){.env = &env,
                                               .cmd = cmd,
                                               .log_driver = "json-file",
                                               .binds = binds,
                                               .mounts = mounts,
                                               .mount_count = 1,
                                               .workdir = "/tmp",
                                               .user = "0:0",
                                               .memory_bytes = 64 << 20,
                                               .cpus_milli = 500,
                                               .pids_limit = 50});
    assert_ok(docker_container_start(&test_ctx, docker, id, &test_err)); /* again: no error */
    assert_ok(docker_container_inspect(&test_ctx, docker, id, &c, &test_err));
    assert_string_equal(c.id, id);
    assert_string_equal(c.status, "running");
    assert_true(c.running && c.pid > 0 && !c.oom_killed);
    assert_string_equal(c.workdir, "/tmp");
    assert_string_equal(c.network_mode, "none");
    assert_string_equal(strmap_get(&c.labels, "runner.test.apis"), "1");
    assert_true(c.mount_count >= 1);
    assert_ok(docker_container_rename(&test_ctx, docker, id, "apis-renamed", &test_err));
    wait_for_output(id, "ready\n");
    assert_ok(docker_container_kill(&test_ctx, docker, "apis-renamed", "TERM", &test_err));
    assert_ok(docker_container_stop(&test_ctx, docker, id, NULL, 5, &test_err));
    assert_ok(docker_container_inspect(&test_ctx, docker, id, &after, &test_err));
    assert_string_equal(after.status, "exited");
    assert_string_equal(after.name, "apis-renamed");
    assert_int_equal(after.exit_code, with_init() ? 143 : 137); /* PID 1 ignores SIGTERM */
    docker_container_release(&after);
    assert_error(docker_container_kill(&test_ctx, docker, id, NULL, &test_err), ERR_CONFLICT);
    assert_int_equal(test_err.errnum, docker_client_is_podman(docker) ? 500 : 409);
    assert_ok(docker_container_remove(&test_ctx, docker, id, DOCKER_REMOVE_FORCE, &test_err));
    assert_error(docker_container_inspect(&test_ctx, docker, id, &after, &test_err), ERR_NOT_FOUND);
    assert_int_equal(test_err.errnum, 404);
    assert_message(id);
}

static void test_create_errors(void **state)
{
    const char *const missing[] = {"/no/such/program", NULL};
    struct docker_create create = {.image = "no.such/image:1", .labels = &labels};
    const struct docker_mount mounts[] = {
        {.type = DOCKER_MOUNT_BIND, .source = "/no/such/dir", .target = "/x"}};
    CLEANUP_FREE char *id = NULL;

    (void)state;
    assert_error(docker_container_create(&test_ctx, docker, &create, &id, &test_err),
                 ERR_NOT_FOUND);
    create.image = live_image();
    create.cmd = missing;
    create.mounts = mounts;
    create.mount_count = 1;
    if (!docker_client_is_podman(docker)) { /* which makes the directory */
        assert_int_equal(docker_container_create(&test_ctx, docker, &create, &id, &test_err), -1);
        assert_message("/no/such/dir");
    }
    create.mount_count = 0;
    create.network_mode = "none";
    assert_ok(docker_container_create(&test_ctx, docker, &create, &id, &test_err));
    assert_int_equal(docker_container_start(&test_ctx, docker, id, &test_err), -1);
    assert_message("/no/such/program");
    assert_null(strchr(test_err.message, '\n'));
    assert_ok(docker_container_remove(&test_ctx, docker, id, DOCKER_REMOVE_FORCE, &test_err));
    create.cmd = NULL;
    create.workdir = "/\xff";
    free(id);
    id = NULL;
    assert_error(docker_container_create(&test_ctx, docker, &create, &id, &test_err), ERR_INVALID);
    assert_message("WorkingDir: the text is not valid UTF-8");
}

static void test_list(void **state)
{
    CLEANUP_FREE char *id = start_sleeper(&(struct docker_create){.name = "apis-listed"});
    const struct docker_filter filters[] = {{"label", "runner.test.apis=1"},
                                            {"name", "apis-listed"}};
    CLEANUP_DOCKER_CONTAINER_LIST struct docker_container_list list = {0};

    (void)state;
    assert_ok(docker_container_list(&test_ctx, docker, true, filters, 2, &list, &test_err));
    assert_int_equal(list.len, 1);
    assert_string_equal(list.items[0].id, id);
    assert_string_equal(list.items[0].name, "apis-listed");
    assert_string_equal(list.items[0].state, "running");
    assert_string_equal(strmap_get(&list.items[0].labels, "runner.test.apis"), "1");
    assert_ok(docker_container_remove(&test_ctx, docker, id, DOCKER_REMOVE_FORCE, &test_err));
}

static void test_exec(void **state)
{
    CLEANUP_FREE char *id = start_sleeper(&(struct docker_create){0});
    CLEANUP_FREE char *exec_id = NULL;
    CLEANUP_HTTP_STREAM struct http_stream *stream = NULL;
    CLEANUP_STRMAP struct strmap env = {0};
    const char *const cmd[] = {"sh", "-c", "cat; echo $X; pwd; echo e >&2; exit 5", NULL};
    const char *const bad[] = {"true", NULL};
    struct live_output o = {BUF_INIT, BUF_INIT};
    struct docker_exec exec;

    (void)state;
    strmap_set(&env, "X", "y");
    assert_ok(docker_exec_create(&test_ctx, docker, id,
                                 &(struct docker_exec_create){.cmd = cmd,
                                                              .env = &env,
                                                              .workdir = "/tmp",
                                                              .stdin_open = true},
                                 &exec_id, &test_err));
    assert_ok(docker_exec_start(&test_ctx, docker, exec_id, false, &stream, &test_err));
    assert_ok(http_stream_write_all(&test_ctx, stream, "in\n", 3, &test_err));
    assert_ok(http_stream_shutdown_write(stream, &test_err));
    assert_ok(live_drain(&test_ctx, stream, &o, &test_err));
    assert_string_equal(o.out.data, "in\ny\n/tmp\n");
    assert_string_equal(o.errors.data, "e\n");
    live_output_release(&o);
    assert_ok(docker_exec_inspect(&test_ctx, docker, exec_id, &exec, &test_err));
    assert_false(exec.running);
    assert_int_equal(exec.exit_code, 5);
    assert_ok(docker_container_remove(&test_ctx, docker, id, DOCKER_REMOVE_FORCE, &test_err));
    free(exec_id);
    exec_id = NULL;
    assert_error(docker_exec_create(&test_ctx, docker, id, &(struct docker_exec_create){.cmd = bad},
                                    &exec_id, &test_err),
                 ERR_NOT_FOUND);
    http_stream_free(steal_ptr(&stream));
    assert_error(docker_exec_start(&test_ctx, docker, "0123", false, &stream, &test_err),
                 ERR_NOT_FOUND);
}

static int gather(void *arg, const char *data, size_t len, struct err *err)
{
    (void)err;
    buf_add(arg, data, len);
    return 0;
}

struct slow_tar {
    const char *data;
    size_t left;
};

static ssize_t give_tar(void *arg, char *data, size_t size, struct err *err)
{
    struct slow_tar *tar = arg;
    size_t take = tar->left < 700 ? tar->left : 700;

    (void)err;
    if (take > size)
        take = size;
    memcpy(data, tar->data, take);
    tar->data += take;
    tar->left -= take;
    return (ssize_t)take;
}

static void test_archive(void **state)
{
    CLEANUP_FREE char *id = start_sleeper(&(struct docker_create){0});
    CLEANUP_BUF struct buf tar = BUF_INIT;
    CLEANUP_BUF struct buf back = BUF_INIT;
    struct slow_tar slow;

    (void)state;
    assert_ok(docker_container_archive_get(&test_ctx, docker, id, "/etc/passwd", gather, &tar,
                                           &test_err));
    assert_true(tar.len >= 1024 && strcmp(tar.data, "passwd") == 0);
    assert_ok(docker_container_archive_put(&test_ctx, docker, id, "/tmp",
                                           &(struct docker_tar){.data = tar.data, .len = tar.len},
                                           &test_err));
    slow = (struct slow_tar){tar.data, tar.len};
    assert_ok(docker_container_archive_put(&test_ctx, docker, id, "/root",
                                           &(struct docker_tar){.read = give_tar, .arg = &slow},
                                           &test_err));
    assert_ok(docker_container_archive_get(&test_ctx, docker, id, "/root/passwd", gather, &back,
                                           &test_err));
    assert_memory_equal(back.data + 512, tar.data + 512, 32);
    assert_error(docker_container_archive_get(&test_ctx, docker, id, "/none", gather, &back,
                                              &test_err),
                 ERR_NOT_FOUND);
    if (!docker_client_is_podman(docker)) /* which makes the directory */
        assert_error(docker_container_archive_put(&test_ctx, docker, id, "/no/dir",
                                                  &(struct docker_tar){.data = tar.data,
                                                                       .len = tar.len},
                                                  &test_err),
                     ERR_NOT_FOUND);
    assert_ok(docker_container_remove(&test_ctx, docker, id, DOCKER_REMOVE_FORCE, &test_err));
}

static void await_exit(const char *id)
{
    bool running = true;

    while (running) {
        CLEANUP_DOCKER_CONTAINER struct docker_container container = {0};

        assert_ok(docker_container_inspect(&test_ctx, docker, id, &container, &test_err));
        running = container.running;
        assert_ok(ctx_sleep(&test_ctx, 20, &test_err));
    }
}

static void test_logs(void **state)
{
    const char *const cmd[] = {"sh", "-c", "echo one; echo two >&2", NULL};
    CLEANUP_FREE char *id =
        start_sleeper(&(struct docker_create){.cmd = cmd, .log_driver = "json-file"});
    /* podman can follow for ever what ends at the wrong moment (its issue 11461, among others). */
    const struct docker_logs options = {.flags = DOCKER_ATTACH_OUTPUT,
                                        .follow = !docker_client_is_podman(docker)};
    struct live_output o = {BUF_INIT, BUF_INIT};
    struct docker_frames frames;

    (void)state;
    if (!options.follow)
        await_exit(id);
    docker_frames_init(&frames, false, live_collect, &o);
    assert_ok(docker_container_logs(&test_ctx, docker, id, &options, &frames, &test_err));
    assert_string_equal(o.out.data, "one\n");
    assert_string_equal(o.errors.data, "two\n");
    live_output_release(&o);
    assert_ok(docker_container_remove(&test_ctx, docker, id, DOCKER_REMOVE_FORCE, &test_err));
}

static void test_network(void **state)
{
    CLEANUP_FREE char *network = NULL;
    CLEANUP_FREE char *again = NULL;
    CLEANUP_FREE char *id = NULL;
    CLEANUP_DOCKER_NETWORK struct docker_network n = {0};
    CLEANUP_DOCKER_NETWORK_LIST struct docker_network_list list = {0};
    CLEANUP_STRMAP struct strmap aux = {0};
    const struct docker_ipam_config ipam = {.subnet = "10.123.45.0/24",
                                            .gateway = "10.123.45.1",
                                            .ip_range = "10.123.45.128/25",
                                            .aux_addresses = &aux};
    struct docker_network_create create = {
        .name = "apis-net", .labels = &labels, .internal = true, .ipam = &ipam, .ipam_count = 1};
    struct docker_container_list entries = {0};
    const char *const aliases[] = {"alias", NULL};
    const struct docker_network_attach attach = {.network = "apis-net", .aliases = aliases};
    const struct docker_filter filter = {"label", "runner.test.apis=1"};
    json_t *described = NULL;
    json_t *restored = NULL;

    (void)state;
    if (!docker_client_is_podman(docker)) /* it knows no such addresses */
        strmap_set(&aux, "host", "10.123.45.5");
    assert_ok(docker_network_create(&test_ctx, docker, &create, &network, &test_err));
    assert_error(docker_network_create(&test_ctx, docker, &create, &again, &test_err),
                 ERR_CONFLICT);
    id = start_sleeper(&(struct docker_create){.networks = &attach, .network_count = 1});
    assert_ok(docker_network_inspect(&test_ctx, docker, "apis-net", &n, &test_err));
    assert_string_equal(n.id, network);
    assert_true(n.internal);
    assert_true(strmap_has(&n.containers, id));
    assert_ok(docker_network_list(&test_ctx, docker, &filter, 1, &list, &test_err));
    assert_int_equal(list.len, 1);
    assert_string_equal(list.items[0].name, "apis-net");
    assert_ok(docker_container_list(&test_ctx, docker, true, &filter, 1, &entries, &test_err));
    assert_int_equal(entries.len, 1);
    assert_true(strmap_has(&entries.items[0].networks, "apis-net"));
    assert_true(*entries.items[0].image_id && *entries.items[0].status);
    docker_container_list_release(&entries);
    assert_ok(docker_network_disconnect(&test_ctx, docker, "apis-net", id, true, &test_err));
    assert_ok(docker_network_connect(&test_ctx, docker, id, &attach, &test_err));
    assert_ok(docker_container_remove(&test_ctx, docker, id, DOCKER_REMOVE_FORCE, &test_err));
    assert_ok(docker_network_describe(&test_ctx, docker, network, &described, &test_err));
    assert_ok(docker_network_remove(&test_ctx, docker, network, &test_err));
    assert_error(docker_network_remove(&test_ctx, docker, network, &test_err), ERR_NOT_FOUND);
    assert_ok(docker_network_restore(&test_ctx, docker, described, &test_err));
    assert_error(docker_network_restore(&test_ctx, docker, described, &test_err), ERR_CONFLICT);
    assert_ok(docker_network_describe(&test_ctx, docker, "apis-net", &restored, &test_err));
    assert_true(json_equal(described, restored));
    assert_ok(docker_network_remove(&test_ctx, docker, "apis-net", &test_err));
    json_decref(described);
    json_decref(restored);
}

static void test_volume(void **state)
{
    CLEANUP_DOCKER_VOLUME struct docker_volume v = {0};
    CLEANUP_DOCKER_VOLUME_LIST struct docker_volume_list list = {0};
    CLEANUP_FREE char *id = NULL;
    const struct docker_volume_create create = {.name = "apis-vol", .labels = &labels};
    const struct docker_mount mount = {.type = DOCKER_MOUNT_VOLUME,
                                       .source = "apis-vol",
                                       .target = "/data"};
    const struct docker_filter filter = {"label", "runner.test.apis=1"};

    (void)state;
    assert_ok(docker_volume_create(&test_ctx, docker, &create, &v, &test_err));
    assert_string_equal(v.name, "apis-vol");
    assert_string_equal(strmap_get(&v.labels, "runner.test.apis"), "1");
    assert_ok(docker_volume_list(&test_ctx, docker, &filter, 1, &list, &test_err));
    assert_int_equal(list.len, 1);
    id = start_sleeper(&(struct docker_create){.mounts = &mount, .mount_count = 1});
    assert_error(docker_volume_remove(&test_ctx, docker, "apis-vol", false, &test_err),
                 ERR_CONFLICT);
    assert_ok(docker_container_remove(&test_ctx, docker, id, DOCKER_REMOVE_FORCE, &test_err));
    assert_ok(docker_volume_remove(&test_ctx, docker, "apis-vol", false, &test_err));
    docker_volume_release(&v);
    assert_error(docker_volume_inspect(&test_ctx, docker, "apis-vol", &v, &test_err),
                 ERR_NOT_FOUND);
}

static void test_image(void **state)
{
    CLEANUP_BUF struct buf tar = BUF_INIT;
    CLEANUP_FREE char *id = NULL;
    CLEANUP_DOCKER_IMAGE struct docker_image image = {0};
    const char *const changes[] = {"CMD [\"sh\"]", "ENV A=1", "LABEL x=y", NULL};

    (void)state;
    buf_reserve(&tar, 1024);
    memset(tar.data, 0, 1024);
    tar.len = 1024;
    assert_ok(docker_image_import(&test_ctx, docker, "apis-import", "1",
                                  &(struct docker_tar){.data = tar.data, .len = tar.len}, changes,
                                  &id, &test_err));
    assert_memory_equal(id, "sha256:", 7);
    assert_ok(docker_image_tag(&test_ctx, docker, "apis-import:1", "apis-import", "2", &test_err));
    assert_ok(docker_image_inspect(&test_ctx, docker, "apis-import:2", &image, &test_err));
    assert_string_equal(image.id, id);
    assert_int_equal(image.cmd.len, 1);
    assert_string_equal(image.cmd.items[0], "sh");
    assert_string_equal(strmap_get(&image.labels, "x"), "y");
    assert_int_equal(image.repo_tags.len, 2);
    assert_ok(docker_image_remove(&test_ctx, docker, "apis-import:1", false, &test_err));
    assert_ok(docker_image_remove(&test_ctx, docker, "apis-import:2", false, &test_err));
    assert_error(docker_image_remove(&test_ctx, docker, "apis-import:2", false, &test_err),
                 ERR_NOT_FOUND);
    docker_image_release(&image);
    assert_error(docker_image_inspect(&test_ctx, docker, "apis-import:2", &image, &test_err),
                 ERR_NOT_FOUND);
}

static void test_pull_fails(void **state)
{
    struct docker_pull pull = {.image = "127.0.0.1:1/none:1", .retry = {.attempts = 1}};

    (void)state;
    assert_error(docker_image_pull(&test_ctx, docker, &pull, &test_err), ERR_IMAGE_PULL);
    assert_message("127.0.0.1:1");
    assert_int_equal(test_err.errnum, 503);
    pull.image = "Bad";
    assert_error(docker_image_pull(&test_ctx, docker, &pull, &test_err), ERR_INVALID);
}

struct seen {
    struct buf actions;
    int64_t exit_code;
};

static void on_event(void *arg, const struct docker_event *event)
{
    struct seen *seen = arg;

    buf_addf(&seen->actions, "%s ", event->action);
    if (event->has_exit_code)
        seen->exit_code = event->exit_code;
}

static void test_events(void **state)
{
    const struct docker_filter filters[] = {{"label", "runner.test.apis=1"}, {"type", "container"}};
    struct docker_events *events = NULL;
    struct seen seen = {BUF_INIT, -1};
    struct live_output o = {BUF_INIT, BUF_INIT};

    (void)state;
    assert_ok(
        docker_events_start(&test_ctx, docker, filters, 2, 0, on_event, &seen, &events, &test_err));
    assert_int_equal(run_script(docker, "exit 9", NULL, &o, &test_err), 9);
    while (!strstr(seen.actions.data, docker_client_is_podman(docker) ? "remove" : "destroy"))
        assert_ok(docker_client_poll(&test_ctx, docker, NULL, 0, -1, &test_err));
    assert_non_null(strstr(seen.actions.data, "create"));
    assert_non_null(strstr(seen.actions.data, "die"));
    assert_int_equal(seen.exit_code, 9);
    assert_ok(docker_events_check(events, &test_err));
    docker_events_free(events);
    buf_release(&seen.actions);
    live_output_release(&o);
}

static void *cancel_soon(void *arg)
{
    usleep(100000);
    ctx_cancel(arg, CTX_CAUSE_USER);
    return NULL;
}

static void test_cancel_wait(void **state)
{
    CLEANUP_FREE char *id = start_sleeper(&(struct docker_create){0});
    CLEANUP_DOCKER_WAIT struct docker_wait *wait = NULL;
    CLEANUP_CTX struct ctx ctx;
    struct ctx limit;
    pthread_t thread;
    int64_t code;

    (void)state;
    assert_ok(ctx_init_root(&ctx, NULL, &test_err));
    assert_ok(docker_container_wait_start(&test_ctx, docker, id, DOCKER_WAIT_NEXT_EXIT, &wait,
                                          &test_err));
    assert_false(docker_wait_done(wait));
    pthread_create(&thread, NULL, cancel_soon, &ctx);
    assert_error(docker_wait_result(&ctx, wait, &code, &test_err), ERR_CANCELLED);
    pthread_join(thread, NULL);
    ctx_init(&limit, &test_ctx);
    ctx_set_timeout(&limit, 100, "step \"x\"");
    assert_error(docker_wait_result(&limit, wait, &code, &test_err), ERR_TIMEOUT);
    assert_string_equal(test_err.message, "step \"x\" timeout after 100 milliseconds");
    /* The wait outlives both. */
    assert_ok(docker_container_kill(&test_ctx, docker, id, NULL, &test_err));
    assert_ok(docker_wait_result(&test_ctx, wait, &code, &test_err));
    assert_int_equal(code, 137);
    assert_ok(docker_container_remove(&test_ctx, docker, id, DOCKER_REMOVE_FORCE, &test_err));
}

static void *run_many(void *arg)
{
    int *failed = arg;
    struct docker_client *mine = live_client();

    for (int i = 0; i < 3; i++) {
        struct live_output o = {BUF_INIT, BUF_INIT};
        struct err err = ERR_INIT;

        if (run_script(mine, "echo $$; head -c 100000 /dev/zero; exit 3", NULL, &o, &err) != 3 ||
            o.out.len < 100000)
            (*failed)++;
        live_output_release(&o);
    }
    docker_client_free(mine);
    return NULL;
}

/* A client per thread shares nothing (this is what the thread sanitizer looks at). */
static void test_threads(void **state)
{
    pthread_t threads[4];
    int failed[4] = {0};

    (void)state;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run_many, &failed[i]);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(failed[i], 0);
    }
}

/* argv[1]: the variable that names another daemon than RUNNER_TEST_DOCKER. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_negotiation, each_setup),
        cmocka_unit_test_setup(test_run, each_setup),
        cmocka_unit_test_setup(test_output_complete, each_setup),
        cmocka_unit_test_setup(test_stdin, each_setup),
        cmocka_unit_test_setup(test_life_cycle, each_setup),
        cmocka_unit_test_setup(test_create_errors, each_setup),
        cmocka_unit_test_setup(test_list, each_setup),
        cmocka_unit_test_setup(test_exec, each_setup),
        cmocka_unit_test_setup(test_archive, each_setup),
        cmocka_unit_test_setup(test_logs, each_setup),
        cmocka_unit_test_setup(test_network, each_setup),
        cmocka_unit_test_setup(test_volume, each_setup),
        cmocka_unit_test_setup(test_image, each_setup),
        cmocka_unit_test_setup(test_pull_fails, each_setup),
        cmocka_unit_test_setup(test_events, each_setup),
        cmocka_unit_test_setup(test_cancel_wait, each_setup),
        cmocka_unit_test_setup(test_threads, each_setup),
    };

    if (argc > 1)
        live_variable = argv[1];
    ctx_init_cleanup(&test_ctx, 60000);
    return cmocka_run_group_tests(tests, setup, teardown);
}
