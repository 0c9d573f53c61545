/* The helper on this host, started as the runner starts it in containers: by its bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "fixture/program.h"
#include "helper/helper.h"

static char program[] = "/tmp/test-helper-XXXXXX";
/* Of the files; not that of others who run this test at the same time. */
static char directory[40];

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), ".runner-test-helper-%d", (int)getpid());
    return program_write(program, helper_architecture());
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(program);
}

static bool directory_exists(const char *in)
{
    CLEANUP_FREE char *path = fs_join(in, directory);

    return fs_exists(path);
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

/* Both pipes of a real run are one here: the end of standard error follows that of standard output.
 */
#define BYTES(text) (text), sizeof(text) - 1
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
    helper_request_string(&request, HELPER_DIRECTORY, directory);
    helper_request_return(&request, "one", "ONE", max_bytes, false);
    helper_request_return(&request, "two", "TWO", max_bytes, false);
    ask(child, &request);
}

static void ask_with_live_file(struct child *child, const char *script)
{
    CLEANUP_BUF struct buf request = BUF_INIT;

    begin_script(&request, script);
    helper_request_string(&request, HELPER_MARK, "[mark]");
    helper_request_string(&request, HELPER_DIRECTORY, directory);
    helper_request_return(&request, "one", "ONE", 100, false);
    helper_request_return(&request, "two", "TWO", 100, true);
    ask(child, &request);
}

static void read_until(struct child *child, const char *text, struct buf *output)
{
    while (!memmem(output->data, output->len, text, strlen(text))) {
        ssize_t n;

        buf_reserve(output, 65536);
        n = read(child->out, output->data + output->len, 65536);
        assert_true(n > 0);
        output->len += (size_t)n;
    }
}

static void changes_go_in_front_of_what_was_written_after_them(void **state)
{
    static const char *const commands[] = {"exec", "serve"};
    static const char script[] = "echo start; echo no >$ONE; : >>$TWO; echo err >&2\n"
                                 "until test -s $ONE.go; do sleep 0.02; done\n"
                                 "echo one >>$TWO; echo a; echo b; echo c >&2\n"
                                 "until ! test -e $ONE.go; do sleep 0.02; done\n"
                                 "echo TWO >$TWO.new; mv $TWO.new $TWO; echo last";
    CLEANUP_FREE char *go = xasprintf("/dev/shm/%s/one.go", directory);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_BUF struct buf output = BUF_INIT;
        CLEANUP_BUF struct buf rest = BUF_INIT;
        struct child child = start(commands[i]);

        ask_with_live_file(&child, script);
        read_until(&child, "err\n", &output);
        ASSERT_OUTPUT(output, "start\nerr\n");
        buf_reset(&output);
        assert_int_equal(fs_write_file(go, "x", 1, 0600, NULL), 0);
        read_until(&child, "c\n", &output);
        ASSERT_OUTPUT(output, "[mark]C\1D\4\0\0\0one\nEwa\nb\n[mark]C\1D\4\0\0\0one\nEwc\n");
        buf_reset(&output);
        assert_int_equal(unlink(go), 0);
        read_until(&child, "[mark] 000\n", &output);
        ASSERT_OUTPUT(output, "[mark]C\1D\4\0\0\0TWO\nEwlast\n"
                              "[mark]D\3\0\0\0no\nEwD\4\0\0\0TWO\nEw 000\n[mark] 000\n");
        close(child.in);
        child.in = -1;
        finish(&child, &rest);
        assert_string_equal(rest.data, "");
    }
}

static void wait_until_full(int fd)
{
    int before = -1, now = 0;

    while (now < 65536 || now != before) {
        const struct timespec pause = {.tv_nsec = 20000000};

        before = now;
        nanosleep(&pause, NULL);
        assert_int_equal(ioctl(fd, FIONREAD, &now), 0);
    }
}

static void obeys_while_nobody_reads_the_output(void **state)
{
    CLEANUP_BUF struct buf output = BUF_INIT;
    struct child child = start("exec");
    CLEANUP_FREE char *path = xasprintf("/dev/shm/%s.stopped", directory);
    CLEANUP_FREE char *script = xasprintf("trap 'echo x >%s; exit 4' TERM; yes", path);

    (void)state;
    ask_with_live_file(&child, script);
    wait_until_full(child.out);
    send_signal(&child, SIGTERM);
    while (!fs_exists(path)) {
        const struct timespec pause = {.tv_nsec = 20000000};

        nanosleep(&pause, NULL);
    }
    assert_int_equal(finish(&child, &output), 4);
    assert_true(output.len > 65536);
    unlink(path);
}

static void the_program_learns_that_nobody_reads_any_more(void **state)
{
    struct child child = start("exec");
    int status;

    (void)state;
    ask_with_live_file(&child, "exec yes");
    close(child.out);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGPIPE);
    close(child.in);
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
    assert_false(directory_exists("/dev/shm"));
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
        CLEANUP_BUF struct buf expected = BUF_INIT;

        buf_addf(&expected, "/dev/shm/%s/two\nlate\n", directory);
        buf_add(&expected, BYTES("[mark]D\3\0\0\0a\0bEwEw 003\n[mark] 003\n"));
        ask_and_read(commands[i],
                     "test -f $ONE && test ! -s $ONE && echo $TWO\n"
                     "(setsid sh -c 'sleep 0.1; echo late; printf \"a\\\\0b\" >>$ONE' &)\n"
                     "while test ! -s $ONE; do sleep 0.01; done; exit 3",
                     100, &output);
        assert_int_equal(output.len, expected.len);
        assert_memory_equal(output.data, expected.data, expected.len);
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
        cmocka_unit_test(changes_go_in_front_of_what_was_written_after_them),
        cmocka_unit_test(obeys_while_nobody_reads_the_output),
        cmocka_unit_test(the_program_learns_that_nobody_reads_any_more),
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
        cmocka_unit_test(there_is_one_for_each_architecture),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
