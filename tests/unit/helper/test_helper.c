/* The helper on this host, started as the runner starts it in containers: by its bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "helper/helper.h"

static char program[] = "/tmp/test-helper-XXXXXX";

static int set_up(void **state)
{
    int fd = mkstemp(program);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, helper_program, helper_program_size(), NULL), 0);
    assert_int_equal(fchmod(fd, 0755), 0);
    close(fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(program);
}

/* A running helper. */
struct child {
    pid_t pid;
    int in;
    int out;
};

static uid_t start_user;

static struct child start(const char *command)
{
    char *const argv[] = {program, (char *)command, NULL};
    char *const env[] = {"PATH=/usr/bin:/bin", "KEEP=kept", "OLD=old", NULL};
    struct child child;
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    child.pid = fork();
    if (child.pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(out[1], 2);
        if (start_user && setresuid(start_user, start_user, start_user) < 0)
            _exit(98);
        execve(program, argv, env);
        _exit(99);
    }
    close(in[0]);
    close(out[1]);
    child.in = in[1];
    child.out = out[0];
    return child;
}

/* Exit code, or minus the signal; what it printed goes to `output`. Keeps child.in open. */
static int finish(struct child *child, struct buf *output)
{
    int status;

    assert_int_equal(fs_read_fd(child->out, "output", 1 << 20, output, NULL), 0);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    close(child->out);
    if (child->in >= 0)
        close(child->in);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void ask(struct child *child, struct buf *request)
{
    assert_int_equal(helper_request_end(request, NULL), 0);
    assert_int_equal(fs_write_all(child->in, request->data, request->len, NULL), 0);
}

static void send_signal(struct child *child, int signal)
{
    char message[HELPER_HEADER_SIZE];

    helper_signal(message, signal);
    assert_int_equal(fs_write_all(child->in, message, sizeof(message), NULL), 0);
}

static void begin_script(struct buf *request, const char *script)
{
    helper_request_begin(request);
    helper_request_string(request, HELPER_ARG, "sh");
    helper_request_string(request, HELPER_ARG, "-c");
    helper_request_string(request, HELPER_ARG, script);
}

static int run_script(const char *command, const char *script, struct buf *output)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    struct child child = start(command);

    begin_script(&request, script);
    ask(&child, &request);
    return finish(&child, output);
}

static int run_program(const char *name, struct buf *output)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    struct child child = start("exec");

    helper_request_begin(&request);
    helper_request_string(&request, HELPER_ARG, name);
    ask(&child, &request);
    return finish(&child, output);
}

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
    helper_request_string(&request, HELPER_DIRECTORY, ".runner-test-helper");
    helper_request_file(&request, "script", script, sizeof(script) - 1, true);
    helper_request_file(&request, "data", "a\0b", 3, false);
    helper_request_string(&request, HELPER_ARG, HELPER_FILES_MARK "script");
    ask(&child, &request);
    assert_int_equal(finish(&child, &output), 0);
    buf_addstr(&expected, "/tmp/.runner-test-helper/script\n");
    buf_add(&expected, "a\0b", 3);
    assert_int_equal(output.len, expected.len);
    assert_memory_equal(output.data, expected.data, expected.len);
    /* /tmp may be a volume, or the host's. */
    assert_false(fs_exists("/tmp/.runner-test-helper"));
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
    int64_t begun = clock_monotonic_ms();
    char *pid;

    (void)state;
    /* finish() reads to the end of the output, which the sleepers would hold open. */
    assert_int_equal(run_script("exec",
                                "setsid sleep 60 & (setsid sh -c 'echo $$; sleep 61' &); "
                                "sleep 0.2; exit 5",
                                &output),
                     5);
    assert_true(clock_monotonic_ms() - begun < 5000);
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

/* Both pipes of a real run are one here: the end of standard error follows that of standard output.
 */
#define ASSERT_OUTPUT(output, text)                                                                \
    do {                                                                                           \
        assert_int_equal((output).len, sizeof(text) - 1);                                          \
        assert_memory_equal((output).data, text, sizeof(text) - 1);                                \
    } while (0)

static void ask_for_files(struct child *child, const char *script, size_t max_bytes)
{
    CLEANUP_BUF struct buf request = BUF_INIT;

    begin_script(&request, script);
    helper_request_string(&request, HELPER_MARK, "[mark]");
    helper_request_string(&request, HELPER_DIRECTORY, ".runner-test-helper");
    helper_request_return(&request, "one", "ONE", max_bytes);
    helper_request_return(&request, "two", "TWO", max_bytes);
    ask(child, &request);
}

