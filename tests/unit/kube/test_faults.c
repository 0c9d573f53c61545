/* What a real API server will not do on demand: tests/fake/kube.py does. */
#include "tests/unit/kube/fake.h"

#include "apis/kube/exec.h"
#include "apis/kube/log.h"
#include "apis/kube/object.h"
#include "apis/kube/watch.h"
#include "base/json_at.h"

static struct kube_cluster *cluster;
static struct kube_client *client;

static int setup(void **state)
{
    (void)state;
    return fake_open(&cluster, &client);
}

static int teardown(void **state)
{
    (void)state;
    fake_close(cluster, client);
    return 0;
}

static int each_setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 120000);
    err_clear(&test_err);
    return 0;
}

static struct kube_ref pods_of(const char *ns)
{
    return (struct kube_ref){.api_version = "v1", .resource = "pods", .ns = ns};
}

static int get_x(const char *ns)
{
    struct kube_ref ref = pods_of(ns);

    ref.name = "x";
    return kube_get(&test_ctx, client, &ref, NULL, &test_err);
}

static int create_in(const char *ns)
{
    const struct kube_ref ref = pods_of(ns);
    json_t *object = json_pack("{s:s}", "kind", "Pod");
    int result = kube_create(&test_ctx, client, &ref, object, NULL, &test_err);

    json_decref(object);
    return result;
}

/* --- what is tried again --- */

static void test_repeats(void **state)
{
    (void)state;
    assert_ok(get_x("busy-2"));
    assert_ok(create_in("busy-3"));
    assert_ok(create_in("later-1"));
    assert_ok(get_x("error-1"));
    assert_ok(get_x("reset-1"));
    assert_int_equal(requests_in("busy-2"), 3);
    assert_int_equal(requests_in("busy-3"), 4);
}

/* A creation whose end is not known is not tried again. */
static void test_does_not_repeat(void **state)
{
    (void)state;
    assert_error(create_in("reset-9"), ERR_LOST);
    assert_int_equal(requests_in("reset-9"), 1);
    assert_error(create_in("error-9"), ERR_UNAVAILABLE);
    assert_message("etcd is unhappy");
    assert_int_equal(test_err.errnum, 500);
    assert_int_equal(requests_in("error-9"), 1);
    assert_error(create_in("busy-9"), ERR_UNAVAILABLE);
    assert_int_equal(requests_in("busy-9"), 4);
    assert_int_equal(kube_client_status(client)->code, 429);
    assert_string_equal(kube_client_status(client)->reason, "TooManyRequests");
    assert_int_equal(kube_client_status(client)->retry_after_ms, 0);
}

static void test_patches_repeat_by_kind(void **state)
{
    static const struct {
        enum kube_patch_type type;
        const char *ns;
    } rows[] = {{KUBE_PATCH_JSON, "error-11"}, {KUBE_PATCH_STRATEGIC, "error-12"}};
    json_t *patch = json_object();
    struct kube_ref applied = pods_of("error-01");

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct kube_ref ref = pods_of(rows[i].ns);

        ref.name = "x";
        assert_error(kube_patch(&test_ctx, client, &ref, rows[i].type, patch, NULL, NULL,
                                &test_err),
                     ERR_UNAVAILABLE);
        assert_int_equal(requests_in(rows[i].ns), 1);
    }
    applied.name = "x";
    assert_ok(kube_patch(&test_ctx, client, &applied, KUBE_PATCH_APPLY, patch,
                         &(struct kube_patch_options){.field_manager = "t"}, NULL, &test_err));
    json_decref(patch);
}

static void test_odd_answers(void **state)
{
    json_t *object = NULL;
    struct kube_ref ref = pods_of("notjson");

    (void)state;
    ref.name = "x";
    assert_error(kube_get(&test_ctx, client, &ref, &object, &test_err), ERR_PROTOCOL);
    assert_message("is not JSON");
    assert_error(create_in("plain"), ERR_UNAVAILABLE);
    assert_string_equal(test_err.message, "upstream is away");
    assert_int_equal(test_err.errnum, 503);
}

