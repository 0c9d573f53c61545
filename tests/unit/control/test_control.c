/* The control socket of a run, as its askers see it, and what else may come through it. */
#include "tests/unit/assert_err.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "control/control.h"
#include "control/signals.h"
#include "record/record.h"
#include "record/writer.h"

#define ID "01m81jnyg158yx8tfa5y40"

struct test {
    char dir[64];
    char *runs;
    struct record_writer *writer;
    struct control_server *server;
    struct ctx ctx;
    struct ctx_signal hurry;
    struct signals *signals;
    pthread_mutex_t mu;
    char *asked; /* "REASON|BY", each time; guarded by mu */
};

static void on_cancel(void *arg, const char *reason, const char *by)
{
    struct test *t = arg;
    char *before = t->asked;

    pthread_mutex_lock(&t->mu);
    t->asked = xasprintf("%s%s|%s\n", before ? before : "", reason, by);
    free(before);
    pthread_mutex_unlock(&t->mu);
}

static void on_hurry(void *arg)
{
    on_cancel(arg, "hurry", "");
}

static int furnish(void *arg, int dir_fd, struct err *err)
{
    struct test *t = arg;
    const struct control_handler handler = {.cancel = on_cancel, .hurry = on_hurry, .arg = t};

    return control_server_new(dir_fd, &handler, &t->server, err);
}

