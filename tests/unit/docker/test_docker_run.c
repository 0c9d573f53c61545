/* Steps in containers on a real daemon. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fs.h"
#include "fixture/docker.h"

static struct docker_fixture fixture;
static struct docker_fixture *const f = &fixture;

static int set_up(void **state)
{
    (void)state;
    docker_fixture_init(f);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    docker_fixture_release(f);
    return 0;
}

static void gives_code_and_both_streams(void **state)
{
    (void)state;
    docker_fixture_expect(f, "echo out; echo err >&2; exit 3", 3, "out\n", "err\n");
    docker_fixture_expect(f, "printf 'no newline'", 0, "no newline", "");
    docker_fixture_expect(f, "kill -9 $$", 137, "", "");
    assert_int_equal(f->record.reason, REASON_NONE);
    assert_string_equal(f->output.notes.data, "");
}

static void loses_no_output_of_fast_steps(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        char script[64], expected[64];

        snprintf(script, sizeof(script), "echo %d; echo %d >&2", i, i);
        snprintf(expected, sizeof(expected), "%d\n", i);
        docker_fixture_expect(f, script, 0, expected, expected);
    }
}

static void passes_binary_output(void **state)
{
    static const char expected[] = "a\0\xff\n\r\x1e"
                                   "b";

    (void)state;
    docker_fixture_shell(f, "printf 'a\\0\\377\\n\\r\\036b'");
    assert_int_equal(f->output.streams[OUTPUT_STDOUT].len, sizeof(expected) - 1);
    assert_memory_equal(f->output.streams[OUTPUT_STDOUT].data, expected, sizeof(expected) - 1);
}

static void passes_much_output(void **state)
{
    (void)state;
    docker_fixture_shell(f, "yes 0123456789 | head -c 33554432; echo end >&2");
    assert_int_equal(f->output.streams[OUTPUT_STDOUT].len, 33554432);
    assert_string_equal(f->output.streams[OUTPUT_STDERR].data, "end\n");
}

static void feeds_nothing_of_the_script_to_its_commands(void **state)
{
    (void)state;
    docker_fixture_expect(f, "cat\nread x\necho \"<$x>\"\nwc -c", 0, "<>\n0\n", "");
}

static void sees_and_changes_the_workspace(void **state)
{
    CLEANUP_FREE char *from = fs_join(f->workspace, "from");
    CLEANUP_FREE char *to = fs_join(f->workspace, "to");
    CLEANUP_BUF struct buf content = BUF_INIT;
    CLEANUP_BUF struct buf expected = BUF_INIT;

    (void)state;
    assert_int_equal(0, fs_write_file(from, "host\n", 5, 0644, NULL));
    buf_addf(&expected, "%s\nhost\n", f->workspace);
    docker_fixture_expect(f, "pwd; cat from; echo step > to", 0, expected.data, "");
    assert_int_equal(0, fs_read_file(to, 100, &content, NULL));
    assert_string_equal(content.data, "step\n");
}

static void makes_the_working_directory(void **state)
{
    (void)state;
    f->runnable.workdir = "/some/where/else";
    f->runnable.user = "nobody";
    docker_fixture_expect(f, "pwd; id -un", 0, "/some/where/else\nnobody\n", "");
}

static void overlays_the_environment_of_the_image(void **state)
{
    static const char *const files[] = {"bin/busybox", "/usr/bin/busybox", NULL};
    static const char *const changes[] = {"ENV FROM=image KEEP=kept PATH=/bin", NULL};
    const char *argv[] = {"busybox", "sh", "-c", "busybox echo $FROM $KEEP \"$LINES2\"", NULL};

    (void)state;
    docker_fixture_image(f, "runner-test-env", "1", files, changes);
    f->shape.source.image = "runner-test-env:1";
    strmap_set(&f->environment, "FROM", "step");
    strmap_set(&f->environment, "LINES2", "one\ntwo \xff");
    assert_int_equal(0, docker_fixture_run(f, &f->root, argv));
    assert_string_equal(f->output.streams[OUTPUT_STDOUT].data, "step kept one\ntwo \xff\n");
}

static void keeps_the_entrypoint_of_the_image(void **state)
{
    static const char *const files[] = {"bin/busybox", "/usr/bin/busybox", NULL};
    static const char *const changes[] = {"ENTRYPOINT [\"/bin/busybox\", \"echo\", \"entry:\"]",
                                          NULL};
    static const char *const none[] = {NULL};
    static const char *const other[] = {"/bin/busybox", NULL};
    const char *argv[] = {"busybox", "echo", "a", NULL};

    (void)state;
    docker_fixture_image(f, "runner-test-entry", "1", files, changes);
    f->shape.source.image = "runner-test-entry:1";
    assert_int_equal(0, docker_fixture_run(f, &f->root, argv));
    assert_string_equal(f->output.streams[OUTPUT_STDOUT].data, "entry: busybox echo a\n");
    f->shape.entrypoint = none;
    argv[0] = "/bin/busybox";
    assert_int_equal(0, docker_fixture_run(f, &f->root, argv));
    assert_string_equal(f->output.streams[OUTPUT_STDOUT].data, "a\n");
    f->shape.entrypoint = other;
    assert_int_equal(0, docker_fixture_run(f, &f->root, argv + 1));
    assert_string_equal(f->output.streams[OUTPUT_STDOUT].data, "a\n");
}

static void says_what_is_not_found(void **state)
{
    const char *argv[] = {"/pipeline/plugin/run", NULL};

    (void)state;
    assert_int_equal(0, docker_fixture_run(f, &f->root, argv));
    assert_int_equal(f->record.code, 127);
    assert_string_equal(f->record.detail, "runner: cannot run /pipeline/plugin/run: not found");
    f->runnable.not_found = "it is not a pipeline plugin (/pipeline/plugin/run not found)";
    assert_int_equal(0, docker_fixture_run(f, &f->root, argv));
    assert_int_equal(f->record.code, 127);
    assert_string_equal(f->record.detail, f->runnable.not_found);
    argv[0] = "/etc/passwd";
    assert_int_equal(0, docker_fixture_run(f, &f->root, argv));
    assert_int_equal(f->record.code, 126);
    assert_string_equal(f->record.detail, "runner: cannot run /etc/passwd: permission denied");
    docker_fixture_expect(f, "exit 127", 127, "", "");
    assert_string_equal(f->record.detail, "");
}

static void brings_files(void **state)
{
    static const char text[] = "#!/bin/sh\necho \"$1 $(cat ${0%/*}/data)\"";
    static const struct runnable_file files[] = {{"run", text, sizeof(text) - 1, true},
                                                 {"data", "data", 4, false}};
    const char *argv[] = {RUNNABLE_FILES "run", "arg", NULL};

    (void)state;
    f->runnable.files = files;
    f->runnable.file_count = 2;
    assert_int_equal(0, docker_fixture_run(f, &f->root, argv));
    assert_string_equal(f->output.streams[OUTPUT_STDERR].data, "");
    assert_string_equal(f->output.streams[OUTPUT_STDOUT].data, "arg data\n");
    f->shape.sandbox = true;
    f->runnable.user = "nobody";
    assert_int_equal(0, docker_fixture_run(f, &f->root, argv));
    assert_string_equal(f->output.streams[OUTPUT_STDOUT].data, "arg data\n");
}

/* Also where the image has no such directory, and for a user who could not make it. */
static void brings_placed_files(void **state)
{
    static const struct placed_file files[] = {{"/etc/placed", "one", 3},
                                               {"/deep/er/two", "two", 3}};

    (void)state;
    f->runnable.placed = files;
    f->runnable.placed_count = 2;
    f->runnable.user = "nobody";
    docker_fixture_expect(f, "cat /etc/placed /deep/er/two; ls -ld /etc | cut -c 1-10", 0,
                          "onetwodrwxr-xr-x\n", "");
    /* The next step of a shared container gets what is its own. */
    f->shape.shared = true;
    docker_fixture_expect(f, "cat /etc/placed", 0, "one", "");
    f->runnable.placed = files + 1;
    f->runnable.placed_count = 1;
    docker_fixture_expect(f, "cat /deep/er/two", 0, "two", "");
}

