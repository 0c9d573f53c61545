/* A request: what is run, as what, and how it ends. */
#include "tests/unit/helper/helper_test.h"

static void exec_overlays_the_environment(void **state)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    CLEANUP_STRMAP struct strmap env = {0};
    struct child child = start("exec");

    (void)state;
    strmap_set(&env, "OLD", "new");
    strmap_set(&env, "MORE", "a=b\nc");
    begin_script(&request, "echo \"$KEEP $OLD $MORE\"");
    helper_request_env(&request, &env);
    ask(&child, &request);
    assert_int_equal(finish(&child, &output), 0);
    assert_string_equal(output.data, "kept new a=b\nc\n");
}

static void exec_can_drop_the_environment(void **state)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    struct child child = start("exec");

    (void)state;
    helper_request_begin(&request);
    helper_request_string(&request, HELPER_CLEAR_ENV, "");
    helper_request_string(&request, HELPER_ENV, "ONLY=1");
    helper_request_string(&request, HELPER_ARG, "env");
    ask(&child, &request);
    assert_int_equal(finish(&child, &output), 0);
    assert_string_equal(output.data, "ONLY=1\n");
}

static void exec_gives_empty_stdin(void **state)
{
    CLEANUP_BUF struct buf output = BUF_INIT;

    (void)state;
    assert_int_equal(run_script("exec", "cat; echo one; read x; echo two; exit 7", &output), 7);
    assert_string_equal(output.data, "one\ntwo\n");
}

static void exec_makes_and_enters_the_directory(void **state)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    struct child child = start("exec");
    char *top = xasprintf("%s.d", program);
    char *cwd = fs_join(top, "a b/c");

    (void)state;
    begin_script(&request, "pwd");
    helper_request_string(&request, HELPER_CWD, cwd);
    ask(&child, &request);
    assert_int_equal(finish(&child, &output), 0);
    output.data[output.len - 1] = '\0';
    assert_string_equal(output.data, cwd);
    assert_int_equal(fs_remove_tree(top, NULL), 0);
    free(cwd);
    free(top);
}

static void exec_writes_files(void **state)
{
    static const char script[] = "#!/bin/sh\necho \"$0\"; cat \"${0%/*}/data\"";
    CLEANUP_BUF struct buf request = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    CLEANUP_BUF struct buf expected = BUF_INIT;
    struct child child = start("exec");

    (void)state;
    helper_request_begin(&request);
    helper_request_string(&request, HELPER_DIRECTORY, directory);
    helper_request_file(&request, "script", script, sizeof(script) - 1, true);
    helper_request_file(&request, "data", "a\0b", 3, false);
    helper_request_string(&request, HELPER_ARG, HELPER_FILES_MARK "script");
    ask(&child, &request);
    assert_int_equal(finish(&child, &output), 0);
    buf_addf(&expected, "/tmp/%s/script\n", directory);
    buf_add(&expected, "a\0b", 3);
    assert_int_equal(output.len, expected.len);
    assert_memory_equal(output.data, expected.data, expected.len);
    /* /tmp may be a volume, or the host's. */
    assert_false(directory_exists("/tmp"));
}

static void exec_says_why_it_cannot_run(void **state)
{
    static const struct {
        const char *name;
        int code;
        const char *message;
    } cases[] = {
        {"no-such-program", 127, "runner: cannot run no-such-program: not found\n"},
        {"/no/such", 127, "runner: cannot run /no/such: not found\n"},
        {"/etc/passwd/x", 127, "runner: cannot run /etc/passwd/x: not a directory\n"},
        {"/etc/passwd", 126, "runner: cannot run /etc/passwd: permission denied\n"},
        {"/etc", 126, "runner: cannot run /etc: permission denied\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_BUF struct buf output = BUF_INIT;

        assert_int_equal(run_program(cases[i].name, &output), cases[i].code);
        assert_string_equal(output.data, cases[i].message);
    }
}

/* An executable file of those bytes. */
static void write_program(char *path, const void *data, size_t size)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, data, size, NULL), 0);
    assert_int_equal(fchmod(fd, 0755), 0);
    close(fd);
}

