/* Runs as a server has them: each a process that the launcher forks, on real pipelines of the host.
 */
#include "tests/unit/launch/launch_test.h"

#include "control/control.h"

static void test_a_run(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    CLEANUP_BUF struct buf log = BUF_INIT;
    CLEANUP_BUF struct buf events = BUF_INIT;
    CLEANUP_FREE char *directory = NULL;

    launch(t, id, STEPS(STEP("a", "pwd; echo $PIPELINE_ID; readlink /proc/self/fd/0")));
    directory = directory_of(t, id);
    assert_began(t, id);
    assert_ended(t, id, EXITED(0));
    read_log(t, id, &log);
    assert_in(log.data, directory);
    assert_in(log.data, id);
    read_events(t, id, &events);
    assert_in(events.data, "\"origin\":\"server\"");
    assert_in(events.data, "\"user\":\"alice\"");
    assert_in(events.data, "\"status\":\"succeeded\",\"exit_code\":0");
    assert_false(fs_exists(directory));
}

static void test_a_run_that_fails(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    CLEANUP_BUF struct buf events = BUF_INIT;
    CLEANUP_FREE char *directory = NULL;

    launch(t, id, STEPS(STEP("a", "touch left; exit 7")));
    directory = directory_of(t, id);
    assert_began(t, id);
    assert_ended(t, id, EXITED(1));
    read_events(t, id, &events);
    assert_in(events.data, "\"exit_code\":1,");
    assert_true(fs_exists(directory));
}

static void test_what_is_said_beside_the_file(void **state)
{
    struct test *t = *state;
    struct prepare_args args = {.timeout_ms = 60000};
    char id[OWN_RUN_ID_SIZE];
    CLEANUP_BUF struct buf log = BUF_INIT;

    make_id(id);
    assert_int_equal(0, setenv("OF_THE_SERVER", "seen", 1));
    strmap_set(&args.env, "GREETING", "h\xc3\xa4llo\nthere");
    strmap_set(&args.inputs, "who", "world");
    strvec_push(&args.overrides, "name=other");
    assert_ok(send_request(t, id,
                           "inputs: {who: {type: string}}\n"
                           "environment: {WHO: '{{ inputs.who }}'}\n" STEPS(
                               STEP("a", "echo $GREETING $WHO ${OF_THE_SERVER:-unseen} "
                                         "$PIPELINE_NAME")),
                           &args));
    strmap_release(&args.env);
    strmap_release(&args.inputs);
    strvec_release(&args.overrides);
    assert_began(t, id);
    assert_ended(t, id, EXITED(0));
    read_log(t, id, &log);
    assert_string_equal("h\xc3\xa4llo there world unseen other\n", log.data);
}

static void test_a_file_of_megabytes(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    CLEANUP_BUF struct buf text = BUF_INIT;

    buf_addstr(&text, STEPS(STEP("a", "echo there")));
    for (int i = 0; i < 20000; i++)
        buf_addf(&text, "# %090d\n", i);
    launch(t, id, text.data);
    assert_began(t, id);
    assert_ended(t, id, EXITED(0));
}

static void test_what_is_wrong_with_a_file(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    CLEANUP_FREE char *directory = NULL;

    launch(t, id, STEPS("    - {name: a, command: b, nope: 1}\n"));
    directory = directory_of(t, id);
    assert_refused(t, id, ERR_INVALID, "submission:7:29: error: unknown key \"nope\"");
    assert_false(has_record(t, id));
    assert_false(fs_exists(directory));
}

static void test_a_directory_that_cannot_be(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    CLEANUP_FREE char *work = fs_join(t->dir, "work");

    assert_int_equal(0, fs_write_file(work, "", 0, 0600, NULL));
    launch(t, id, STEPS(STEP("a", "true")));
    assert_refused(t, id, ERR_SYSTEM, "cannot make the directory of the run: ");
    assert_false(has_record(t, id));
}

static void test_a_history_that_cannot_be(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];

    assert_int_equal(0, fs_write_file(t->history, "", 0, 0600, NULL));
    launch(t, id, STEPS(STEP("a", "touch ran")));
    assert_refused(t, id, ERR_SYSTEM, "history exists and is not a directory");
}