static void brings_placed_files_to_a_read_only_image(void **state)
{
    static const struct placed_file file = {"/etc/placed", "one", 3};

    (void)state;
    f->runnable.placed = &file;
    f->runnable.placed_count = 1;
    f->shape.security.read_only = true;
    f->runnable.user = "nobody";
    docker_fixture_expect(f, "cat /etc/placed; test -s /etc/passwd && echo; touch /x", 1, "one\n",
                          "touch: /x: Read-only file system\n");
}

static int refuse(const void *arg, const struct strmap *labels, struct strmap *environment,
                  struct output *output, struct err *err)
{
    (void)environment;
    assert_non_null(labels);
    assert_ptr_equal(arg, f);
    output->note(output, "remark");
    return err_set(err, ERR_INVALID, "no");
}

static int add_variable(const void *arg, const struct strmap *labels, struct strmap *environment,
                        struct output *output, struct err *err)
{
    (void)arg;
    (void)labels;
    (void)output;
    (void)err;
    strmap_set(environment, "ADDED", "by the check");
    return 0;
}

static void asks_whether_the_image_will_do(void **state)
{
    static const struct image_check refusing = {refuse, &fixture};
    static const struct image_check adding = {add_variable, NULL};
    const char *argv[] = {"echo", "ran", NULL};

    (void)state;
    f->shape.check = &adding;
    docker_fixture_expect(f, "echo $ADDED", 0, "by the check\n", "");
    f->shape.check = &refusing;
    assert_int_equal(-1, docker_fixture_run(f, &f->root, argv));
    assert_string_equal(f->err.message, "no");
    assert_string_equal(f->output.streams[OUTPUT_STDOUT].data, "");
}

