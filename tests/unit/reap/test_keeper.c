/* The keeper: what happens when one of runner, keeper and supervisor is killed. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../fixture/guard.h"
#include "../fixture/host.h"
#include "base/fs.h"

struct test {
    struct host_fixture f;
    struct collector out;
    struct exit_record record;
    struct err err;
};

static int setup(void **state)
{
    struct test *t = xcalloc(1, sizeof(*t));

    alarm(100);
    host_fixture_scratch(&t->f);
    host_fixture_init(&t->f);
    collector_init(&t->out);
    t->out.arg = t;
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct test *t = *state;

    collector_release(&t->out);
    host_fixture_release(&t->f);
    free(t);
    return 0;
}

static int shell(struct test *t, const char *script)
{
    return host_fixture_shell(&t->f, &t->f.root, script, &t->out, &t->record, &t->err);
}

static void assert_lost(const struct test *t)
{
    assert_int_equal(EXIT_LOST, t->record.kind);
    assert_int_equal(REASON_LOST, t->record.reason);
    assert_string_equal("the process that supervises the step has died; how the step ended is not "
                        "known",
                        t->record.detail);
    assert_int_equal(0, processes_with(t->f.cookie));
}

static void kill_printed(struct collector *collector)
{
    pid_t pid = (pid_t)strtol(collector->streams[0].data, NULL, 10);

    assert_int_equal(0, kill(pid, SIGKILL));
}

static void supervisor_killed_in_mid_step(void **state)
{
    struct test *t = *state;

    t->out.trigger = "\n";
    t->out.on_trigger = kill_printed;
    assert_int_equal(0, shell(t, "setsid sleep 1000 & echo $PPID; wait"));
    assert_lost(t);
    /* The next step gets another one. */
    assert_int_equal(0, shell(t, "exit 4"));
    assert_int_equal(EXIT_CODE, t->record.kind);
    assert_int_equal(4, t->record.code);
}

/* By the step itself, which is then ended. */
static void supervisor_killed_by_its_step(void **state)
{
    struct test *t = *state;

    assert_int_equal(0, shell(t, "kill -KILL $PPID; exec sleep 1000"));
    assert_lost(t);
}

static void idle_supervisor_killed(void **state)
{
    struct test *t = *state;

    assert_int_equal(0, shell(t, "echo $PPID"));
    kill_printed(&t->out);
    /* Once the number is free the keeper has waited for it: its socket is closed. */
    while (kill((pid_t)strtol(t->out.streams[0].data, NULL, 10), 0) == 0)
        sched_yield();
    assert_int_equal(0, shell(t, "exit 4"));
    assert_int_equal(EXIT_CODE, t->record.kind);
    assert_int_equal(4, t->record.code);
}

static void kill_keeper(struct collector *collector)
{
    struct test *t = collector->arg;

    assert_int_equal(0, kill(keeper_pid(t->f.keeper), SIGKILL));
}

static void keeper_killed_in_mid_step(void **state)
{
    struct test *t = *state;
    siginfo_t info;

    t->out.trigger = "ready\n";
    t->out.on_trigger = kill_keeper;
    if (shell(t, "setsid sleep 1000 & echo ready; wait") < 0)
        fail_msg("%s", t->err.message);
    assert_lost(t);
    assert_int_equal(0, waitid(P_PID, (id_t)keeper_pid(t->f.keeper), &info, WEXITED | WNOWAIT));
    assert_int_equal(-1, shell(t, "true"));
    assert_int_equal(ERR_LOST, t->err.code);
    assert_string_equal("the keeper process has died; nothing more can be started, because nobody "
                        "would clean up after it",
                        t->err.message);
}

static void terminal_signals_do_not_reach_the_helpers(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct test *t = *state;

    assert_int_equal(0, shell(t, "echo $PPID"));
    for (size_t i = 0; i < 4; i++) {
        kill(keeper_pid(t->f.keeper), signals[i]);
        kill((pid_t)strtol(t->out.streams[0].data, NULL, 10), signals[i]);
    }
    assert_int_equal(0, shell(t, "echo $PPID; exit 4"));
    assert_int_equal(4, t->record.code);
    assert_memory_equal(t->out.streams[0].data, strchr(t->out.streams[0].data, '\n') + 1, 2);
}

