/* What is too much for a launcher, or makes no sense to it. */
#include "tests/unit/launch/launch_test.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/fdpass.h"

static size_t count_descriptors(pid_t pid)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/fd", pid);

    return count_files(path);
}

/* Standard input, output and error, both ends of what runs report to, the starter's socket, and
 * that of the ends of processes. */
static void test_the_launcher_holds_nothing(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];

    launch(t, id, STEPS(STEP("a", "true")));
    assert_began(t, id);
    assert_ended(t, id, EXITED(0));
    assert_int_equal(7, count_descriptors(launcher_pid(t->launcher)));
}

static void send_raw(struct test *t, const void *data, size_t size, int fd)
{
    const struct iovec part = {.iov_base = (void *)data, .iov_len = size};

    assert_int_equal(size, fdpass_send(launcher_fd(t->launcher), &part, 1, &fd, fd >= 0, 0));
}

static void test_garbage(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE] = {0};
    char full[OWN_RUN_ID_SIZE];
    char large[4096];
    CLEANUP_FD int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CLEANUP_FD int empty_fd = memfd_create("empty", MFD_CLOEXEC);
    CLEANUP_FD int text_fd = memfd_create("text", MFD_CLOEXEC);

    memset(full, 'x', sizeof(full));
    memset(large, 0, sizeof(large));
    assert_int_equal(6, write(text_fd, "[1]\0ab", 6));
    send_raw(t, "x", 1, -1);
    send_raw(t, large, sizeof(large), -1);
    send_raw(t, full, sizeof(full), empty_fd);
    make_id(id);
    send_raw(t, id, sizeof(id), -1);
    assert_refused(t, id, ERR_UNAVAILABLE, "could not take the pipeline");
    send_raw(t, id, sizeof(id), null_fd);
    assert_refused(t, id, ERR_PROTOCOL, "no request");
    send_raw(t, id, sizeof(id), empty_fd);
    assert_refused(t, id, ERR_PROTOCOL, "no request");
    send_raw(t, id, sizeof(id), text_fd);
    assert_refused(t, id, ERR_PROTOCOL, "no request");
    launch(t, id, STEPS(STEP("a", "true")));
    assert_began(t, id);
    assert_ended(t, id, EXITED(0));
}

/* More than the socket has room for are told of when nobody listens. */
static void test_many_runs(void **state)
{
    enum { COUNT = 100 };
    struct test *t = *state;
    char ids[COUNT][OWN_RUN_ID_SIZE];
    bool began[COUNT] = {false};
    size_t ended = 0;

    for (size_t i = 0; i < COUNT; i++)
        launch(t, ids[i], STEPS(STEP("a", "echo $PIPELINE_ID")));
    while (ended < COUNT) {
        struct launch_event event = next(t);
        size_t i = 0;

        while (i < COUNT && strcmp(ids[i], event.run_id) != 0)
            i++;
        assert_true(i < COUNT);
        assert_int_equal(began[i] ? LAUNCH_ENDED : LAUNCH_BEGAN, event.kind);
        assert_int_equal(0, event.status);
        ended += began[i];
        began[i] = true;
    }
    for (size_t i = 0; i < COUNT; i++) {
        CLEANUP_BUF struct buf log = BUF_INIT;
        CLEANUP_FREE char *line = xasprintf("%s\n", ids[i]);

        read_log(t, ids[i], &log);
        assert_string_equal(line, log.data);
    }
}

/* What is sent with a request cannot be taken then: it is refused, and not forgotten. */
static void test_a_launcher_with_too_much_open(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    struct rlimit before;
    struct rlimit none;

    launch(t, id, STEPS(STEP("a", "true")));
    assert_began(t, id);
    assert_ended(t, id, EXITED(0));
    assert_int_equal(prlimit(launcher_pid(t->launcher), RLIMIT_NOFILE, NULL, &before), 0);
    none = (struct rlimit){3, before.rlim_max};
    assert_int_equal(prlimit(launcher_pid(t->launcher), RLIMIT_NOFILE, &none, NULL), 0);
    make_id(id);
    assert_ok(send_request(t, id, STEPS(STEP("a", "true")), NULL));
    assert_refused(t, id, ERR_UNAVAILABLE, "could not take the pipeline");
    assert_int_equal(prlimit(launcher_pid(t->launcher), RLIMIT_NOFILE, &before, NULL), 0);
    assert_ok(send_request(t, id, STEPS(STEP("a", "true")), NULL));
    assert_began(t, id);
    assert_ended(t, id, EXITED(0));
}

struct limited {
    struct test *test;
    bool restart; /* the launcher */
    rlim_t processes;
    int failed;
};

/* Processes of root are not counted, and the limits of others are not root's to set everywhere: a
 * thread can be somebody else. */
static void *limit_processes(void *arg)
{
    struct limited *limited = arg;
    struct launcher_options options = {.run = {.engines = engines, .kinds = kinds},
                                       .history = limited->test->history};
    uid_t user = getuid() ? getuid() : (uid_t)(100000 + getpid());
    struct rlimit limit;

    if (syscall(SYS_setresuid, user, user, user) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0 ||
        (limited->restart && launcher_start(&options, &limited->test->launcher, &test_err) < 0) ||
        prlimit(launcher_pid(limited->test->launcher), RLIMIT_NPROC, NULL, &limit) < 0) {
        limited->failed = 1;
        return NULL;
    }
    limit.rlim_cur = limited->processes < limit.rlim_max ? limited->processes : limit.rlim_max;
    limited->failed = prlimit(launcher_pid(limited->test->launcher), RLIMIT_NPROC, &limit, NULL);
    return NULL;
}

static void set_process_limit(struct test *t, rlim_t processes, bool restart)
{
    struct limited limited = {.test = t, .processes = processes, .restart = restart};
    pthread_t thread;

    assert_int_equal(0, pthread_create(&thread, NULL, limit_processes, &limited));
    assert_int_equal(0, pthread_join(thread, NULL));
    assert_int_equal(0, limited.failed);
}

/* It may begin when there are fewer of them: it has not failed. */
static void test_too_many_processes(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];

    launcher_stop(t->launcher);
    t->launcher = NULL;
    if (getuid() == 0)
        assert_int_equal(0, chown(t->dir, (uid_t)(100000 + getpid()), (gid_t)-1));
    set_process_limit(t, 0, true);
    launch(t, id, STEPS(STEP("a", "true")));
    assert_refused(t, id, ERR_UNAVAILABLE, "cannot start a process for the run: ");
    assert_false(has_record(t, id));
    set_process_limit(t, RLIM_INFINITY, false);
    assert_ok(send_request(t, id, STEPS(STEP("a", "true")), NULL));
    assert_began(t, id);
    assert_ended(t, id, EXITED(0));
}

/* It has all that the program had open when it was forked. */
static void test_a_child_of_the_program(void **state)
{
    struct test *t = *state;
    pid_t child = fork();

    if (child == 0) {
        alarm(20); /* or it is waited for */
        for (;;)
            pause();
    }
    launcher_stop(t->launcher);
    t->launcher = NULL;
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_launcher_holds_nothing),
        TEST(test_garbage),
        TEST(test_many_runs),
        TEST(test_a_launcher_with_too_much_open),
        TEST(test_too_many_processes),
        TEST(test_a_child_of_the_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