static void exec_says_for_what_machine_a_program_is(void **state)
{
    static const struct {
        unsigned char bytes[2]; /* of the machine */
        bool big_endian;
        const char *text;
    } cases[] = {
        {{0x16, 0}, false, "it is for s390x"},
        {{0, 0x16}, true, "it is for s390x"},
        {{0xf3, 0}, false, "it is for riscv64"},
        {{0x99, 0x99}, false, "it is for another architecture"},
    };
    static const char script[] = "echo no line with an interpreter\n";
    char path[] = "/tmp/test-machine-XXXXXX";
    CLEANUP_BUF struct buf said = BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        unsigned char head[64] = {0x7f, 'E', 'L', 'F', 2, cases[i].big_endian ? 2 : 1, 1};
        char foreign[] = "/tmp/test-machine-XXXXXX";
        CLEANUP_BUF struct buf output = BUF_INIT;
        CLEANUP_FREE char *expected = NULL;

        memcpy(head + 18, cases[i].bytes, 2);
        write_program(foreign, head, sizeof(head));
        expected = xasprintf("runner: cannot run %s: not an executable for this machine: %s, and "
                             "this machine is %s\n",
                             foreign, cases[i].text, helper_architecture());
        assert_int_equal(run_program(foreign, &output), 126);
        assert_string_equal(output.data, expected);
        unlink(foreign);
    }
    write_program(path, script, sizeof(script) - 1);
    assert_int_equal(run_program(path, &said), 126);
    assert_non_null(strstr(said.data, "not an executable for this machine (a script"));
    unlink(path);
}

static void exec_says_what_is_too_large(void **state)
{
    static const struct {
        char record;
        const char *text; /* what comes before the rest */
        const char *message;
    } cases[] = {
        {HELPER_ENV, "LARGE=",
         "runner: cannot run /bin/sh: argument list too long: the variable LARGE has the most "
         "bytes\n"},
        {HELPER_ARG, "",
         "runner: cannot run /bin/sh: argument list too long: an argument has the most bytes\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_BUF struct buf request = BUF_INIT;
        CLEANUP_BUF struct buf output = BUF_INIT;
        CLEANUP_BUF struct buf text = BUF_INIT;
        struct child child = start("exec");

        buf_addstr(&text, cases[i].text);
        for (int n = 0; n < 200000; n++)
            buf_addch(&text, 'x');
        helper_request_begin(&request);
        helper_request_string(&request, HELPER_ARG, "/bin/sh");
        helper_request_string(&request, HELPER_ENV, "SMALL=1");
        helper_request_string(&request, cases[i].record, text.data);
        ask(&child, &request);
        assert_int_equal(finish(&child, &output), HELPER_EXIT_CANNOT);
        assert_string_equal(output.data, cases[i].message);
    }
}

static void exec_says_what_it_was_told_to(void **state)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    struct child child = start("exec");

    (void)state;
    helper_request_begin(&request);
    helper_request_string(&request, HELPER_NOT_FOUND, "this is no plugin");
    helper_request_string(&request, HELPER_ARG, "/pipeline/plugin/run");
    ask(&child, &request);
    assert_int_equal(finish(&child, &output), HELPER_EXIT_NOT_FOUND);
    assert_string_equal(output.data, "this is no plugin\n");
}

static void exec_without_request_is_quiet(void **state)
{
    CLEANUP_BUF struct buf output = BUF_INIT;
    struct child child = start("exec");

    (void)state;
    close(child.in);
    child.in = -1;
    assert_int_equal(finish(&child, &output), HELPER_EXIT_UNUSED);
    assert_string_equal(output.data, "");
}