static void test_an_id_runs_once(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    struct launch_event event;

    launch(t, id, STEPS(STEP("a", "echo once; until test -e go; do sleep 0.02; done")));
    assert_began(t, id);
    assert_ok(send_request(t, id, STEPS(STEP("a", "touch go")), NULL));
    event = next(t);
    assert_int_equal(LAUNCH_REFUSED, event.kind);
    assert_int_equal(ERR_CONFLICT, event.code);
    await_log(t, id, "once");
    assert_ok(control_cancel(&t->ctx, t->runs, id, "", "", &test_err));
    assert_ended(t, id, EXITED(143));
    assert_ok(send_request(t, id, STEPS(STEP("a", "true")), NULL));
    assert_refused(t, id, ERR_CONFLICT, "there is a record ");
}

static void test_ids_that_are_none(void **state)
{
    struct test *t = *state;

    assert_error(send_request(t, "01234567890123456789012345678901234567890", "", NULL),
                 ERR_INVALID);
    assert_ok(send_request(t, "nope", STEPS(STEP("a", "true")), NULL));
    assert_refused(t, "nope", ERR_INVALID, "\"nope\" is not the id of a run");
}

static void test_directories_are_absolute(void **state)
{
    struct test *t = *state;
    const struct launch_request request = {.run_id = "01m81jnyg158yx8tfa5y40",
                                           .text = "",
                                           .directory = "work"};

    assert_error(launcher_run(&t->ctx, t->launcher, &request, &test_err), ERR_INVALID);
    assert_message("the directory of a run must be absolute, not \"work\"");
}

static void test_texts_must_be_utf8(void **state)
{
    struct test *t = *state;
    struct prepare_args args = {.engine = (char *)"\xff"};

    assert_error(send_request(t, "01m81jnyg158yx8tfa5y40", "", &args), ERR_INVALID);
    assert_message("the engine of the run is not UTF-8");
}

static void test_cancel_with_a_reason(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    CLEANUP_BUF struct buf events = BUF_INIT;

    launch(t, id, STEPS(STEP("a", "echo ready; sleep 60")));
    assert_began(t, id);
    await_log(t, id, "ready");
    assert_ok(control_cancel(&t->ctx, t->runs, id, "wrong branch", "alice", &test_err));
    assert_ok(control_cancel(&t->ctx, t->runs, id, "too late", "bob", &test_err));
    assert_ended(t, id, EXITED(143));
    read_events(t, id, &events);
    assert_in(events.data, "\"event\":\"PipelineNote\"");
    assert_in(events.data, "\"text\":\"cancelled by alice: wrong branch\",\"tree\"");
    assert_null(strstr(events.data, "too late"));
    assert_error(control_cancel(&t->ctx, t->runs, id, "", "", &test_err), ERR_CONFLICT);
}

static void test_hurry(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];

    /* Without it the test would not end in its time. */
    launch(t, id,
           STEPS("    - {name: a, grace: 1h, command: \"trap 'echo asked' TERM; echo ready; while "
                 "true; do sleep 0.05; done\"}\n"));
    assert_began(t, id);
    await_log(t, id, "ready");
    assert_ok(control_cancel(&t->ctx, t->runs, id, "", "", &test_err));
    await_log(t, id, "asked");
    assert_ok(control_hurry(&t->ctx, t->runs, id, &test_err));
    assert_ended(t, id, EXITED(143));
}

/* Whoever does not reach the socket can send a signal, as to exec. */
static void test_a_signal(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    pid_t pid;

    launch(t, id, STEPS(STEP("a", "echo ready; sleep 60")));
    pid = assert_began(t, id);
    await_log(t, id, "ready");
    assert_int_equal(pid, getsid(pid));
    assert_int_equal(0, kill(pid, SIGINT));
    assert_ended(t, id, EXITED(130));
}

/* The keeper does what the run cannot any more. */
static void test_a_run_that_is_killed(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    CLEANUP_FREE char *script = xasprintf("echo $$ >%s/pid; echo ready; exec sleep 60", t->dir);
    CLEANUP_FREE char *text = xasprintf(STEPS("    - {name: a, command: '%s'}\n"), script);
    CLEANUP_FREE char *file = fs_join(t->dir, "pid");
    CLEANUP_BUF struct buf number = BUF_INIT;
    pid_t pid;

    launch(t, id, text);
    pid = assert_began(t, id);
    await_log(t, id, "ready");
    assert_ok(fs_read_file(file, 100, &number, &test_err));
    assert_int_equal(0, kill(pid, SIGKILL));
    assert_ended(t, id, SIGKILL);
    while (kill((pid_t)strtol(number.data, NULL, 10), 0) == 0)
        assert_ok(ctx_sleep(&t->ctx, 10, &test_err));
    assert_error(control_cancel(&t->ctx, t->runs, id, "", "", &test_err), ERR_CONFLICT);
}

