/* Launchers that their starter has not forked: one of another container, and one that listens. */
#include "tests/unit/launch/launch_test.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "base/local_socket.h"

/* In place of the test's launcher, one of a process that has nothing but its end of a socket. */
static pid_t start_apart(struct test *t)
{
    const struct launcher_options options = {.run = {.engines = engines, .kinds = kinds},
                                             .history = t->history};
    int ends[2];
    pid_t pid;

    launcher_stop(t->launcher);
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        _exit(launcher_serve(&options, ends[1], NULL) < 0);
    }
    close(ends[1]);
    t->launcher = launcher_attach(ends[0]);
    assert_int_equal(0, launcher_pid(t->launcher));
    return pid;
}

/* Its end is that of all that it has forked: as the first process of a container. */
static void test_a_launcher_elsewhere_stays_for_its_runs(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    char killed[OWN_RUN_ID_SIZE];
    CLEANUP_BUF struct buf log = BUF_INIT;
    CLEANUP_FREE char *go = fs_join(t->dir, "go");
    CLEANUP_FREE char *journals = fs_join(t->dir, "runner");
    CLEANUP_FREE char *text =
        xasprintf(STEPS(STEP("a", "echo ready; until test -e %s; do sleep 0.02; done; echo went")),
                  go);
    pid_t launcher = start_apart(t);
    siginfo_t info = {0};
    pid_t doomed;
    int status;

    launch(t, killed, STEPS(STEP("a", "echo ready; sleep 60")));
    doomed = assert_began(t, killed);
    launch(t, id, text);
    assert_began(t, id);
    await_log(t, id, "ready");
    await_log(t, killed, "ready");
    launcher_stop(t->launcher);
    t->launcher = NULL;
    assert_int_equal(0, kill(doomed, SIGKILL));
    while (kill(doomed, 0) == 0)
        assert_ok(ctx_sleep(&t->ctx, 10, &test_err));
    assert_int_equal(0, waitid(P_PID, (id_t)launcher, &info, WEXITED | WNOHANG | WNOWAIT));
    assert_int_equal(0, info.si_pid);
    assert_int_equal(0, fs_write_file(go, "", 0, 0600, NULL));
    assert_int_equal(launcher, waitpid(launcher, &status, 0));
    assert_int_equal(EXITED(0), status);
    read_log(t, id, &log);
    assert_string_equal("ready\nwent\n", log.data);
    /* The keepers have ended, too: no journal is left. */
    assert_int_equal(0, count_files(journals));
}

static void test_a_launcher_elsewhere_is_stopped(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    CLEANUP_BUF struct buf events = BUF_INIT;
    pid_t launcher = start_apart(t);
    struct launch_event event;
    struct pollfd ready = {.fd = launcher_fd(t->launcher), .events = POLLIN};
    int status;

    launch(t, id, STEPS(STEP("a", "echo ready; sleep 60")));
    assert_began(t, id);
    await_log(t, id, "ready");
    assert_int_equal(0, kill(launcher, SIGINT));
    assert_int_equal(0, kill(launcher, SIGTERM));
    assert_true(ctx_poll(&t->ctx, &ready, 1, -1, &test_err) > 0);
    assert_error(launcher_next(t->launcher, &event, &test_err), ERR_LOST);
    assert_in(test_err.message, "and what ran in it with it");
    assert_int_equal(launcher, waitpid(launcher, &status, 0));
    assert_int_equal(EXITED(0), status);
    read_events(t, id, &events);
    assert_in(events.data, "\"status\":\"cancelled\",\"exit_code\":143");
}

/* --- one that listens --- */

static struct launcher_place place_of(const struct test *t)
{
    static char path[128];
    static char workdir[128];

    snprintf(path, sizeof(path), "%s/launcher", t->dir);
    snprintf(workdir, sizeof(workdir), "%s/work", t->dir);
    return (struct launcher_place){path, t->history, workdir};
}