/* All that comes until the end of a program was told. */
static void read_to_the_end(struct child *child, struct buf *output)
{
    for (;;) {
        ssize_t n;

        buf_reserve(output, 65536);
        n = read(child->out, output->data + output->len, 65536);
        assert_true(n > 0);
        output->len += (size_t)n;
        output->data[output->len] = '\0';
        if (output->data[output->len - 1] == '\n' &&
            memmem(output->data, output->len, "[mark] ", 7))
            return;
    }
}

static void ask_and_read(const char *command, const char *script, size_t max_bytes,
                         struct buf *output)
{
    CLEANUP_BUF struct buf rest = BUF_INIT;
    struct child child = start(command);

    ask_for_files(&child, script, max_bytes);
    read_to_the_end(&child, output);
    /* By then the files have gone. */
    assert_false(fs_exists("/dev/shm/.runner-test-helper"));
    close(child.in);
    child.in = -1;
    finish(&child, &rest);
    assert_string_equal(rest.data, "");
}

static void sends_files_behind_the_output(void **state)
{
    static const char *const commands[] = {"exec", "serve"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_BUF struct buf output = BUF_INIT;

        ask_and_read(commands[i],
                     "test -f $ONE && test ! -s $ONE && echo $TWO\n"
                     "(setsid sh -c 'sleep 0.1; printf \"a\\\\0b\" >>$ONE; echo late' &)\n"
                     "sleep 0.3; exit 3",
                     100, &output);
        ASSERT_OUTPUT(output, "/dev/shm/.runner-test-helper/two\nlate\n"
                              "[mark]D\3\0\0\0a\0bEwEw 003\n[mark] 003\n");
    }
}

static void files_are_sent_up_to_their_limit(void **state)
{
    CLEANUP_BUF struct buf exact = BUF_INIT;
    CLEANUP_BUF struct buf beyond = BUF_INIT;
    CLEANUP_BUF struct buf large = BUF_INIT;

    (void)state;
    ask_and_read("exec", "printf 0123 >$ONE", 4, &exact);
    ASSERT_OUTPUT(exact, "[mark]D\4\0\0\0"
                         "0123EwEw 000\n[mark] 000\n");
    ask_and_read("exec", "printf 0123 >$ONE; printf 45678 >$TWO", 4, &beyond);
    ASSERT_OUTPUT(beyond, "[mark]D\4\0\0\0"
                          "0123EwD\4\0\0\0"
                          "4567Et 000\n[mark] 000\n");
    ask_and_read("exec", "head -c 3000000 /dev/zero >$TWO", 2000000, &large);
    assert_true(large.len > 2000000 && large.len < 2002000);
    assert_string_equal(large.data + large.len - 18, "Et 000\n[mark] 000\n");
}

static void files_that_are_none_any_more_are_told(void **state)
{
    CLEANUP_BUF struct buf removed = BUF_INIT;
    CLEANUP_BUF struct buf replaced = BUF_INIT;
    CLEANUP_BUF struct buf linked = BUF_INIT;
    CLEANUP_BUF struct buf killed = BUF_INIT;

    (void)state;
    ask_and_read("exec", "rm $ONE; mkfifo $ONE; rm $TWO", 4, &removed);
    ASSERT_OUTPUT(removed, "[mark]EwEw 000\n[mark] 000\n");
    ask_and_read("exec", "echo x >$ONE; echo y >$ONE.new; mv $ONE.new $ONE", 4, &replaced);
    ASSERT_OUTPUT(replaced, "[mark]D\2\0\0\0y\nEwEw 000\n[mark] 000\n");
    ask_and_read("exec",
                 "rm $ONE $TWO; ln -s /etc/passwd $ONE; mkdir $TWO; rmdir $TWO; rm $ONE;"
                 "ln -s /etc/passwd $ONE",
                 4, &linked);
    ASSERT_OUTPUT(linked, "[mark]EuEw 000\n[mark] 000\n");
    ask_and_read("exec", "echo x >$ONE; kill -9 $$", 4, &killed);
    ASSERT_OUTPUT(killed, "[mark]D\2\0\0\0x\nEwEw 137\n[mark] 137\n");
}