/* As the server does it that is killed: its runs go on, and to their ends. */
static void test_the_starter_is_killed(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    CLEANUP_BUF struct buf events = BUF_INIT;
    CLEANUP_BUF struct buf log = BUF_INIT;
    CLEANUP_FREE char *go = fs_join(t->dir, "go");
    CLEANUP_FREE char *text = xasprintf(
        STEPS("    - {name: a, command: 'echo ready; until test -e %s; do sleep 0.02; done; echo "
              "went'}\n    - {name: b, command: echo last}\n"),
        go);
    pid_t launcher = 0;
    int pids[2];
    pid_t starter;
    siginfo_t info;

    launcher_stop(t->launcher);
    t->launcher = NULL;
    make_id(id);
    assert_int_equal(0, pipe2(pids, O_CLOEXEC));
    starter = fork();
    assert_true(starter >= 0);
    if (starter == 0) {
        struct launcher_options options = {.run = {.engines = engines, .kinds = kinds},
                                           .history = t->history};

        if (launcher_start(&options, &t->launcher, NULL) < 0 || send_request(t, id, text, NULL) < 0)
            _exit(1);
        next(t);
        launcher = launcher_pid(t->launcher);
        (void)!write(pids[1], &launcher, sizeof(launcher));
        pause();
        _exit(0);
    }
    assert_int_equal(sizeof(launcher), read(pids[0], &launcher, sizeof(launcher)));
    await_log(t, id, "ready");
    assert_int_equal(0, kill(starter, SIGKILL));
    assert_int_equal(0, waitid(P_PID, (id_t)starter, &info, WEXITED));
    while (kill(launcher, 0) == 0)
        assert_ok(ctx_sleep(&t->ctx, 10, &test_err));
    assert_int_equal(0, fs_write_file(go, "", 0, 0600, NULL));
    await_end(t, id);
    read_log(t, id, &log);
    assert_string_equal("ready\nwent\nlast\n", log.data);
    read_events(t, id, &events);
    assert_in(events.data, "\"event\":\"RunEnded\"");
    assert_in(events.data, "\"status\":\"succeeded\",\"exit_code\":0");
    close(pids[0]);
    close(pids[1]);
}

static void test_the_launcher_is_killed(void **state)
{
    struct test *t = *state;
    char id[OWN_RUN_ID_SIZE];
    struct launch_event event;
    struct pollfd ready = {.fd = launcher_fd(t->launcher), .events = POLLIN};

    launch(t, id, STEPS(STEP("a", "echo ready; sleep 60")));
    assert_began(t, id);
    assert_int_equal(0, kill(launcher_pid(t->launcher), SIGKILL));
    assert_true(ctx_poll(&t->ctx, &ready, 1, -1, &test_err) > 0);
    assert_error(launcher_next(t->launcher, &event, &test_err), ERR_LOST);
    assert_error(send_request(t, id, "", NULL), ERR_LOST);
    await_log(t, id, "ready");
    assert_ok(control_cancel(&t->ctx, t->runs, id, "", "", &test_err));
    await_end(t, id);
}

/* What a terminal sends to all of its programs. */
static void test_the_launcher_is_not_interrupted(void **state)
{
    struct test *t = *state;
    pid_t pid = launcher_pid(t->launcher);
    char id[OWN_RUN_ID_SIZE];

    launch(t, id, STEPS(STEP("a", "true")));
    assert_began(t, id);
    assert_ended(t, id, EXITED(0));
    assert_int_equal(pid, getsid(pid));
    assert_int_equal(0, kill(pid, SIGINT));
    assert_int_equal(0, kill(pid, SIGTERM));
    assert_int_equal(0, kill(pid, SIGHUP));
    launch(t, id, STEPS(STEP("a", "true")));
    assert_began(t, id);
    assert_ended(t, id, EXITED(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_run),
        TEST(test_a_run_that_fails),
        TEST(test_what_is_said_beside_the_file),
        TEST(test_a_file_of_megabytes),
        TEST(test_what_is_wrong_with_a_file),
        TEST(test_a_directory_that_cannot_be),
        TEST(test_a_history_that_cannot_be),
        TEST(test_an_id_runs_once),
        TEST(test_ids_that_are_none),
        TEST(test_directories_are_absolute),
        TEST(test_texts_must_be_utf8),
        TEST(test_cancel_with_a_reason),
        TEST(test_hurry),
        TEST(test_a_signal),
        TEST(test_a_run_that_is_killed),
        TEST(test_the_starter_is_killed),
        TEST(test_the_launcher_is_killed),
        TEST(test_the_launcher_is_not_interrupted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