/* In a directory whose name no address of a socket has room for. */
static int setup(void **state)
{
    struct test *t = xcalloc(1, sizeof(*t));
    struct record_options options = {.run_id = ID, .furnish = furnish, .furnish_arg = t};

    alarm(100);
    err_clear(&test_err);
    pthread_mutex_init(&t->mu, NULL);
    snprintf(t->dir, sizeof(t->dir), "/tmp/runner-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    t->runs = xasprintf("%s/%0120d", t->dir, 0);
    options.runs_dir = t->runs;
    assert_ok(record_create(&options, &t->writer, &test_err));
    assert_ok(ctx_signal_init(&t->hurry, &test_err));
    assert_ok(ctx_init_root(&t->ctx, &t->hurry, &test_err));
    *state = t;
    return 0;
}

static void serve(struct test *t)
{
    assert_ok(signals_start(&t->ctx, &t->hurry, t->server, &t->signals, &test_err));
}

static void end(struct test *t)
{
    signals_stop(t->signals);
    t->signals = NULL;
    if (t->writer)
        assert_ok(record_finish(t->writer, &(struct record_end){0}, &test_err));
    t->writer = NULL;
    control_server_free(t->server);
    t->server = NULL;
}

static int teardown(void **state)
{
    struct test *t = *state;

    end(t);
    ctx_release(&t->ctx);
    ctx_signal_release(&t->hurry);
    assert_int_equal(0, fs_remove_tree(t->dir, NULL));
    free(t->asked);
    free(t->runs);
    free(t);
    return 0;
}

static void assert_asked(struct test *t, const char *expected)
{
    pthread_mutex_lock(&t->mu);
    assert_string_equal(expected, t->asked ? t->asked : "");
    pthread_mutex_unlock(&t->mu);
}

static int cancel(struct test *t, const char *reason, const char *by)
{
    return control_cancel(&t->ctx, t->runs, ID, reason, by, &test_err);
}

/* --- asking --- */

static void test_who_asks_is_heard(void **state)
{
    struct test *t = *state;

    serve(t);
    assert_ok(cancel(t, "wrong\nbranch\x1b[1m", "alice"));
    assert_asked(t, "wrong branch [1m|alice\n");
    assert_ok(control_hurry(&t->ctx, t->runs, ID, &test_err));
    assert_asked(t, "wrong branch [1m|alice\nhurry|\n");
    assert_ok(cancel(t, NULL, NULL));
    assert_asked(t, "wrong branch [1m|alice\nhurry|\n|\n");
}

static void test_long_texts_are_cut_between_characters(void **state)
{
    struct test *t = *state;
    char reason[3 * CONTROL_REASON_MAX + 1];
    CLEANUP_FREE char *expected = NULL;

    for (size_t i = 0; i < CONTROL_REASON_MAX; i++)
        memcpy(reason + 3 * i, "\xe2\x82\xac", 4);
    serve(t);
    assert_ok(cancel(t, reason, "bob"));
    expected = xasprintf("%.*s|bob\n", CONTROL_REASON_MAX / 3 * 3, reason);
    assert_asked(t, expected);
}

/* Who asks next stops to wait as soon as it has asked. */
static struct ctx *waits_no_longer;

int __real_ctx_poll(const struct ctx *ctx, struct pollfd *fds, size_t count, int timeout_ms,
                    struct err *err);
int __wrap_ctx_poll(const struct ctx *ctx, struct pollfd *fds, size_t count, int timeout_ms,
                    struct err *err);

int __wrap_ctx_poll(const struct ctx *ctx, struct pollfd *fds, size_t count, int timeout_ms,
                    struct err *err)
{
    if (waits_no_longer) {
        ctx_cancel(waits_no_longer, CTX_CAUSE_USER);
        waits_no_longer = NULL;
    }
    return __real_ctx_poll(ctx, fds, count, timeout_ms, err);
}

static void test_a_request_waits_until_the_run_attends(void **state)
{
    struct test *t = *state;
    CLEANUP_CTX struct ctx ctx;

    assert_ok(ctx_init_cancel(&ctx, &t->ctx, &test_err));
    waits_no_longer = &ctx;
    assert_error(control_cancel(&ctx, t->runs, ID, "early", "", &test_err), ERR_CANCELLED);
    serve(t);
    assert_ok(control_hurry(&t->ctx, t->runs, ID, &test_err));
    assert_asked(t, "early|\nhurry|\n");
}

static void test_there_is_no_such_run(void **state)
{
    struct test *t = *state;

    assert_error(control_cancel(&t->ctx, t->runs, "01m81jnyg158yx8tfa5y41", "", "", &test_err),
                 ERR_NOT_FOUND);
    assert_error(control_cancel(&t->ctx, t->runs, "../x", "", "", &test_err), ERR_INVALID);
}

static void test_the_run_has_ended(void **state)
{
    struct test *t = *state;
    CLEANUP_FREE char *socket = xasprintf("%s/" ID "/" CONTROL_NAME, t->runs);

    serve(t);
    assert_true(fs_exists(socket));
    end(t);
    assert_false(fs_exists(socket));
    assert_error(cancel(t, "", ""), ERR_CONFLICT);
    assert_message("run " ID " has ended already");
}

/* As kill -9 leaves it. */
static void test_the_process_of_the_run_has_died(void **state)
{
    struct test *t = *state;
    CLEANUP_FREE char *path = xasprintf("%s/" ID, t->runs);
    CLEANUP_FD int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    end(t);
    furnish(t, dir_fd, &test_err);
    assert_int_equal(0, renameat(dir_fd, CONTROL_NAME, dir_fd, "kept"));
    control_server_free(t->server);
    t->server = NULL;
    assert_int_equal(0, renameat(dir_fd, "kept", dir_fd, CONTROL_NAME));
    assert_error(cancel(t, "", ""), ERR_CONFLICT);
}

static void test_a_runner_without_a_socket(void **state)
{
    struct test *t = *state;

    control_server_free(t->server);
    t->server = NULL;
    assert_error(cancel(t, "", ""), ERR_UNSUPPORTED);
    assert_message("run " ID " cannot be asked through ");
}

/* --- what else comes --- */

static void connect_in(int dir_fd, int fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" CONTROL_NAME, dir_fd);
    assert_int_equal(0, connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static int join(struct test *t)
{
    CLEANUP_FREE char *path = xasprintf("%s/" ID, t->runs);
    CLEANUP_FD int dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    connect_in(dir_fd, fd);
    return fd;
}

static void assert_answer(int fd, const char *request, size_t size, const char *expected)
{
    char answer[512];
    ssize_t got;

    assert_int_equal(size, send(fd, request, size, MSG_NOSIGNAL));
    got = recv(fd, answer, sizeof(answer) - 1, 0);
    assert_true(got > 0);
    answer[got] = '\0';
    assert_string_equal(expected, answer);
}

static void test_garbage_is_answered(void **state)
{
    struct test *t = *state;
    static const char nothing[] = "{\"error\":\"this is not a JSON object\"}";
    static const char unknown[] =
        "{\"error\":\"\\\"do\\\" is neither \\\"cancel\\\" nor \\\"hurry\\\"\"}";
    CLEANUP_FREE char *large = xcalloc(1, 100000);
    CLEANUP_FD int fd = -1;

    serve(t);
    fd = join(t);
    assert_answer(fd, "\0\xff\x01{", 4, nothing);
    assert_answer(fd, "[1]", 3, nothing);
    assert_answer(fd, "{}", 2, unknown);
    assert_answer(fd, "{\"do\":5}", 8, unknown);
    assert_answer(fd, large, 100000, "{\"error\":\"the request is too long\"}");
    assert_asked(t, "");
    assert_answer(fd, "{\"do\":\"cancel\",\"reason\":7,\"by\":[]}", 34, "{\"ok\":true}");
    assert_asked(t, "|\n");
}

static void test_who_says_nothing_is_in_nobodys_way(void **state)
{
    struct test *t = *state;
    int silent[100];

    serve(t);
    for (size_t i = 0; i < 100; i++)
        silent[i] = join(t);
    assert_ok(cancel(t, "all the same", ""));
    assert_asked(t, "all the same|\n");
    for (size_t i = 0; i < 100; i++)
        close(silent[i]);
    assert_ok(cancel(t, "again", ""));
}

struct asker {
    struct test *t;
    pthread_t thread;
    int result;
    struct err err;
};

static void *ask_often(void *arg)
{
    struct asker *asker = arg;
    struct test *t = asker->t;

    for (int i = 0; i < 50 && asker->result == 0; i++)
        asker->result = control_cancel(&t->ctx, t->runs, ID, "x", "", &asker->err);
    return NULL;
}

static void test_many_ask_at_once(void **state)
{
    struct test *t = *state;
    struct asker askers[12];

    serve(t);
    for (size_t i = 0; i < 12; i++) {
        askers[i] = (struct asker){.t = t};
        assert_int_equal(0, pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]));
    }
    for (size_t i = 0; i < 12; i++) {
        pthread_join(askers[i].thread, NULL);
        if (askers[i].result < 0)
            fail_msg("%s", askers[i].err.message);
    }
    assert_true(strlen(t->asked) >= 12 * 50 * strlen("x|\n"));
}

static int64_t cpu_ms(void)
{
    struct timespec used;

    assert_int_equal(0, clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used));
    return used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/* With none left nobody is heard, and nothing spins; who comes later brings the others along. */
static void test_no_descriptors(void **state)
{
    struct test *t = *state;
    static const char request[] = "{\"do\":\"hurry\"}";
    CLEANUP_FREE char *path = xasprintf("%s/" ID, t->runs);
    CLEANUP_FD int dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct rlimit before;
    struct rlimit none;
    int64_t used_ms;
    char answer[64];
    int next;

    serve(t);
    next = dup(fd);
    close(next);
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &none));
    connect_in(dir_fd, fd);
    assert_int_equal(strlen(request), send(fd, request, strlen(request), MSG_NOSIGNAL));
    used_ms = cpu_ms();
    assert_ok(ctx_sleep(&t->ctx, 200, &test_err));
    assert_true(cpu_ms() - used_ms < 100);
    assert_int_equal(-1, recv(fd, answer, sizeof(answer), MSG_DONTWAIT));
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
    assert_ok(cancel(t, "the next", ""));
    assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
    assert_non_null(strstr(t->asked, "the next|\n"));
    assert_non_null(strstr(t->asked, "hurry|\n"));
}

static void test_only_the_user_may_ask(void **state)
{
    struct test *t = *state;
    CLEANUP_FREE char *socket = xasprintf("%s/" ID "/" CONTROL_NAME, t->runs);
    struct stat st;

    assert_int_equal(0, lstat(socket, &st));
    assert_int_equal(S_IFSOCK | 0600, st.st_mode);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_asks_is_heard),
        TEST(test_long_texts_are_cut_between_characters),
        TEST(test_a_request_waits_until_the_run_attends),
        TEST(test_there_is_no_such_run),
        TEST(test_the_run_has_ended),
        TEST(test_the_process_of_the_run_has_died),
        TEST(test_a_runner_without_a_socket),
        TEST(test_garbage_is_answered),
        TEST(test_who_says_nothing_is_in_nobodys_way),
        TEST(test_many_ask_at_once),
        TEST(test_no_descriptors),
        TEST(test_only_the_user_may_ask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