static void brings_files_to_a_read_only_image(void **state)
{
    static const char text[] = "echo $0";
    static const struct runnable_file files[] = {{"script", text, sizeof(text) - 1, false}};
    const char *argv[] = {"sh", RUNNABLE_FILES "script", NULL};

    (void)state;
    f->runnable.files = files;
    f->runnable.file_count = 1;
    f->shape.security.read_only = true;
    assert_int_equal(0, docker_fixture_run(f, &f->root, argv));
    assert_non_null(strstr(f->output.streams[OUTPUT_STDOUT].data, "/dev/shm/.runner-"));
    docker_fixture_expect(f, "touch /x", 1, "", "touch: /x: Read-only file system\n");
}

static void ask_for_files(void)
{
    f->runnable.returns = returned_files;
    f->runnable.return_count = 2;
}

static void expect_returned(const char *script, int code, const char *returned)
{
    docker_fixture_expect(f, script, code, NULL, "");
    assert_string_equal(f->output.returned.data, returned);
}

static void gives_files_back(void **state)
{
    (void)state;
    ask_for_files();
    for (int shared = 0; shared < 2; shared++) {
        f->shape.shared = shared;
        docker_fixture_expect(f, "test -f $ONE && test ! -s $ONE && echo end", 0, "end\n", "");
        assert_string_equal(f->output.returned.data, "ONE=whole:\nTWO=whole:\n");
        docker_fixture_expect(f, "echo a >>$ONE; printf '\\036'; exit 3", 3, "\x1e", "");
        assert_string_equal(f->output.returned.data, "ONE=whole:a\n\nTWO=whole:\n");
        expect_returned("echo x >$TWO; kill -9 $$", 137, "ONE=whole:\nTWO=whole:x\n\n");
        expect_returned("(setsid sh -c 'sleep 0.1; echo late >$ONE' &) ; sleep 0.3", 0,
                        "ONE=whole:late\n\nTWO=whole:\n");
        expect_returned("printf 12345678 >$ONE; head -c 50000000 /dev/zero | tr '\\0' x >$TWO", 0,
                        "ONE=whole:12345678\nTWO=truncated:xxxxxxxx\n");
        expect_returned("rm $ONE $TWO; ln -s /etc/passwd $ONE", 0, "ONE=unreadable:\nTWO=whole:\n");
    }
}

static void gives_files_back_of_any_container(void **state)
{
    static const char *const files[] = {"bin/busybox", "/usr/bin/busybox", NULL};
    static const char *const changes[] = {"USER 4321", NULL};
    const char *argv[] = {"/bin/busybox", "sh", "-c", "id -u >$ONE", NULL};

    (void)state;
    ask_for_files();
    f->runnable.user = "nobody";
    f->shape.security.read_only = true;
    expect_returned("id -un >$ONE", 0, "ONE=whole:nobody\n\nTWO=whole:\n");
    f->shape.security.read_only = false;
    f->shape.sandbox = true;
    expect_returned("id -un >$ONE", 0, "ONE=whole:nobody\n\nTWO=whole:\n");
    f->shape.sandbox = false;
    f->runnable.user = NULL;
    docker_fixture_image(f, "runner-test-returns", "1", files, changes);
    f->shape.source.image = "runner-test-returns:1";
    argv[3] = "/bin/busybox id -u >$ONE";
    assert_int_equal(0, docker_fixture_run(f, &f->root, argv));
    assert_string_equal(f->output.returned.data, "ONE=whole:4321\n\nTWO=whole:\n");
}