static void test_no_server(void **state)
{
    struct kube_cluster *nowhere = NULL;
    struct kube_client *lost;
    const struct kube_ref ref = pods_of("x");
    CLEANUP_CTX struct ctx ctx;

    (void)state;
    assert_ok(select_text("current-context: c\n"
                          "contexts: [{name: c, context: {cluster: k}}]\n"
                          "clusters: [{name: k, cluster: {server: 'http://127.0.0.1:1'}}]\n",
                          &nowhere));
    lost = kube_client_new(nowhere);
    ctx_init(&ctx, &test_ctx);
    assert_error(kube_get(&ctx, lost, &ref, NULL, &test_err), ERR_UNAVAILABLE);
    assert_string_equal(test_err.message, "cannot connect to the Kubernetes API at "
                                          "http://127.0.0.1:1: Connection refused");
    kube_client_free(lost);
    kube_cluster_free(nowhere);
}

static void test_expired_page(void **state)
{
    const struct kube_ref ref = pods_of("expired");
    json_t *list = NULL;

    (void)state;
    assert_ok(kube_list(&test_ctx, client, &ref, NULL, 1, &list, &test_err));
    assert_int_equal(json_array_size(json_object_get(list, "items")), 5);
    assert_string_equal(json_at_string(list, "metadata.resourceVersion"), "5");
    assert_string_equal(json_at_string(json_array_get(json_object_get(list, "items"), 3), "kind"),
                        "Pod");
    json_decref(list);
    assert_int_equal(requests_in("expired"), 3);
}

/* A token file is read again at once when its token was refused. */
static void test_refused_token(void **state)
{
    struct kube_cluster *other = select_user("", "{tokenFile: token}");
    struct kube_client *c = kube_client_new(other);
    const struct kube_ref ref = pods_of("token");

    (void)state;
    write_file("token", "bad\n", 0600);
    assert_error(kube_get(&test_ctx, c, &ref, NULL, &test_err), ERR_DENIED);
    assert_int_equal(test_err.errnum, 401);
    assert_message("does not accept the credentials of user \"u\" of /tmp/kube-test-");
    assert_int_equal(requests_in("token"), 1);
    write_file("token", "good\n", 0600);
    assert_ok(kube_get(&test_ctx, c, &ref, NULL, &test_err));
    assert_int_equal(requests_in("token"), 3);
    kube_client_free(c);
    kube_cluster_free(other);
}

/* Plugins run once for as long as what they gave holds, and again when it was refused. */
static void test_plugin(void **state)
{
    static const char script[] =
        "#!/bin/sh\n"
        "echo \"$KUBERNETES_EXEC_INFO $GREETING\" >> \"$0.log\"\n"
        "[ $(wc -l < \"$0.log\") -lt 2 ] && token=bad || token=good\n"
        "echo '{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": "
        "\"ExecCredential\",'\n"
        "echo \"\\\"status\\\": {\\\"token\\\": \\\"$token\\\", \\\"expirationTimestamp\\\": "
        "\\\"$1\\\"}}\"\n";
    static const struct {
        const char *expires;
        int runs;
    } rows[] = {{"2999-01-01T00:00:00Z", 2}, {"2001-01-01T00:00:00Z", 5}};
    const struct kube_ref ref = pods_of("token");

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_FREE char *user = xasprintf(
            "{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin%zu, "
            "args: ['%s'], env: [{name: GREETING, value: hello}], interactiveMode: Never, "
            "provideClusterInfo: true}}",
            i, rows[i].expires);
        CLEANUP_FREE char *name = xasprintf("plugin%zu", i);
        CLEANUP_FREE char *log_name = xasprintf("%s.log", name);
        CLEANUP_FREE char *log_path = file_path(log_name);
        CLEANUP_BUF struct buf log = BUF_INIT;
        struct kube_cluster *other = select_user("", user);
        struct kube_client *c = kube_client_new(other);
        int lines = 0;

        write_file(name, script, 0700);
        for (int k = 0; k < 3; k++)
            assert_ok(kube_get(&test_ctx, c, &ref, NULL, &test_err));
        assert_ok(fs_read_file(log_path, 100000, &log, &test_err));
        for (const char *at = log.data; (at = strchr(at, '\n')); at++)
            lines++;
        assert_int_equal(lines, rows[i].runs);
        assert_non_null(
            strstr(log.data, "\"interactive\":false,\"cluster\":{\"server\":\"http://"));
        assert_non_null(strstr(log.data, " hello\n"));
        kube_client_free(c);
        kube_cluster_free(other);
    }
}