static void files_are_writable_for_whoever_the_program_becomes(void **state)
{
    CLEANUP_BUF struct buf output = BUF_INIT;

    (void)state;
    if (geteuid() != 0)
        skip();
    ask_and_read("exec", "umask 077; setpriv --reuid 65534 --clear-groups sh -c 'echo x >$ONE'", 4,
                 &output);
    ASSERT_OUTPUT(output, "[mark]D\2\0\0\0x\nEwEw 000\n[mark] 000\n");
}

/* A program of another user, which the helper has no right to kill. */
static void serve_ends_when_something_cannot_be_ended(void **state)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    char text[160];
    struct child child;
    const char *found;
    char *setter;
    int status;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    setter = xasprintf("%s.setpriv", program);
    snprintf(text, sizeof(text), "cp /usr/bin/setpriv %s && chmod 4755 %s", setter, setter);
    assert_int_equal(run_script("exec", text, &output), 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    start_user = 65534;
    child = start("serve");
    start_user = 0;
    snprintf(text, sizeof(text),
             "%s --reuid 0 --clear-groups sleep 60 </dev/null >/dev/null 2>&1 & echo pid=$!; "
             "sleep 0.2; exit 4",
             setter);
    begin_script(&request, text);
    helper_request_string(&request, HELPER_MARK, "[mark]");
    ask(&child, &request);
    /* It ends although its input is open. */
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    assert_true(WIFEXITED(status));
    buf_reset(&output);
    assert_int_equal(fs_read_fd(child.out, "output", 1 << 20, &output, NULL), 0);
    assert_non_null(strstr(output.data, "[mark] 004\n"));
    close(child.in);
    close(child.out);
    /* Instrumentation may have complained on the way to the other user. */
    found = strstr(output.data, "pid=");
    assert_non_null(found);
    pid = (pid_t)strtol(found + 4, NULL, 10);
    assert_true(pid > 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(unlink(setter), 0);
    free(setter);
}

/* Both pipes of a real run are one here, so that each mark comes twice. */
static void serve_marks_the_end_behind_all_output(void **state)
{
    CLEANUP_BUF struct buf output = BUF_INIT;
    struct child child = start("serve");
    static const char *const scripts[] = {"(setsid sh -c 'sleep 0.1; echo late' &)"
                                          "; sleep 0.3; echo one; exit 3",
                                          "echo two >&2; exit 127", "printf three; kill $$"};
    static const char *const expected[] = {
        "late\none\n[0] 003\n[0] 003\n",
        "two\n[1] 127\n[1] 127\n",
        "three[2] 143\n[2] 143\n",
    };

    (void)state;
    for (int i = 0; i < 3; i++) {
        CLEANUP_BUF struct buf request = BUF_INIT;
        char mark[] = {'[', (char)('0' + i), ']', '\0'};
        char got[256] = "";
        size_t len = 0;

        begin_script(&request, scripts[i]);
        helper_request_string(&request, HELPER_MARK, mark);
        ask(&child, &request);
        while (len < strlen(expected[i])) {
            ssize_t n = read(child.out, got + len, strlen(expected[i]) - len);

            assert_true(n > 0);
            len += (size_t)n;
        }
        assert_string_equal(got, expected[i]);
    }
    close(child.in);
    child.in = -1;
    assert_int_equal(finish(&child, &output), 0);
    assert_string_equal(output.data, "");
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

static void the_hash_names_the_content(void **state)
{
    char hash[HELPER_HASH_SIZE];

    (void)state;
    helper_program_hash(hash);
    assert_int_equal(strlen(hash), 16);
    assert_int_equal(strspn(hash, "0123456789abcdef"), 16);
    assert_memory_equal(helper_program, "\177ELF", 4);
    assert_true(helper_program_size() < 16 * 1024);
}

/* --- probe --- */

static int probe(struct buf *said, const char *const *args)
{
    const char *argv[8] = {program, "probe"};
    char *const env[] = {NULL};
    char text[512];
    int out[2], status;
    pid_t pid;
    ssize_t n;

    for (int i = 0; args[i]; i++)
        argv[i + 2] = args[i];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        dup2(out[1], 2);
        execve(program, (char *const *)argv, env);
        _exit(99);
    }
    close(out[1]);
    while ((n = read(out[0], text, sizeof(text))) > 0)
        buf_add(said, text, (size_t)n);
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

static int listen_on_loopback(char port[8])
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(port, 8, "%u", ntohs(address.sin_port));
    return fd;
}

static void assert_probe(int code, const char *said, const char *const *args)
{
    CLEANUP_BUF struct buf got = BUF_INIT;

    assert_int_equal(probe(&got, args), code);
    assert_string_equal(got.data ? got.data : "", said);
}

static void probe_says_whether_something_listens(void **state)
{
    char port[8], refused[128];
    int fd = listen_on_loopback(port);

    (void)state;
    snprintf(refused, sizeof(refused), "runner: cannot reach localhost:%s: connection refused\n",
             port);
    assert_probe(1, refused, (const char *const[]){"tcp", "localhost", port, NULL});
    assert_int_equal(listen(fd, 4), 0);
    assert_probe(0, "", (const char *const[]){"tcp", "localhost", port, NULL});
    assert_probe(0, "", (const char *const[]){"tcp", "127.0.0.1", port, NULL});
    close(fd);
    assert_probe(1, "runner: cannot reach ::1:80: this is no name and no IPv4 address\n",
                 (const char *const[]){"tcp", "::1", "80", NULL});
    assert_probe(126, "runner: cannot do probe: usage: probe tcp HOST PORT | http HOST PORT PATH\n",
                 (const char *const[]){"http", "localhost", "80", NULL});
}

static void answer_once(int fd, const char *answer)
{
    char request[512];
    int connection = accept(fd, NULL, NULL);
    ssize_t n = read(connection, request, sizeof(request) - 1);

    if (n > 0 && strncmp(request, "GET /health HTTP/1.1\r\nHost: localhost:", 38) == 0)
        n = write(connection, answer, strlen(answer));
    close(connection);
    _exit(n > 0 ? 0 : 1);
}

static void probe_looks_at_the_status(void **state)
{
    static const struct {
        const char *answer;
        int code;
        const char *said; /* behind the address */
    } cases[] = {
        {"HTTP/1.1 204 No Content\r\n\r\n", 0, NULL},
        {"HTTP/1.0 302 Found\r\n\r\n", 0, NULL},
        {"HTTP/1.1 503 Service Unavailable\r\n\r\n", 1, "the answer is status 503"},
        {"SSH-2.0-OpenSSH_9.2\r\n", 1, "the answer is not HTTP"},
        {"HT", 1, "no answer to a request"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char port[8], said[128] = "";
        int fd = listen_on_loopback(port), status;
        pid_t pid;

        assert_int_equal(listen(fd, 1), 0);
        pid = fork();
        if (pid == 0)
            answer_once(fd, cases[i].answer);
        if (cases[i].said)
            snprintf(said, sizeof(said), "runner: cannot reach localhost:%s: %s\n", port,
                     cases[i].said);
        assert_probe(cases[i].code, said,
                     (const char *const[]){"http", "localhost", port, "/health", NULL});
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probe_says_whether_something_listens),
        cmocka_unit_test(probe_looks_at_the_status),
        cmocka_unit_test(exec_overlays_the_environment),
        cmocka_unit_test(exec_can_drop_the_environment),
        cmocka_unit_test(exec_gives_empty_stdin),
        cmocka_unit_test(exec_makes_and_enters_the_directory),
        cmocka_unit_test(exec_writes_files),
        cmocka_unit_test(exec_says_why_it_cannot_run),
        cmocka_unit_test(exec_says_what_is_too_large),
        cmocka_unit_test(exec_says_what_it_was_told_to),
        cmocka_unit_test(exec_forwards_its_own_signals),
        cmocka_unit_test(what_is_stopped_from_outside_does_not_end_with_0),
        cmocka_unit_test(sends_files_behind_the_output),
        cmocka_unit_test(files_are_sent_up_to_their_limit),
        cmocka_unit_test(files_that_are_none_any_more_are_told),
        cmocka_unit_test(files_are_writable_for_whoever_the_program_becomes),
        cmocka_unit_test(serve_ends_when_something_cannot_be_ended),
        cmocka_unit_test(serve_marks_the_end_behind_all_output),
        cmocka_unit_test(exec_without_request_is_quiet),
        cmocka_unit_test(exec_refuses_what_is_not_a_request),
        cmocka_unit_test(exec_gives_the_exit_code),
        cmocka_unit_test(exec_leaves_nothing_behind),
        cmocka_unit_test(exec_passes_signals_to_the_whole_tree),
        cmocka_unit_test(exec_kills_when_the_runner_is_gone),
        cmocka_unit_test(hold_ends_with_its_input_or_at_sigterm),
        cmocka_unit_test(oversized_requests_are_refused),
        cmocka_unit_test(the_hash_names_the_content),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
