/* What comes back from the helper: output, and the files behind it. */
#include "tests/unit/helper/helper_test.h"

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

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
    char text[200];
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
    /* Until it is of the other user it can be killed. */
    snprintf(text, sizeof(text),
             "%s --reuid 0 --clear-groups sleep 60 </dev/null >/dev/null 2>&1 & echo pid=$!; "
             "while kill -0 $! 2>/dev/null; do sleep 0.01; done; exit 4",
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
    CLEANUP_FREE char *gate = xasprintf("%s.gate", program);
    CLEANUP_FREE char *escapes =
        xasprintf("mkfifo %1$s; (setsid sh -c 'sleep 0.1; echo late; : >%1$s' &); "
                  "read x <%1$s; rm %1$s; echo one; exit 3",
                  gate);
    struct child child = start("serve");
    const char *const scripts[] = {escapes, "echo two >&2; exit 127", "printf three; kill $$"};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_go_in_front_of_what_was_written_after_them),
        cmocka_unit_test(obeys_while_nobody_reads_the_output),
        cmocka_unit_test(the_program_learns_that_nobody_reads_any_more),
        cmocka_unit_test(sends_files_behind_the_output),
        cmocka_unit_test(files_are_sent_up_to_their_limit),
        cmocka_unit_test(files_that_are_none_any_more_are_told),
        cmocka_unit_test(files_are_writable_for_whoever_the_program_becomes),
        cmocka_unit_test(serve_ends_when_something_cannot_be_ended),
        cmocka_unit_test(serve_marks_the_end_behind_all_output),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