static void test_proxy(void **state)
{
    CLEANUP_FREE char *more = xasprintf(", proxy-url: 'http://127.0.0.1:%d'", fake_port);
    struct kube_cluster *other = select_user(more, "{}");
    struct kube_exec *exec = NULL;
    static const char *const command[] = {"exit-0", NULL};
    const struct kube_exec_options options = {.ns = "x", .pod = "p", .command = command};

    (void)state;
    assert_ok(kube_exec_open(&test_ctx, other, &options, &exec, &test_err));
    kube_exec_free(exec);
    kube_cluster_free(other);
    assert_int_equal(requests_in("proxy"), 1);
}

/* --- watches --- */

static void next_event(struct kube_watch *watch, enum kube_watch_type type, const char *name,
                       bool unseen)
{
    struct kube_watch_event event = {0};

    if (kube_watch_next(&test_ctx, watch, -1, &event, &test_err) != 1)
        fail_msg("no event for %s: %s", name, test_err.message);
    assert_string_equal(json_at_string(event.object, "metadata.name"), name);
    assert_int_equal(event.type, type);
    assert_int_equal(event.unseen, unseen);
}

/* Every change once, through a broken line, a forgotten version and a bookmark. */
static void test_watch(void **state)
{
    const struct kube_ref ref = pods_of("cut");
    CLEANUP_KUBE_WATCH struct kube_watch *watch = kube_watch_new(cluster, &ref, NULL);
    struct kube_watch_event event;

    (void)state;
    next_event(watch, KUBE_WATCH_ADDED, "a", false);
    next_event(watch, KUBE_WATCH_ADDED, "b", false);
    next_event(watch, KUBE_WATCH_ADDED, "c", false);
    next_event(watch, KUBE_WATCH_ADDED, "e", false);
    next_event(watch, KUBE_WATCH_SYNCED, "", false);
    next_event(watch, KUBE_WATCH_MODIFIED, "a", false);
    next_event(watch, KUBE_WATCH_MODIFIED, "b", false);
    next_event(watch, KUBE_WATCH_DELETED, "b", false);
    next_event(watch, KUBE_WATCH_DELETED, "e", true);
    next_event(watch, KUBE_WATCH_DELETED, "c", true);
    next_event(watch, KUBE_WATCH_ADDED, "c", false);
    next_event(watch, KUBE_WATCH_ADDED, "d", false);
    next_event(watch, KUBE_WATCH_SYNCED, "", false);
    next_event(watch, KUBE_WATCH_MODIFIED, "d", false);
    assert_int_equal(kube_watch_next(&test_ctx, watch, 50, &event, &test_err), 0);
}

static void test_watch_errors(void **state)
{
    struct kube_ref ref = pods_of("unfit");
    struct kube_watch *watch = kube_watch_new(cluster, &ref, NULL);
    struct kube_watch_event event;
    CLEANUP_CTX struct ctx ctx;

    (void)state;
    next_event(watch, KUBE_WATCH_SYNCED, "", false);
    assert_error(kube_watch_next(&test_ctx, watch, -1, &event, &test_err), ERR_LOST);
    assert_message("ends each watch of pods at once");
    kube_watch_free(watch);

    ref = pods_of("forbidden");
    watch = kube_watch_new(cluster, &ref, NULL);
    next_event(watch, KUBE_WATCH_SYNCED, "", false);
    assert_error(kube_watch_next(&test_ctx, watch, -1, &event, &test_err), ERR_DENIED);
    assert_string_equal(test_err.message, "pods is forbidden");
    kube_watch_free(watch);

    ref = pods_of("cut");
    watch = kube_watch_new(cluster, &ref, NULL);
    assert_ok(ctx_init_cancel(&ctx, &test_ctx, &test_err));
    ctx_cancel(&ctx, CTX_CAUSE_USER);
    assert_error(kube_watch_next(&ctx, watch, -1, &event, &test_err), ERR_CANCELLED);
    kube_watch_free(watch);
}