/* In place of the test's launcher, one that listens, without a starter yet. */
static pid_t start_listening(struct test *t, int64_t drain_ms)
{
    const struct launcher_options options = {.run = {.engines = engines, .kinds = kinds},
                                             .history = t->history};
    const struct launcher_place place = place_of(t);
    int listener;
    pid_t pid;

    launcher_stop(t->launcher);
    t->launcher = NULL;
    assert_ok(fs_mkdir_p(place.history, 0700, &test_err));
    assert_ok(fs_mkdir_p(place.workdir, 0700, &test_err));
    listener = launcher_listen(&place, &test_err);
    assert_ok(listener);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails tells it nothing */
        _exit(launcher_serve_each(&options, &place, listener, drain_ms, NULL) < 0);
    }
    close(listener);
    return pid;
}

static void connect_to(struct test *t)
{
    const struct launcher_place place = place_of(t);

    launcher_stop(t->launcher);
    t->launcher = NULL;
    assert_ok(launcher_connect(&t->ctx, &place, &t->launcher, &test_err));
}

static void assert_gone(struct test *t, const char *text)
{
    struct pollfd ready = {.fd = launcher_fd(t->launcher), .events = POLLIN};
    struct launch_event event;

    assert_true(ctx_poll(&t->ctx, &ready, 1, -1, &test_err) > 0);
    assert_error(launcher_next(t->launcher, &event, &test_err), ERR_LOST);
    assert_in(test_err.message, text);
}

static void await_process(pid_t pid)
{
    int status;

    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_int_equal(EXITED(0), status);
}

/* Each hears of its own runs alone, and those of all are cancelled at the end. */
static void test_one_starter_after_the_other(void **state)
{
    struct test *t = *state;
    pid_t launcher = start_listening(t, 0);
    char first[OWN_RUN_ID_SIZE];
    char second[OWN_RUN_ID_SIZE];
    CLEANUP_BUF struct buf events = BUF_INIT;
    CLEANUP_BUF struct buf log = BUF_INIT;
    CLEANUP_FREE char *go = fs_join(t->dir, "go");
    CLEANUP_FREE char *text =
        xasprintf(STEPS(STEP("a", "echo ready; until test -e %s; do sleep 0.02; done; echo went")),
                  go);

    connect_to(t);
    assert_int_equal(0, launcher_pid(t->launcher));
    launch(t, first, text);
    assert_began(t, first);
    await_log(t, first, "ready");
    connect_to(t);
    assert_ok(send_request(t, first, text, NULL));
    assert_refused(t, first, ERR_CONFLICT, "");
    assert_int_equal(0, fs_write_file(go, "", 0, 0600, NULL));
    await_end(t, first);
    read_log(t, first, &log);
    assert_string_equal("ready\nwent\n", log.data);
    launch(t, second, STEPS(STEP("a", "echo ready; sleep 60")));
    assert_began(t, second);
    await_log(t, second, "ready");
    connect_to(t);
    assert_int_equal(0, kill(launcher, SIGTERM));
    assert_gone(t, "/launcher has ended: nothing more can be started");
    await_process(launcher);
    read_events(t, second, &events);
    assert_in(events.data, "\"status\":\"cancelled\",\"exit_code\":143");
    assert_false(fs_exists(place_of(t).path));
}

/* Runs, and the starter, to which their ends are told. */
static void test_a_listening_launcher_is_stopped_and_waits(void **state)
{
    struct test *t = *state;
    pid_t launcher = start_listening(t, INT64_MAX);
    char id[OWN_RUN_ID_SIZE];
    char late[OWN_RUN_ID_SIZE];
    CLEANUP_FREE char *go = fs_join(t->dir, "go");
    CLEANUP_FREE char *text =
        xasprintf(STEPS(STEP("a", "echo ready; until test -e %s; do sleep 0.02; done")), go);
    siginfo_t info = {0};

    connect_to(t);
    launch(t, id, text);
    assert_began(t, id);
    await_log(t, id, "ready");
    assert_int_equal(0, kill(launcher, SIGTERM));
    while (fs_exists(place_of(t).path))
        assert_ok(ctx_sleep(&t->ctx, 10, &test_err));
    launch(t, late, text);
    assert_refused(t, late, ERR_UNAVAILABLE, "the process that starts runs is ending");
    assert_int_equal(0, fs_write_file(go, "", 0, 0600, NULL));
    assert_ended(t, id, EXITED(0));
    assert_int_equal(0, waitid(P_PID, (id_t)launcher, &info, WEXITED | WNOHANG | WNOWAIT));
    assert_int_equal(0, info.si_pid);
    launcher_stop(t->launcher);
    t->launcher = NULL;
    await_process(launcher);
}

