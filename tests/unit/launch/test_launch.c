/* Runs as a server has them: each a process that the launcher forks, on real pipelines of the host.
 */
#include "tests/unit/assert_err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fdpass.h"
#include "base/fs.h"
#include "base/json_at.h"
#include "base/local_socket.h"
#include "control/control.h"
#include "engine/host/host.h"
#include "launch/launch.h"
#include "record/events.h"
#include "record/log.h"
#include "record/watch.h"

static const struct engine *const engines[] = {&host_engine, NULL};
static const struct step_kind *const kinds[] = {&step_kind_plugin,  &step_kind_language,
                                                &step_kind_type,    &step_kind_deployment,
                                                &step_kind_command, NULL};

struct test {
    char dir[64];
    char *history;
    char *runs;
    struct launcher *launcher;
    struct ctx ctx;
};

static int setup(void **state)
{
    struct test *t = xcalloc(1, sizeof(*t));
    struct launcher_options options = {.run = {.engines = engines, .kinds = kinds}};

    alarm(100);
    err_clear(&test_err);
    snprintf(t->dir, sizeof(t->dir), "/tmp/runner-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    assert_int_equal(0, setenv("XDG_RUNTIME_DIR", t->dir, 1));
    assert_int_equal(0, setenv("HOME", t->dir, 1));
    assert_int_equal(0, setenv("TMPDIR", t->dir, 1));
    assert_int_equal(0, unsetenv("XDG_STATE_HOME"));
    options.history = t->history = fs_join(t->dir, "history");
    t->runs = fs_join(t->history, "runs");
    assert_ok(ctx_init_root(&t->ctx, NULL, &test_err));
    ctx_set_timeout(&t->ctx, 90000, "the test:");
    assert_ok(launcher_start(&options, &t->launcher, &test_err));
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct test *t = *state;

    launcher_stop(t->launcher);
    ctx_release(&t->ctx);
    assert_int_equal(0, fs_remove_tree(t->dir, NULL));
    free(t->history);
    free(t->runs);
    free(t);
    return 0;
}

/* --- requests and events --- */

#define STEPS(steps)        "name: demo\nstages:\n- name: s\n  jobs:\n  - name: j\n    steps:\n" steps
#define STEP(name, command) "    - {name: " name ", command: \"" command "\"}\n"

static void make_id(char id[OWN_RUN_ID_SIZE])
{
    assert_ok(own_run_make_id(id, &test_err));
}

static char *directory_of(const struct test *t, const char *id)
{
    return xasprintf("%s/work/%s", t->dir, id);
}

static int send_request(struct test *t, const char *id, const char *text,
                        const struct prepare_args *args)
{
    CLEANUP_FREE char *directory = directory_of(t, id);
    const struct launch_request request = {.run_id = id,
                                           .text = text,
                                           .size = strlen(text),
                                           .name = "submission",
                                           .origin = "server",
                                           .user = "alice",
                                           .directory = directory,
                                           .args = args};

    return launcher_run(&t->ctx, t->launcher, &request, &test_err);
}

static void launch(struct test *t, char id[OWN_RUN_ID_SIZE], const char *text)
{
    make_id(id);
    assert_ok(send_request(t, id, text, NULL));
}

static struct launch_event next(struct test *t)
{
    struct launch_event event;
    struct pollfd ready = {.fd = launcher_fd(t->launcher), .events = POLLIN};
    int got;

    while ((got = launcher_next(t->launcher, &event, &test_err)) == 0)
        assert_true(ctx_poll(&t->ctx, &ready, 1, -1, &test_err) > 0);
    if (got < 0)
        fail_msg("%s", test_err.message);
    return event;
}

static pid_t assert_began(struct test *t, const char *id)
{
    struct launch_event event = next(t);

    if (event.kind != LAUNCH_BEGAN)
        fail_msg("%d: %s", event.kind, event.text);
    assert_string_equal(id, event.run_id);
    assert_true(event.pid > 0);
    return event.pid;
}

static void assert_refused(struct test *t, const char *id, enum err_code code, const char *text)
{
    struct launch_event event = next(t);

    assert_int_equal(LAUNCH_REFUSED, event.kind);
    assert_string_equal(id, event.run_id);
    if (event.code != code || !strstr(event.text, text))
        fail_msg("%s: %s", err_code_name(event.code), event.text);
}

static void assert_ended(struct test *t, const char *id, int status)
{
    struct launch_event event = next(t);

    assert_int_equal(LAUNCH_ENDED, event.kind);
    assert_string_equal(id, event.run_id);
    assert_int_equal(status, event.status);
}

#define EXITED(code) ((code) << 8)

/* --- records --- */

static bool has_record(const struct test *t, const char *id)
{
    CLEANUP_RECORD struct record *record = NULL;

    return record_open(t->runs, id, &record, NULL) == 0;
}

static int add_event(void *arg, const struct record_event *event)
{
    buf_addf(arg, "%s\n", event->json);
    return 0;
}

static void read_events(const struct test *t, const char *id, struct buf *out)
{
    CLEANUP_RECORD struct record *record = NULL;

    assert_ok(record_open(t->runs, id, &record, &test_err));
    assert_ok(record_events_read(record, 0, add_event, out, &test_err));
}

static void read_log(const struct test *t, const char *id, struct buf *out)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    const struct record_log_filter output = {.streams = RECORD_STDOUT_BIT | RECORD_STDERR_BIT};
    struct record_item item;

    assert_ok(record_open(t->runs, id, &record, &test_err));
    record_log_open(record, &output, &log);
    while (record_log_next(log, &item, &test_err) == RECORD_ITEM)
        buf_add(out, item.data, item.size);
}