static void exec_refuses_what_is_not_a_request(void **state)
{
    static const char *const inputs[] = {
        "RNQ1",
        "echo this is a script; exit 0\n",
        "RNQ1\xff\xff\xff\xff",
        "RNS1",
        "RNQ1\x05\x01\x01\x01"
        "A\xff\x01\x01\x01",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(*inputs); i++) {
        CLEANUP_BUF struct buf output = BUF_INIT;
        struct child child = start("exec");

        assert_int_equal(fs_write_all(child.in, inputs[i], strlen(inputs[i]), NULL), 0);
        close(child.in);
        child.in = -1;
        assert_int_equal(finish(&child, &output), HELPER_EXIT_CANNOT);
        assert_string_equal(output.data, "runner: cannot understand the request of the runner\n");
    }
}

static void exec_gives_the_exit_code(void **state)
{
    CLEANUP_BUF struct buf output = BUF_INIT;

    (void)state;
    assert_int_equal(run_script("exec", "cat; echo out; exit 3", &output), 3);
    assert_string_equal(output.data, "out\n");
    assert_int_equal(run_script("exec", "kill -9 $$", &output), 137);
}

static void exec_leaves_nothing_behind(void **state)
{
    CLEANUP_BUF struct buf output = BUF_INIT;
    char *pid;

    (void)state;
    /* finish() reads to the end of the output, which the sleepers would hold open. */
    assert_int_equal(run_script("exec",
                                "setsid sleep 1000 & (setsid sh -c 'echo $$; sleep 1001' &); "
                                "sleep 0.2; exit 5",
                                &output),
                     5);
    pid = xasprintf("/proc/%s", output.data);
    pid[strlen(pid) - 1] = '\0';
    assert_false(fs_exists(pid));
    free(pid);
}

static void exec_passes_signals_to_the_whole_tree(void **state)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    struct child child = start("exec");
    char ready[3] = "";

    (void)state;
    begin_script(&request, "trap 'echo outer; exit 4' TERM\n"
                           "setsid sh -c 'trap \"echo inner; exit\" TERM; echo up; "
                           "while :; do sleep 0.05; done' &\n"
                           "while :; do sleep 0.05; done");
    ask(&child, &request);
    assert_int_equal(read(child.out, ready, 3), 3);
    send_signal(&child, SIGTERM);
    assert_int_equal(finish(&child, &output), 4);
    assert_non_null(strstr(output.data, "outer\n"));
}

static void exec_kills_when_the_runner_is_gone(void **state)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    struct child child = start("exec");
    char ready[3] = "";

    (void)state;
    begin_script(&request, "trap '' TERM; echo up; while :; do sleep 60; done");
    ask(&child, &request);
    assert_int_equal(read(child.out, ready, 3), 3);
    close(child.in);
    child.in = -1;
    assert_int_equal(finish(&child, &output), 137);
}

static void exec_forwards_its_own_signals(void **state)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    struct child child = start("exec");
    char ready[3] = "";

    (void)state;
    begin_script(&request, "trap 'echo got it; exit 4' TERM\necho up\n"
                           "while :; do sleep 0.05; done");
    ask(&child, &request);
    assert_int_equal(read(child.out, ready, 3), 3);
    assert_int_equal(kill(child.pid, SIGTERM), 0);
    assert_int_equal(finish(&child, &output), 4);
    assert_non_null(strstr(output.data, "got it\n"));
}

/* As `docker stop` and the shutdown of a machine do. */
static void what_is_stopped_from_outside_does_not_end_with_0(void **state)
{
    static const char *const commands[] = {"exec", "serve"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_BUF struct buf request = BUF_INIT;
        CLEANUP_BUF struct buf output = BUF_INIT;
        struct child child = start(commands[i]);
        char ready[3] = "";

        begin_script(&request, "trap 'exit 0' TERM\necho up\nwhile :; do sleep 0.05; done");
        helper_request_string(&request, HELPER_MARK, "[mark]");
        ask(&child, &request);
        assert_int_equal(read(child.out, ready, 3), 3);
        assert_int_equal(kill(child.pid, SIGTERM), 0);
        assert_int_equal(finish(&child, &output), i == 0 ? 128 + SIGTERM : 0);
        assert_null(strstr(output.data, "[mark] 000"));
        assert_non_null(strstr(output.data, "[mark] 143\n"));
    }
}