static void shuts_in_a_sandbox(void **state)
{
    (void)state;
    f->shape.sandbox = true;
    docker_fixture_expect(f,
                          "touch /x; touch /tmp/x && echo tmp; grep -E 'CapEff|NoNewPrivs' "
                          "/proc/self/status | tr -d '\\t'; ls /sys/class/net; touch here",
                          0, "tmp\nCapEff:0000000000000000\nNoNewPrivs:1\nlo\n",
                          "touch: /x: Read-only file system\n");
    f->shape.privileged = true;
    assert_int_equal(-1, docker_fixture_run(f, &f->root, (const char *[]){"true", NULL}));
    assert_string_equal(f->err.message, "`privileged` and `sandbox` exclude each other");
}

static void shares_localhost_within_the_job(void **state)
{
    (void)state;
    docker_fixture_expect(f, "hostname; ls /sys/class/net | tr '\\n' ' '", 0, NULL, "");
    assert_non_null(strstr(f->output.streams[OUTPUT_STDOUT].data, "eth0 lo "));
    f->shape.network = "none";
    docker_fixture_expect(f, "ls /sys/class/net", 0, "lo\n", "");
}

static void limits_resources(void **state)
{
    struct spec_resources resources;

    (void)state;
    spec_resources_init(&resources);
    resources.memory_bytes = 32 << 20;
    resources.pids = 20;
    f->shape.resources = &resources;
    docker_fixture_expect(f, "echo fine", 0, "fine\n", "");
    docker_fixture_shell(f, "head -c 100000000 /dev/zero | tail | wc -c >/dev/null; exit 137");
    assert_int_equal(f->record.code, 137);
    assert_int_equal(f->record.reason, REASON_OOM);
    assert_string_equal(f->record.detail, "killed: out of memory (limit 32 MiB)");
    docker_fixture_shell(f, "kill -9 $$");
    assert_int_equal(f->record.reason, REASON_NONE);
}

static void reports_what_cannot_start(void **state)
{
    struct mount_spec mount = {.source = (char *)"/no/such/directory", .target = (char *)"/data"};
    const char *argv[] = {"true", NULL};

    (void)state;
    f->runnable.user = "nobody-of-that-name";
    assert_int_equal(-1, docker_fixture_run(f, &f->root, argv));
    assert_non_null(strstr(f->err.message, "unable to find user nobody-of-that-name"));
    f->runnable.user = NULL;
    f->shape.mounts = &mount;
    f->shape.mount_count = 1;
    assert_int_equal(-1, docker_fixture_run(f, &f->root, argv));
    assert_non_null(strstr(f->err.message, "bind source path does not exist: /no/such/directory"));
    assert_false(fs_exists("/no/such"));
    f->shape.mount_count = 0;
    f->shape.source.image = "runner-test-no-such-image:1";
    f->shape.source.pull = (const enum spec_pull[]){SPEC_PULL_NEVER};
    f->shape.source.pull_count = 1;
    assert_int_equal(-1, docker_fixture_run(f, &f->root, argv));
    assert_int_equal(f->err.code, ERR_IMAGE_PULL);
    assert_string_equal(f->err.message, "image runner-test-no-such-image:1 is not on the Docker "
                                        "host, and `pull: never` forbids to pull it");
}

static void cancel_after(struct collector *collector)
{
    ctx_cancel(collector->arg, CTX_CAUSE_USER);
}

enum { FOR_EVER_MS = 3600000 }; /* nobody waits so long for a test */

/* Runs until the script prints "up", and cancels. */
static void cancelled(const char *script, int64_t grace_ms)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    struct ctx ctx;

    f->runnable.grace_ms = grace_ms;
    assert_int_equal(0, ctx_init_cancel(&ctx, &f->root, &f->err));
    snprintf(f->id, sizeof(f->id), "%s.0.0.%u", own_run_id(f->run), f->steps++);
    f->runnable.id = f->id;
    f->runnable.argv = argv;
    collector_release(&f->output);
    collector_init(&f->output);
    f->output.trigger = "up";
    f->output.on_trigger = cancel_after;
    f->output.arg = &ctx;
    assert_int_equal(-1, docker_engine.run(&ctx, f->place, &f->runnable, &f->output.output,
                                           &f->record, &f->err));
    assert_int_equal(f->err.code, ERR_CANCELLED);
    ctx_release(&ctx);
}