/* `runner | cat` must end with the runner: nobody else may hold its descriptors. */
static void descriptors_of_the_runner_are_let_go(void **state)
{
    struct host_fixture f;
    struct collector out;
    struct exit_record record;
    int ends[2];
    char byte;

    (void)state;
    alarm(100);
    assert_int_equal(0, pipe(ends));
    host_fixture_scratch(&f);
    host_fixture_init(&f);
    collector_init(&out);
    assert_int_equal(0, host_fixture_shell(&f, &f.root, "true", &out, &record, NULL));
    close(ends[1]);
    assert_int_equal(0, read(ends[0], &byte, 1));
    close(ends[0]);
    collector_release(&out);
    host_fixture_release(&f);
}

static void *work(void *arg)
{
    struct host_fixture *f = arg;
    struct place_options options = {.id = "job", .name = "job", .workspace = f->scratch};
    const char *const argv[] = {"sh", "@files@/script", NULL};
    const char script[] = "setsid sleep 1000 & (sleep 1000 & ) & echo x; sleep 0.01";
    const struct runnable_file file = {"script", script, sizeof(script) - 1, false};
    const struct runnable r = {.name = "step",
                               .argv = argv,
                               .environment = &f->environment,
                               .files = &file,
                               .file_count = 1};
    struct place *place;
    struct collector out;
    struct exit_record record;

    collector_init(&out);
    if (host_engine.open(&f->root, f->instance, &options, &place, NULL) < 0)
        _exit(1);
    while (host_engine.run(&f->root, place, &r, &out.output, &record, NULL) == 0)
        ;
    _exit(1);
}

/* Plays a runner that works until it is killed. */
static void __attribute__((noreturn)) play_runner(struct host_fixture *f)
{
    pthread_t threads[3];

    host_fixture_init(f);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, work, f);
    pthread_join(threads[0], NULL);
    _exit(1);
}

/* This process adopts the orphans, so when it has no children left everything has ended. */
static void await_all(void)
{
    while (wait(NULL) > 0)
        ;
}

