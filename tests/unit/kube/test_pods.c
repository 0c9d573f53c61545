/* Commands, logs and events of a real pod; see test_live.c. The node must have busybox:1.36. */
#include "tests/unit/kube/kube_test.h"

#include "apis/kube/exec.h"
#include "apis/kube/log.h"
#include "apis/kube/object.h"
#include "apis/kube/watch.h"
#include "base/json_at.h"

#define POD "runner-test-pod"

static struct kube_cluster *cluster;
static struct kube_client *client;

static const struct kube_ref pods = {.api_version = "v1", .resource = "pods", .ns = "default"};
static const struct kube_ref pod = {.api_version = "v1",
                                    .resource = "pods",
                                    .ns = "default",
                                    .name = POD};

static int each_setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 120000);
    err_clear(&test_err);
    return 0;
}

/* Whether the watch's last event was the end of the pod, or (running) its beginning. */
static bool is_there(const struct kube_watch_event *event, bool running)
{
    if (!running)
        return event->type == KUBE_WATCH_DELETED;
    return event->object && strcmp(json_at_string(event->object, "status.phase"), "Running") == 0;
}

static int wait_for_pod(bool running)
{
    const struct kube_selector one = {.fields = "metadata.name=" POD};
    CLEANUP_KUBE_WATCH struct kube_watch *watch = kube_watch_new(cluster, &pods, &one);
    struct kube_watch_event event = {0};
    bool empty = true;

    do {
        if (kube_watch_next(&test_ctx, watch, -1, &event, &test_err) < 0)
            return -1;
        if (event.type == KUBE_WATCH_ADDED)
            empty = false;
        if (event.type == KUBE_WATCH_SYNCED && empty && !running)
            return 0;
    } while (!is_there(&event, running));
    return 0;
}

static int remove_pod(void)
{
    const struct kube_delete_options now = {.has_grace = true, .grace_s = 1};

    if (kube_delete(&test_ctx, client, &pod, &now, NULL, &test_err) < 0 &&
        test_err.code != ERR_NOT_FOUND)
        return -1;
    return wait_for_pod(false);
}

static int setup(void **state)
{
    struct kube_env env = {.file = getenv("RUNNER_TEST_KUBECONFIG")};
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;
    json_t *object =
        json_pack("{s:s, s:s, s:{s:s}, s:{s:i, s:s, s:[{s:s, s:s, s:[s, s, s]}]}}", "apiVersion",
                  "v1", "kind", "Pod", "metadata", "name", POD, "spec",
                  "terminationGracePeriodSeconds", 1, "restartPolicy", "Never", "containers",
                  "name", "main", "image", "busybox:1.36", "command", "sh", "-c",
                  "echo one; echo two; echo three; while [ ! -e /end ]; do sleep 0.1; done; "
                  "echo end");
    int result = -1;

    each_setup(state);
    if (!env.file)
        err_set(&test_err, ERR_INVALID, "RUNNER_TEST_KUBECONFIG is not set: this needs a cluster");
    else if (make_dir() == 0 && kube_config_load(&env, &config, &test_err) == 0 &&
             kube_config_select(config, NULL, NULL, &cluster, &test_err) == 0) {
        client = kube_client_new(cluster);
        if (remove_pod() == 0 &&
            kube_create(&test_ctx, client, &pods, object, NULL, &test_err) == 0 &&
            wait_for_pod(true) == 0)
            result = 0;
    }
    if (result < 0)
        print_error("%s\n", test_err.message);
    json_decref(object);
    return result;
}

static int teardown(void **state)
{
    each_setup(state);
    if (!client)
        return 0;
    assert_ok(remove_pod());
    kube_client_free(client);
    kube_cluster_free(cluster);
    remove_dir();
    return 0;
}

static struct kube_exec *run(const char *script, bool with_stdin)
{
    const char *const command[] = {"sh", "-c", script, NULL};
    const struct kube_exec_options options = {.ns = "default",
                                              .pod = POD,
                                              .command = command,
                                              .with_stdin = with_stdin};
    struct kube_exec *exec = NULL;

    assert_ok(kube_exec_open(&test_ctx, cluster, &options, &exec, &test_err));
    return exec;
}