/* It is asked a second time, or the time is over. */
static void assert_cut_short(struct test *t, int64_t drain_ms, int signals)
{
    pid_t launcher = start_listening(t, drain_ms);
    char id[OWN_RUN_ID_SIZE];
    CLEANUP_BUF struct buf events = BUF_INIT;

    connect_to(t);
    launch(t, id, STEPS(STEP("a", "echo ready; sleep 60")));
    assert_began(t, id);
    await_log(t, id, "ready");
    for (int i = 0; i < signals; i++) {
        assert_int_equal(0, kill(launcher, i ? SIGINT : SIGTERM));
        while (fs_exists(place_of(t).path))
            assert_ok(ctx_sleep(&t->ctx, 10, &test_err));
    }
    assert_gone(t, "has ended");
    await_process(launcher);
    read_events(t, id, &events);
    assert_in(events.data, "\"status\":\"cancelled\",\"exit_code\":143");
}

static void test_waiting_for_runs_is_cut_short(void **state)
{
    assert_cut_short(*state, 60000, 2);
    assert_cut_short(*state, 1, 1);
}

static void assert_no_connection(struct test *t, const struct launcher_place *place,
                                 enum err_code code, const char *text)
{
    struct launcher *launcher;

    assert_error(launcher_connect(&t->ctx, place, &launcher, &test_err), code);
    assert_in(test_err.message, text);
    err_clear(&test_err);
}

/* What is not the same is said, and the next one is served. */
static void test_a_launcher_for_others(void **state)
{
    struct test *t = *state;
    pid_t launcher = start_listening(t, 0);
    struct launcher_place place = place_of(t);
    CLEANUP_FREE char *link = fs_join(t->dir, "link");

    place.history = t->dir;
    assert_no_connection(t, &place, ERR_CONFLICT, "has another history: its /tmp/runner-test-");
    place = place_of(t);
    place.workdir = t->history;
    assert_no_connection(t, &place, ERR_CONFLICT, "has other directories for runs: its /tmp/");
    assert_int_equal(0, symlink(place_of(t).workdir, link));
    place.workdir = link;
    assert_no_connection(t, &place, ERR_CONFLICT, "give both the same --workdir");
    place = place_of(t);
    assert_int_equal(-1, launcher_listen(&place, &test_err));
    assert_error(-1, ERR_CONFLICT);
    assert_in(test_err.message, "another process listens on /tmp/runner-test-");
    connect_to(t);
    assert_int_equal(0, kill(launcher, SIGTERM));
    await_process(launcher);
}

/* Says that to who connects. */
static void say_once(int listener, const char *hello)
{
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    int fd;

    poll(&ready, 1, 20000);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    _exit(fd < 0 || send(fd, hello, strlen(hello), 0) < 0 || recv(fd, &fd, 1, 0) != 0);
}

static void test_launchers_that_are_none(void **state)
{
    static const char *const hellos[][2] = {
        {"{\"launcher\":\"0.0.1\"}", "/launcher is of runner 0.0.1, and this is "},
        {"hello", "/launcher is no launcher"},
        {"[1]", "/launcher is no launcher"},
    };
    struct test *t = *state;
    const struct launcher_place place = place_of(t);

    for (size_t i = 0; i < sizeof(hellos) / sizeof(*hellos); i++) {
        int listener = launcher_listen(&place, &test_err);
        pid_t pid = fork();

        if (pid == 0)
            say_once(listener, hellos[i][0]);
        assert_no_connection(t, &place, ERR_CONFLICT, hellos[i][1]);
        await_process(pid);
        close(listener);
        assert_int_equal(unlink(place.path), 0);
    }
    assert_int_equal(mkdir(place.path, 0700), 0);
    assert_no_connection(t, &place, ERR_SYSTEM, "/launcher: Socket operation on non-socket");
}

/* As many as the kernel keeps until they are taken. */
static void fill_backlog(const char *path)
{
    while (local_socket_connect(path, SOCK_SEQPACKET) >= 0)
        ;
    assert_int_equal(EAGAIN, errno);
}