/* --- commands --- */

static struct kube_exec *run(const char *word)
{
    const char *const command[] = {word, NULL};
    const struct kube_exec_options options = {.ns = "x",
                                              .pod = "p",
                                              .command = command,
                                              .with_stdin = true};
    struct kube_exec *exec = NULL;

    assert_ok(kube_exec_open(&test_ctx, cluster, &options, &exec, &test_err));
    return exec;
}

static enum kube_exec_read drain(struct kube_exec *exec, struct buf *out, struct buf *errors)
{
    struct kube_exec_output output;
    enum kube_exec_read got;

    while ((got = kube_exec_read(exec, &output, &test_err)) == KUBE_EXEC_OUTPUT) {
        assert_int_not_equal(output.len, 0);
        buf_add(output.channel == KUBE_EXEC_STDERR ? errors : out, output.data, output.len);
    }
    return got;
}

static enum kube_exec_read finish(struct kube_exec *exec, struct buf *out, struct buf *errors)
{
    enum kube_exec_read got;

    while ((got = drain(exec, out, errors)) == KUBE_EXEC_AGAIN)
        assert_ok(kube_exec_wait(&test_ctx, exec, NULL, 0, -1, &test_err));
    return got;
}

static void test_exec_stdin(void **state)
{
    CLEANUP_KUBE_EXEC struct kube_exec *exec = run("cat");
    CLEANUP_BUF struct buf out = BUF_INIT;
    CLEANUP_BUF struct buf errors = BUF_INIT;

    (void)state;
    assert_true(kube_exec_can_close_stdin(exec));
    assert_int_equal(kube_exec_write(exec, "hello ", 6, &test_err), 6);
    assert_int_equal(kube_exec_write(exec, "world", 5, &test_err), 5);
    assert_ok(kube_exec_close_stdin(exec, &test_err));
    assert_error((int)kube_exec_write(exec, "x", 1, &test_err), ERR_CONFLICT);
    assert_int_equal(finish(exec, &out, &errors), KUBE_EXEC_ENDED);
    assert_string_equal(out.data, "hello world");
    assert_string_equal(errors.data, "closed 0");
    assert_true(kube_exec_result(exec)->exited);
    assert_int_equal(kube_exec_result(exec)->exit_code, 0);
    assert_int_equal(drain(exec, &out, &errors), KUBE_EXEC_ENDED);
}

static void test_exec_old_protocol(void **state)
{
    CLEANUP_KUBE_EXEC struct kube_exec *exec = run("old");
    CLEANUP_BUF struct buf out = BUF_INIT;

    (void)state;
    assert_false(kube_exec_can_close_stdin(exec));
    assert_error(kube_exec_close_stdin(exec, &test_err), ERR_UNSUPPORTED);
    assert_int_equal(kube_exec_write(exec, "x", 1, &test_err), 1);
    assert_int_equal(finish(exec, &out, &out), KUBE_EXEC_ENDED);
    assert_string_equal(out.data, "x");
}