static void finish(struct kube_exec *exec, struct buf *out, struct buf *errors)
{
    struct kube_exec_output output;

    for (;;) {
        switch (kube_exec_read(exec, &output, &test_err)) {
        case KUBE_EXEC_OUTPUT:
            buf_add(output.channel == KUBE_EXEC_STDERR ? errors : out, output.data, output.len);
            break;
        case KUBE_EXEC_AGAIN:
            assert_ok(kube_exec_wait(&test_ctx, exec, NULL, 0, -1, &test_err));
            break;
        case KUBE_EXEC_ENDED:
            return;
        case KUBE_EXEC_ERROR:
            fail_msg("%s", test_err.message);
        }
    }
}

static void test_exec(void **state)
{
    CLEANUP_KUBE_EXEC struct kube_exec *exec =
        run("read a; read b; echo \"$b $a\"; echo oops >&2; exit 3", true);
    CLEANUP_BUF struct buf out = BUF_INIT;
    CLEANUP_BUF struct buf errors = BUF_INIT;

    (void)state;
    assert_int_equal(kube_exec_write(exec, "hello\n", 6, &test_err), 6);
    assert_int_equal(kube_exec_write(exec, "world\n", 6, &test_err), 6);
    finish(exec, &out, &errors);
    assert_string_equal(out.data, "world hello\n");
    assert_string_equal(errors.data, "oops\n");
    assert_true(kube_exec_result(exec)->exited);
    assert_int_equal(kube_exec_result(exec)->exit_code, 3);
}

static void test_exec_ends(void **state)
{
    static const struct {
        const char *script;
        int exit_code;
    } rows[] = {{"true", 0}, {"exit 255", 255}, {"kill -9 $$", 137}, {"no-such-command", 127}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_KUBE_EXEC struct kube_exec *exec = run(rows[i].script, false);
        CLEANUP_BUF struct buf out = BUF_INIT;

        finish(exec, &out, &out);
        assert_true(kube_exec_result(exec)->exited);
        assert_int_equal(kube_exec_result(exec)->exit_code, rows[i].exit_code);
    }
}

/* Everything comes, both ways at once, and in the order of the bytes. */
static void test_exec_much(void **state)
{
    enum { LINES = 200000, LINE = 16 };
    CLEANUP_KUBE_EXEC struct kube_exec *exec = run("head -c 3200000 | tee /dev/stderr", true);
    CLEANUP_BUF struct buf in = BUF_INIT;
    CLEANUP_BUF struct buf out = BUF_INIT;
    CLEANUP_BUF struct buf errors = BUF_INIT;
    size_t sent = 0;

    (void)state;
    for (int i = 0; i < LINES; i++)
        buf_addf(&in, "line %09d\n", i);
    in.data[in.len - 1] = '\n';
    while (in.len < (size_t)LINES * LINE)
        buf_addch(&in, '.');
    for (bool ended = false; !ended;) {
        struct kube_exec_output output;
        enum kube_exec_read got;

        if (sent < in.len) {
            ssize_t put = kube_exec_write(exec, in.data + sent, in.len - sent, &test_err);

            assert_true(put >= 0);
            sent += (size_t)put;
        }
        got = kube_exec_read(exec, &output, &test_err);
        assert_int_not_equal(got, KUBE_EXEC_ERROR);
        if (got == KUBE_EXEC_OUTPUT)
            buf_add(output.channel == KUBE_EXEC_STDERR ? &errors : &out, output.data, output.len);
        else if (got == KUBE_EXEC_AGAIN)
            assert_ok(kube_exec_wait(&test_ctx, exec, NULL, 0, -1, &test_err));
        ended = got == KUBE_EXEC_ENDED;
    }
    assert_int_equal(out.len, in.len);
    assert_memory_equal(out.data, in.data, in.len);
    assert_int_equal(errors.len, in.len);
    assert_memory_equal(errors.data, in.data, in.len);
}