static void hold_ends_with_its_input_or_at_sigterm(void **state)
{
    CLEANUP_BUF struct buf output = BUF_INIT;
    struct child child = start("hold");

    (void)state;
    assert_int_equal(write(child.in, "ignored", 7), 7);
    close(child.in);
    child.in = -1;
    assert_int_equal(finish(&child, &output), 0);
    child = start("hold");
    /* Whether it blocks the signal already or not, it ends by it. */
    assert_int_equal(kill(child.pid, SIGTERM), 0);
    assert_true(finish(&child, &output) <= 0);
    assert_string_equal(output.data, "");
}

static void oversized_requests_are_refused(void **state)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    struct err err = ERR_INIT;
    char *big = xcalloc(1, HELPER_REQUEST_MAX);

    (void)state;
    helper_request_begin(&request);
    helper_request_file(&request, "big", big, HELPER_REQUEST_MAX, false);
    assert_int_equal(helper_request_end(&request, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message,
                        "environment and files of a step are limited to 64 MiB in a container");
    free(big);
}

static void there_is_one_for_each_architecture(void **state)
{
    static const struct {
        const char *architecture;
        char machine; /* EM_X86_64, EM_AARCH64 */
    } cases[] = {{"amd64", 62}, {"arm64", (char)183}};
    struct helper_program helper;
    char hashes[2][HELPER_HASH_SIZE] = {"", ""};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        /* Without a compiler for it there is none. */
        if (helper_program_find(cases[i].architecture, &helper) < 0) {
            assert_string_not_equal(cases[i].architecture, helper_architecture());
            continue;
        }
        helper_program_hash(&helper, hashes[i]);
        assert_int_equal(strlen(hashes[i]), 16);
        assert_int_equal(strspn(hashes[i], "0123456789abcdef"), 16);
        assert_memory_equal(helper.data, "\177ELF\2\1", 6);
        assert_int_equal((char)helper.data[18], cases[i].machine);
        assert_true(helper.size <= 64 * 1024);
    }
    assert_string_not_equal(hashes[0], hashes[1]);
    assert_int_equal(helper_program_find("sparc", &helper), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exec_overlays_the_environment),
        cmocka_unit_test(exec_can_drop_the_environment),
        cmocka_unit_test(exec_gives_empty_stdin),
        cmocka_unit_test(exec_makes_and_enters_the_directory),
        cmocka_unit_test(exec_writes_files),
        cmocka_unit_test(exec_says_why_it_cannot_run),
        cmocka_unit_test(exec_says_for_what_machine_a_program_is),
        cmocka_unit_test(exec_says_what_is_too_large),
        cmocka_unit_test(exec_says_what_it_was_told_to),
        cmocka_unit_test(exec_forwards_its_own_signals),
        cmocka_unit_test(what_is_stopped_from_outside_does_not_end_with_0),
        cmocka_unit_test(exec_without_request_is_quiet),
        cmocka_unit_test(exec_refuses_what_is_not_a_request),
        cmocka_unit_test(exec_gives_the_exit_code),
        cmocka_unit_test(exec_leaves_nothing_behind),
        cmocka_unit_test(exec_passes_signals_to_the_whole_tree),
        cmocka_unit_test(exec_kills_when_the_runner_is_gone),
        cmocka_unit_test(hold_ends_with_its_input_or_at_sigterm),
        cmocka_unit_test(oversized_requests_are_refused),
        cmocka_unit_test(there_is_one_for_each_architecture),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