static void test_exec_ends(void **state)
{
    static const struct {
        const char *command;
        enum kube_exec_read end;
        bool exited;
        int exit_code;
        const char *message; /* of the result, or the error */
    } rows[] = {
        {"exit-0", KUBE_EXEC_ENDED, true, 0, ""},
        {"exit-7", KUBE_EXEC_ENDED, true, 7, ""},
        {"abrupt", KUBE_EXEC_ENDED, true, 0, ""},
        {"internal", KUBE_EXEC_ENDED, false, 0, "no such container"},
        {"lost", KUBE_EXEC_ERROR, false, 0, "ended the WebSocket without closing it"},
        {"silent", KUBE_EXEC_ERROR, false, 0, "without saying how the command did: sorry"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_KUBE_EXEC struct kube_exec *exec = run(rows[i].command);
        const struct kube_exec_result *result = kube_exec_result(exec);
        CLEANUP_BUF struct buf out = BUF_INIT;

        assert_int_equal(finish(exec, &out, &out), rows[i].end);
        if (rows[i].end == KUBE_EXEC_ERROR) {
            assert_int_equal(test_err.code, ERR_LOST);
            assert_message(rows[i].message);
            continue;
        }
        assert_int_equal(result->exited, rows[i].exited);
        assert_int_equal(result->exit_code, rows[i].exit_code);
        assert_string_equal(result->error.message, rows[i].message);
    }
}

static void test_exec_refused(void **state)
{
    const char *const denied[] = {"denied", NULL};
    const char *const foreign[] = {"foreign", NULL};
    struct kube_exec_options options = {.ns = "x", .pod = "p", .command = denied};
    struct kube_exec *exec = NULL;

    (void)state;
    assert_error(kube_exec_open(&test_ctx, cluster, &options, &exec, &test_err), ERR_DENIED);
    assert_string_equal(test_err.message, "pods \"p\" is forbidden: cannot exec");
    options.command = foreign;
    assert_error(kube_exec_open(&test_ctx, cluster, &options, &exec, &test_err), ERR_UNSUPPORTED);
    assert_message("by none of the protocols v5.channel.k8s.io and v4.channel.k8s.io");
}

static void test_exec_query(void **state)
{
    const char *const command[] = {"args", "a b", "&c=d", NULL};
    const struct kube_exec_options options = {.ns = "x",
                                              .pod = "p",
                                              .container = "main",
                                              .command = command,
                                              .no_stderr = true,
                                              .tty = true};
    CLEANUP_KUBE_EXEC struct kube_exec *exec = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT;

    (void)state;
    assert_ok(kube_exec_open(&test_ctx, cluster, &options, &exec, &test_err));
    assert_int_equal(finish(exec, &out, &out), KUBE_EXEC_ENDED);
    assert_string_equal(out.data, "{\"command\": [\"args\", \"a b\", \"&c=d\"], \"container\": "
                                  "[\"main\"], \"stdout\": [\"true\"], \"tty\": [\"true\"]}");
}

static void test_exec_status(void **state)
{
    struct kube_exec_result result = {0};

    (void)state;
    assert_error(kube_exec_parse_status("{}", 2, &result, &test_err), ERR_PROTOCOL);
    assert_error(kube_exec_parse_status("x", 1, &result, &test_err), ERR_PROTOCOL);
    assert_ok(kube_exec_parse_status("{\"status\":\"Failure\"}", 20, &result, &test_err));
    assert_false(result.exited);
    assert_string_equal(result.error.message, "the command could not be run");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_repeats, each_setup),
        cmocka_unit_test_setup(test_does_not_repeat, each_setup),
        cmocka_unit_test_setup(test_patches_repeat_by_kind, each_setup),
        cmocka_unit_test_setup(test_odd_answers, each_setup),
        cmocka_unit_test_setup(test_no_server, each_setup),
        cmocka_unit_test_setup(test_expired_page, each_setup),
        cmocka_unit_test_setup(test_refused_token, each_setup),
        cmocka_unit_test_setup(test_plugin, each_setup),
        cmocka_unit_test_setup(test_proxy, each_setup),
        cmocka_unit_test_setup(test_watch, each_setup),
        cmocka_unit_test_setup(test_watch_errors, each_setup),
        cmocka_unit_test_setup(test_exec_stdin, each_setup),
        cmocka_unit_test_setup(test_exec_old_protocol, each_setup),
        cmocka_unit_test_setup(test_exec_ends, each_setup),
        cmocka_unit_test_setup(test_exec_refused, each_setup),
        cmocka_unit_test_setup(test_exec_query, each_setup),
        cmocka_unit_test_setup(test_exec_status, each_setup),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