static void assert_busy(struct test *t, const struct launcher_place *place)
{
    struct ctx soon;

    ctx_init(&soon, &t->ctx);
    ctx_set_timeout(&soon, 300, "the test:");
    assert_no_connection(&(struct test){.ctx = soon}, place, ERR_UNAVAILABLE,
                         "does not answer: another server may be connected to it");
    ctx_release(&soon);
}

/* Whatever the umask; it is that of other threads, too. */
static void assert_for_one_user(const char *path)
{
    struct stat status;

    assert_int_equal(0, stat(path, &status));
    assert_int_equal(S_IFSOCK | 0600, status.st_mode);
}

/* It is waited for, and what one that was killed has left is taken over. */
static void test_a_launcher_that_is_not_there_yet(void **state)
{
    struct test *t = *state;
    struct launcher_place place = place_of(t);
    struct ctx soon;
    mode_t before;
    int status;
    pid_t pid;

    ctx_init(&soon, &t->ctx);
    ctx_set_timeout(&soon, 300, "the test:");
    assert_error(launcher_connect(&soon, &place, &t->launcher, &test_err), ERR_UNAVAILABLE);
    assert_in(test_err.message, "no launcher listens on /tmp/runner-test-");
    assert_in(test_err.message, "/launcher: start one with `runner server --launcher-listen ");
    ctx_release(&soon);
    err_clear(&test_err);
    pid = start_listening(t, 0);
    assert_int_equal(0, kill(pid, SIGKILL));
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_true(fs_exists(place.path));
    before = umask(0);
    pid = start_listening(t, 0);
    umask(before);
    assert_for_one_user(place.path);
    connect_to(t);
    assert_busy(t, &place);
    fill_backlog(place.path);
    assert_busy(t, &place);
    assert_int_equal(0, kill(pid, SIGTERM));
    await_process(pid);
    assert_int_equal(0, fs_write_file(place.path, "", 0, 0600, NULL));
    assert_int_equal(-1, launcher_listen(&place, &test_err));
    assert_error(-1, ERR_CONFLICT);
    assert_in(test_err.message, "/launcher is there, and no socket");
}

static int64_t processor_ms(pid_t pid)
{
    struct timespec used;
    clockid_t clock;

    assert_int_equal(0, clock_getcpuclockid(pid, &clock));
    assert_int_equal(0, clock_gettime(clock, &used));
    return used.tv_sec * INT64_C(1000) + used.tv_nsec / 1000000;
}

/* Who connects meanwhile is taken later, and the processor is left to others. */
static void test_a_listening_launcher_with_too_much_open(void **state)
{
    struct test *t = *state;
    const struct launcher_place place = place_of(t);
    pid_t launcher = start_listening(t, 0);
    struct rlimit before, none;
    struct pollfd ready = {.events = POLLIN};
    int64_t used;

    connect_to(t);
    launcher_stop(t->launcher);
    t->launcher = NULL;
    assert_int_equal(0, prlimit(launcher, RLIMIT_NOFILE, NULL, &before));
    none = (struct rlimit){3, before.rlim_max};
    assert_int_equal(0, prlimit(launcher, RLIMIT_NOFILE, &none, NULL));
    ready.fd = local_socket_connect(place.path, SOCK_SEQPACKET);
    assert_true(ready.fd >= 0);
    used = processor_ms(launcher);
    assert_int_equal(0, ctx_poll(&t->ctx, &ready, 1, 400, &test_err));
    assert_true(processor_ms(launcher) - used < 100);
    assert_int_equal(0, prlimit(launcher, RLIMIT_NOFILE, &before, NULL));
    assert_int_equal(1, ctx_poll(&t->ctx, &ready, 1, -1, &test_err));
    close(ready.fd);
    assert_int_equal(0, kill(launcher, SIGTERM));
    await_process(launcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_launcher_elsewhere_stays_for_its_runs),
        TEST(test_a_launcher_elsewhere_is_stopped),
        TEST(test_one_starter_after_the_other),
        TEST(test_a_listening_launcher_is_stopped_and_waits),
        TEST(test_waiting_for_runs_is_cut_short),
        TEST(test_a_launcher_for_others),
        TEST(test_launchers_that_are_none),
        TEST(test_a_launcher_that_is_not_there_yet),
        TEST(test_a_listening_launcher_with_too_much_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