static void ends_the_tree_on_cancel(void **state)
{
    (void)state;
    docker_fixture_expect(f, "true", 0, "", "");
    cancelled("trap 'echo bye; exit' TERM\n"
              "setsid sh -c 'trap \"echo inner; exit\" TERM; while :; do sleep 0.1; "
              "done' &\necho up; while :; do sleep 0.1; done",
              FOR_EVER_MS);
    assert_non_null(strstr(f->output.streams[OUTPUT_STDOUT].data, "bye\n"));
    cancelled("trap '' TERM; echo up; while :; do sleep 0.1; done", 500);
}

static void ends_with_the_deadline(void **state)
{
    const char *argv[] = {"sleep", "60", NULL};
    struct ctx ctx;

    (void)state;
    ctx_init(&ctx, &f->root);
    ctx_set_timeout(&ctx, 2000, "step \"x\"");
    assert_int_equal(-1, docker_fixture_run(f, &ctx, argv));
    assert_int_equal(f->err.code, ERR_TIMEOUT);
    assert_string_equal(f->err.message, "step \"x\" timeout after 2 seconds");
    ctx_release(&ctx);
}

static void gives_files_back_when_ended(void **state)
{
    (void)state;
    ask_for_files();
    for (int shared = 0; shared < 2; shared++) {
        f->shape.shared = shared;
        cancelled(
            "trap 'echo x >$TWO; exit' TERM\necho 1 >$ONE; echo up; while :; do sleep 0.1; done",
            30000);
        assert_string_equal(f->output.returned.data, "ONE=whole:1\n\nTWO=whole:x\n\n");
        cancelled("trap '' TERM; echo 2 >$ONE; echo up; while :; do sleep 0.1; done", 300);
        assert_string_equal(f->output.returned.data, "ONE=whole:2\n\nTWO=whole:\n");
    }
}

static void does_not_wait_for_daemons_of_the_step(void **state)
{
    (void)state;
    docker_fixture_expect(f,
                          "setsid sleep 1000 & (setsid sleep 1001 &); exec >&-; sleep 0.1; exit 4",
                          4, "", "");
}

static void runs_what_was_prepared(void **state)
{
    struct runnable second;
    char id[64];

    (void)state;
    snprintf(id, sizeof(id), "%s.0.0.1", own_run_id(f->run));
    second = f->runnable;
    second.id = id;
    second.argv = (const char *[]){"true", NULL};
    docker_engine.prepare(f->place, &second);
    docker_fixture_expect(f, "echo first", 0, "first\n", "");
    strmap_set(&f->environment, "LATE", "yes");
    docker_fixture_expect(f, "echo $LATE", 0, "yes\n", "");
    /* Prepared for one shape, run with another. */
    snprintf(id, sizeof(id), "%s.0.0.2", own_run_id(f->run));
    docker_engine.prepare(f->place, &second);
    f->runnable.user = "nobody";
    docker_fixture_expect(f, "id -un", 0, "nobody\n", "");
}

static void removes_what_was_prepared_and_never_run(void **state)
{
    static struct runnable next[3];
    static char ids[3][64];

    (void)state;
    for (int i = 0; i < 3; i++) {
        next[i] = f->runnable;
        snprintf(ids[i], sizeof(ids[i]), "%s.0.0.%d", own_run_id(f->run), 100 + i);
        next[i].id = ids[i];
        next[i].argv = (const char *[]){"true", NULL};
        docker_engine.prepare(f->place, &next[i]);
    }
    docker_fixture_expect(f, "true", 0, "", "");
    /* docker_fixture_release() counts. */
}

static void shares_the_container_that_is_there_when_preparing(void **state)
{
    struct runnable second;
    char id[64];

    (void)state;
    f->shape.shared = true;
    snprintf(id, sizeof(id), "%s.0.0.1", own_run_id(f->run));
    second = f->runnable;
    second.id = id;
    second.argv = (const char *[]){"true", NULL};
    docker_engine.prepare(f->place, &second);
    docker_fixture_expect(f, "echo state > /state; sleep 0.5", 0, "", "");
    docker_fixture_expect(f, "cat /state", 0, "state\n", "");
    assert_int_equal(docker_fixture_containers(f), 2);
}