/* Until a run has come so far that this is in its log. */
static void await_log(const struct test *t, const char *id, const char *text)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;

    assert_ok(record_open(t->runs, id, &record, &test_err));
    record_watch_open(record, &watch);
    for (;;) {
        CLEANUP_BUF struct buf log = BUF_INIT;

        read_log(t, id, &log);
        if (strstr(log.data, text))
            return;
        assert_ok(record_watch_wait(watch, &t->ctx, -1, &test_err));
    }
}

static void await_end(const struct test *t, const char *id)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;

    assert_ok(record_open(t->runs, id, &record, &test_err));
    record_watch_open(record, &watch);
    while (record_is_written(record))
        assert_ok(record_watch_wait(watch, &t->ctx, -1, &test_err));
}

static void assert_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in: …%s", part, strlen(text) > 800 ? text + strlen(text) - 800 : text);
}

static size_t count_files(const char *path)
{
    DIR *stream = opendir(path);
    size_t count = 0;
    struct dirent *entry;

    assert_non_null(stream);
    while ((entry = readdir(stream)))
        count += *entry->d_name != '.';
    closedir(stream);
    return count;
}

/* --- tests --- */

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
    int64_t before = clock_monotonic_ms();

    launch(t, id,
           STEPS("    - {name: a, grace: 60s, command: \"trap 'echo asked' TERM; echo ready; while "
                 "true; do sleep 0.05; done\"}\n"));
    assert_began(t, id);
    await_log(t, id, "ready");
    assert_ok(control_cancel(&t->ctx, t->runs, id, "", "", &test_err));
    await_log(t, id, "asked");
    assert_ok(control_hurry(&t->ctx, t->runs, id, &test_err));
    assert_ended(t, id, EXITED(143));
    assert_true(clock_monotonic_ms() - before < 60000);
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
    }
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

static size_t count_descriptors(pid_t pid)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    struct dirent *entry;
    size_t count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        TEST(test_a_launcher_elsewhere_stays_for_its_runs),
        TEST(test_a_launcher_elsewhere_is_stopped),
        TEST(test_one_starter_after_the_other),
        TEST(test_a_listening_launcher_is_stopped_and_waits),
        TEST(test_waiting_for_runs_is_cut_short),
        TEST(test_a_launcher_for_others),
        TEST(test_launchers_that_are_none),
        TEST(test_a_launcher_that_is_not_there_yet),
        TEST(test_the_launcher_holds_nothing),
        TEST(test_garbage),
        TEST(test_a_child_of_the_program),
        TEST(test_a_launcher_with_too_much_open),
        TEST(test_a_listening_launcher_with_too_much_open),
        TEST(test_too_many_processes),
        TEST(test_many_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