static void runner_killed_at_random_moments(void **state)
{
    (void)state;
    alarm(200);
    assert_int_equal(0, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    srandom((unsigned)getpid());
    for (int i = 0; i < 60; i++) {
        struct timespec moment = {.tv_nsec = random() % 30000000};
        struct host_fixture f;
        pid_t pid;

        host_fixture_scratch(&f);
        pid = fork();
        if (pid == 0)
            play_runner(&f);
        nanosleep(&moment, NULL);
        kill(pid, SIGKILL);
        await_all();
        assert_int_equal(0, processes_with(f.cookie));
        host_fixture_assert_no_state(&f);
        assert_true(entries_in(f.scratch) <= 1); /* runner/, the state directory */
        strmap_release(&f.environment);
        assert_int_equal(0, fs_remove_tree(f.scratch, NULL));
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

static char log_path[128];

static void fake_log(const char *what)
{
    int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (write(fd, what, strlen(what)) < 0)
        abort();
    close(fd);
}

static struct {
    int refusals; /* connections that fail */
    int finds[8]; /* what each sweep finds */
    int sweep;
} fake_plan;

static int fake_connect(const struct ctx *ctx, const struct engine_services *services,
                        const char *url, struct engine_instance **ret, struct err *err)
{
    (void)ctx;
    (void)services;
    fake_log(url);
    if (fake_plan.refusals-- > 0) {
        fake_log(" refused\n");
        return err_set(err, ERR_UNAVAILABLE, "nobody there");
    }
    fake_log(" connected\n");
    *ret = NULL;
    return 0;
}

static void fake_disconnect(struct engine_instance *instance)
{
    (void)instance;
    fake_log("disconnected\n");
}

static int fake_sweep(const struct ctx *ctx, struct engine_instance *instance,
                      const struct sweep_request *request, size_t *ret_count, struct err *err)
{
    char line[64];

    (void)ctx;
    (void)instance;
    (void)err;
    *ret_count = (size_t)fake_plan.finds[fake_plan.sweep++];
    snprintf(line, sizeof(line), "swept %s %zu\n", request->run_id ? "one" : "all", *ret_count);
    fake_log(line);
    return 0;
}

static const struct engine fake_engine = {.name = "fake",
                                          .connect = fake_connect,
                                          .disconnect = fake_disconnect,
                                          .sweep = fake_sweep};

static void no_supervisor(int socket, int keeper)
{
    (void)socket;
    (void)keeper;
}

/* A runner that notes an endpoint and then ends, with or without a goodbye. Returns the log. */
static void play_with_fake(struct host_fixture *f, bool goodbye, bool keep, struct buf *log)
{
    static const struct engine *const engines[] = {&fake_engine, NULL};
    pid_t pid;

    host_fixture_scratch(f);
    snprintf(log_path, sizeof(log_path), "%s/log", f->scratch);
    assert_int_equal(0, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    pid = fork();
    if (pid == 0) {
        struct engine_services services = {.keep = keep};
        struct keeper_options options = {.engines = engines,
                                         .services = &services,
                                         .supervisor = no_supervisor};
        struct keeper *keeper;

        if (own_run_begin(NULL, &options.run, NULL) < 0 ||
            keeper_start(&options, &keeper, NULL) < 0 ||
            own_run_note(options.run, OWN_ENDPOINT, "fake://there", NULL) < 0 ||
            !own_run_temp_dir(options.run, NULL))
            _exit(1);
        if (goodbye) {
            own_run_end(options.run);
            keeper_stop(keeper);
        }
        _exit(0);
    }
    await_all();
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    if (fs_exists(log_path))
        assert_int_equal(0, fs_read_file(log_path, 4096, log, NULL));
    unlink(log_path);
}

static void release_scratch(struct host_fixture *f)
{
    strmap_release(&f->environment);
    assert_int_equal(0, fs_remove_tree(f->scratch, NULL));
}

static void sweeps_until_two_find_nothing(void **state)
{
    CLEANUP_BUF struct buf log = BUF_INIT;
    struct host_fixture f;

    (void)state;
    fake_plan.refusals = 1;
    fake_plan.sweep = 0;
    memcpy(fake_plan.finds, (int[8]){2, 0, 1, 0, 0}, sizeof(fake_plan.finds));
    play_with_fake(&f, false, false, &log);
    assert_string_equal("fake://there refused\nfake://there connected\nswept one 2\nswept one 0\n"
                        "swept one 1\nswept one 0\nswept one 0\ndisconnected\n",
                        log.data);
    host_fixture_assert_no_state(&f);
    assert_int_equal(1, entries_in(f.scratch));
    release_scratch(&f);
}

static void goodbye_sweeps_nothing(void **state)
{
    CLEANUP_BUF struct buf log = BUF_INIT;
    struct host_fixture f;

    (void)state;
    play_with_fake(&f, true, false, &log);
    assert_string_equal("", log.data);
    host_fixture_assert_no_state(&f);
    release_scratch(&f);
}

static void keep_leaves_everything_to_be_reaped(void **state)
{
    CLEANUP_BUF struct buf log = BUF_INIT;
    struct host_fixture f;
    struct own_journal *journals;
    size_t count;

    (void)state;
    play_with_fake(&f, false, true, &log);
    assert_string_equal("", log.data);
    assert_int_equal(0, own_journals_read(NULL, &journals, &count, NULL));
    assert_int_equal(1, count);
    assert_false(journals[0].alive);
    assert_true(fs_exists(journals[0].directories[0]));
    own_journals_free(journals, count);
    release_scratch(&f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int tests(void)
{
    const struct CMUnitTest all[] = {
        TEST(supervisor_killed_in_mid_step),
        TEST(supervisor_killed_by_its_step),
        TEST(idle_supervisor_killed),
        TEST(keeper_killed_in_mid_step),
        TEST(terminal_signals_do_not_reach_the_helpers),
        cmocka_unit_test(descriptors_of_the_runner_are_let_go),
        cmocka_unit_test(runner_killed_at_random_moments),
        cmocka_unit_test(sweeps_until_two_find_nothing),
        cmocka_unit_test(goodbye_sweeps_nothing),
        cmocka_unit_test(keep_leaves_everything_to_be_reaped),
    };

    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(void)
{
    return guarded(tests);
}