static void shares_a_container(void **state)
{
    (void)state;
    f->shape.shared = true;
    docker_fixture_expect(f, "echo one > /state; echo out; echo err >&2; exit 3", 3, "out\n",
                          "err\n");
    docker_fixture_expect(f, "cat /state; printf end", 0, "one\nend", "");
    docker_fixture_expect(f, "setsid sleep 60 & (setsid sleep 61 &) ; exit 5", 5, "", "");
    docker_fixture_expect(f, "ps | grep -c '[s]leep'; cat; exit 0", 0, "0\n", "");
    cancelled("trap '' TERM; echo up; while :; do sleep 0.1; done", 300);
    docker_fixture_expect(f, "cat /state", 0, "one\n", "");
    assert_int_equal(docker_fixture_containers(f), 2);
    f->runnable.workdir = "/other";
    docker_fixture_expect(f, "cat /state; pwd", 0, "one\n/other\n", "");
    f->runnable.user = "nobody";
    f->runnable.workdir = NULL;
    docker_fixture_expect(f, "cat /state; id -un", 0, "nobody\n", NULL);
    docker_fixture_shell(f, "kill -9 1; kill -9 $PPID; echo still; exit 137");
    docker_fixture_shell(f, "yes | head -c 10000000");
    assert_int_equal(f->output.streams[OUTPUT_STDOUT].len, 10000000);
}

static void names_memory_as_the_cause_in_a_shared_container(void **state)
{
    struct spec_resources resources;

    (void)state;
    spec_resources_init(&resources);
    resources.memory_bytes = 32 << 20;
    f->shape.resources = &resources;
    f->shape.shared = true;
    docker_fixture_shell(f, "head -c 100000000 /dev/zero | tail | wc -c >/dev/null; exit 137");
    assert_int_equal(f->record.reason, REASON_OOM);
    docker_fixture_expect(f, "exit 1", 1, "", "");
    assert_int_equal(f->record.reason, REASON_NONE);
}

static void needs_an_image(void **state)
{
    const char *argv[] = {"true", NULL};

    (void)state;
    f->runnable.container = NULL;
    assert_int_equal(-1, docker_fixture_run(f, &f->root, argv));
    assert_string_equal(f->err.message, "engine docker needs an `image`");
}

static void tells_what_it_talks_to(void **state)
{
    CLEANUP_BUF struct buf report = BUF_INIT;

    (void)state;
    assert_int_equal(0, docker_engine.probe(&f->root, f->instance, &report, &f->err));
    assert_non_null(strstr(report.data, " (API 1."));
    assert_non_null(strstr(report.data, getenv("RUNNER_TEST_DOCKER")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_code_and_both_streams),
        TEST(loses_no_output_of_fast_steps),
        TEST(passes_binary_output),
        TEST(passes_much_output),
        TEST(feeds_nothing_of_the_script_to_its_commands),
        TEST(sees_and_changes_the_workspace),
        TEST(makes_the_working_directory),
        TEST(overlays_the_environment_of_the_image),
        TEST(keeps_the_entrypoint_of_the_image),
        TEST(says_what_is_not_found),
        TEST(brings_files),
        TEST(brings_placed_files),
        TEST(brings_placed_files_to_a_read_only_image),
        TEST(asks_whether_the_image_will_do),
        TEST(brings_files_to_a_read_only_image),
        TEST(gives_files_back),
        TEST(gives_files_back_of_any_container),
        TEST(gives_files_back_when_ended),
        TEST(shuts_in_a_sandbox),
        TEST(shares_localhost_within_the_job),
        TEST(limits_resources),
        TEST(reports_what_cannot_start),
        TEST(ends_the_tree_on_cancel),
        TEST(ends_with_the_deadline),
        TEST(does_not_wait_for_daemons_of_the_step),
        TEST(runs_what_was_prepared),
        TEST(removes_what_was_prepared_and_never_run),
        TEST(shares_a_container),
        TEST(shares_the_container_that_is_there_when_preparing),
        TEST(names_memory_as_the_cause_in_a_shared_container),
        TEST(needs_an_image),
        TEST(tells_what_it_talks_to),
    };

    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