static void test_exec_refused(void **state)
{
    const char *const command[] = {"true", NULL};
    struct kube_exec_options options = {.ns = "default", .pod = "no-such-pod", .command = command};
    struct kube_exec *exec = NULL;

    (void)state;
    assert_error(kube_exec_open(&test_ctx, cluster, &options, &exec, &test_err), ERR_NOT_FOUND);
    assert_string_equal(test_err.message, "pods \"no-such-pod\" not found");
    options.pod = POD;
    options.container = "other";
    assert_error(kube_exec_open(&test_ctx, cluster, &options, &exec, &test_err), ERR_INVALID);
    assert_message("container other is not valid for pod " POD);
}

/* A program that is not there could not be run, which is no exit code of it. */
static void test_exec_no_program(void **state)
{
    const char *const command[] = {"/no/such/program", NULL};
    const struct kube_exec_options options = {.ns = "default", .pod = POD, .command = command};
    CLEANUP_KUBE_EXEC struct kube_exec *exec = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT;

    (void)state;
    assert_ok(kube_exec_open(&test_ctx, cluster, &options, &exec, &test_err));
    finish(exec, &out, &out);
    if (kube_exec_result(exec)->exited)
        assert_int_equal(kube_exec_result(exec)->exit_code, 126); /* dockershim makes it one */
    else
        assert_non_null(strstr(kube_exec_result(exec)->error.message, "/no/such/program"));
}

static int collect(void *arg, const char *data, size_t len, struct err *err)
{
    (void)err;
    buf_add(arg, data, len);
    return 0;
}

static void test_log(void **state)
{
    CLEANUP_BUF struct buf all = BUF_INIT;
    CLEANUP_BUF struct buf last = BUF_INIT;
    CLEANUP_BUF struct buf future = BUF_INIT;
    struct kube_log_options options = {.container = "main"};

    (void)state;
    assert_ok(kube_log(&test_ctx, client, "default", POD, &options, collect, &all, &test_err));
    assert_string_equal(all.data, "one\ntwo\nthree\n");
    options = (struct kube_log_options){.has_tail = true, .tail_lines = 1, .timestamps = true};
    assert_ok(kube_log(&test_ctx, client, "default", POD, &options, collect, &last, &test_err));
    assert_non_null(strstr(last.data, "Z three\n"));
    assert_null(strstr(last.data, "two"));
    options = (struct kube_log_options){.since_time = "2999-01-01T00:00:00Z"};
    assert_ok(kube_log(&test_ctx, client, "default", POD, &options, collect, &future, &test_err));
    assert_int_equal(future.len, 0);
    options = (struct kube_log_options){.container = "other"};
    assert_error(kube_log(&test_ctx, client, "default", POD, &options, collect, &all, &test_err),
                 ERR_INVALID);
}

static void test_events(void **state)
{
    json_t *object = NULL;
    json_t *list = NULL;
    const json_t *item;
    size_t i;
    bool started = false;

    (void)state;
    assert_ok(kube_get(&test_ctx, client, &pod, &object, &test_err));
    assert_ok(kube_events(&test_ctx, client, "default", "Pod", pod.name,
                          json_at_string(object, "metadata.uid"), &list, &test_err));
    json_array_foreach (json_object_get(list, "items"), i, item) {
        started |= strcmp(json_at_string(item, "reason"), "Started") == 0;
    }
    assert_true(started);
    json_decref(object);
    json_decref(list);
}

/* The last test: the container ends, and with it the log that is followed. */
static void test_log_follow(void **state)
{
    CLEANUP_KUBE_EXEC struct kube_exec *exec = run("sleep 0.5; touch /end", false);
    CLEANUP_BUF struct buf out = BUF_INIT;
    const struct kube_log_options options = {.follow = true};

    (void)state;
    assert_ok(kube_log(&test_ctx, client, "default", POD, &options, collect, &out, &test_err));
    assert_string_equal(out.data, "one\ntwo\nthree\nend\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_exec, each_setup),
        cmocka_unit_test_setup(test_exec_ends, each_setup),
        cmocka_unit_test_setup(test_exec_much, each_setup),
        cmocka_unit_test_setup(test_exec_refused, each_setup),
        cmocka_unit_test_setup(test_exec_no_program, each_setup),
        cmocka_unit_test_setup(test_log, each_setup),
        cmocka_unit_test_setup(test_events, each_setup),
        cmocka_unit_test_setup(test_log_follow, each_setup),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
