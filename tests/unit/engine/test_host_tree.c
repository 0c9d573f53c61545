/* The host engine: nothing of a step's process tree is left, however it ends. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "../fixture/guard.h"
#include "../fixture/host.h"
#include "base/fs.h"

/* A process in a session of its own, one that was forked twice and holds nothing of the step's, and
 * one in the background that keeps the output open. All are up when "ready" is printed. */
#define ESCAPE                                                                                     \
    "mkfifo f g; setsid sh -c 'echo >f; exec sleep 1000' & read x <f;"                             \
    "(setsid sh -c 'echo >g; exec sleep 1000' </dev/null >/dev/null 2>&1 &); read x <g;"           \
    "sleep 1000 & echo ready;"

/* What a shell with a trap does: a trap set off just before dash blocks in `wait` is lost in it. */
#define LINGER "while :; do sleep 0.01; done"

struct test {
    struct host_fixture f;
    struct collector out;
    struct ctx_signal hurry;
    struct ctx ctx; /* of the step: can be cancelled */
    struct exit_record record;
    struct err err;
    bool escaped; /* ESCAPE's processes were seen */
};

static int setup(void **state)
{
    struct test *t = xcalloc(1, sizeof(*t));

    alarm(100); /* a step that is not ended would hang */
    host_fixture_scratch(&t->f);
    host_fixture_init(&t->f);
    collector_init(&t->out);
    t->out.arg = t;
    assert_int_equal(0, ctx_signal_init(&t->hurry, NULL));
    t->f.root.hurry = &t->hurry;
    assert_int_equal(0, ctx_init_cancel(&t->ctx, &t->f.root, NULL));
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct test *t = *state;

    ctx_release(&t->ctx);
    collector_release(&t->out);
    host_fixture_release(&t->f);
    ctx_signal_release(&t->hurry);
    free(t);
    return 0;
}

/* In the middle of its exec a process shows no environment. */
static void await_escape(struct collector *collector)
{
    struct test *t = collector->arg;

    while (processes_with(t->f.cookie) < 4)
        sched_yield();
    t->escaped = true;
}

static void let_go(struct collector *collector)
{
    struct test *t = collector->arg;
    CLEANUP_FREE char *gate = fs_join(t->f.scratch, "h");

    await_escape(collector);
    CLEANUP_FD int fd = open(gate, O_WRONLY | O_CLOEXEC);
    assert_int_equal(1, write(fd, "\n", 1));
}

static void cancel(struct collector *collector)
{
    struct test *t = collector->arg;

    ctx_cancel(&t->ctx, CTX_CAUSE_USER);
}

static void cancel_escape(struct collector *collector)
{
    await_escape(collector);
    cancel(collector);
}

static void cancel_and_hurry(struct collector *collector)
{
    struct test *t = collector->arg;

    cancel_escape(collector);
    ctx_signal_raise(&t->hurry, CTX_CAUSE_USER);
}

static int run(struct test *t, const char *script, void (*when_ready)(struct collector *),
               int64_t grace_ms)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct runnable runnable = {.name = "step",
                                      .argv = argv,
                                      .environment = &t->f.environment,
                                      .grace_ms = grace_ms};

    t->out.trigger = when_ready ? "ready\n" : NULL;
    t->out.on_trigger = when_ready;
    return host_engine.run(&t->ctx, t->f.place, &runnable, &t->out.output, &t->record, &t->err);
}

static void assert_cancelled(const struct test *t, int result)
{
    assert_int_equal(-1, result);
    assert_int_equal(ERR_CANCELLED, t->err.code);
    assert_string_equal("cancelled", t->err.message);
    assert_int_equal(0, processes_with(t->f.cookie));
    assert_string_equal("", t->out.notes.data);
}

static void gone_after_success(void **state)
{
    struct test *t = *state;

    assert_int_equal(0, run(t, "mkfifo h;" ESCAPE "read x <h; exit 5", let_go, 1000));
    assert_true(t->escaped);
    assert_int_equal(0, processes_with(t->f.cookie));
    assert_int_equal(EXIT_CODE, t->record.kind);
    assert_int_equal(5, t->record.code);
    assert_string_equal("", t->out.notes.data);
}

static void gone_after_cancel(void **state)
{
    struct test *t = *state;

    assert_cancelled(t, run(t, ESCAPE "wait", cancel_escape, 3600000));
    assert_true(t->escaped);
}

/* Everything ignores SIGTERM. */
static void gone_after_the_grace(void **state)
{
    struct test *t = *state;

    assert_cancelled(t,
                     run(t, "trap '' TERM;" ESCAPE "while :; do wait; done", cancel_escape, 200));
    assert_true(t->escaped);
}

static void hurry_ends_the_grace(void **state)
{
    struct test *t = *state;

    assert_cancelled(t, run(t, "trap '' TERM;" ESCAPE "while :; do wait; done", cancel_and_hurry,
                            3600000));
}

static void gone_after_timeout(void **state)
{
    struct test *t = *state;

    ctx_set_timeout(&t->ctx, 2500, "step \"x\"");
    assert_int_equal(-1, run(t, ESCAPE "wait", await_escape, 1000));
    assert_int_equal(ERR_TIMEOUT, t->err.code);
    assert_string_equal("step \"x\" timeout after 2500 milliseconds", t->err.message);
    assert_int_equal(0, processes_with(t->f.cookie));
}

static void nothing_starts_in_an_ended_context(void **state)
{
    struct test *t = *state;
    CLEANUP_FREE char *path = fs_join(t->f.scratch, "started");

    ctx_cancel(&t->ctx, CTX_CAUSE_FAIL_FAST);
    assert_cancelled(t, run(t, ": >started", NULL, 1000));
    assert_false(fs_exists(path));
}

/* SIGTERM can be acted on: by the main process … */
static void main_process_can_clean_up(void **state)
{
    struct test *t = *state;

    assert_cancelled(t,
                     run(t, "trap 'echo bye; exit 0' TERM; echo ready;" LINGER, cancel, 3600000));
    assert_string_equal("ready\nbye\n", t->out.streams[0].data);
}

/* … by what it started, which has the grace also when the main process dies at once … */
static void children_can_clean_up(void **state)
{
    struct test *t = *state;

    assert_cancelled(t, run(t,
                            "mkfifo f g h; sh -c 'trap \"read x <g; echo saved; exit\" TERM; "
                            "echo >f;" LINGER "' & read x <f;"
                            "sh -c 'trap \"\" TERM; echo >h; while kill -0 $0; do :; done; "
                            "echo >g' $$ 2>/dev/null & read x <h; echo ready; wait",
                            cancel, 3600000));
    assert_string_equal("ready\nsaved\n", t->out.streams[0].data);
}

/* … and by what has left the process group. */
static void escapees_get_sigterm(void **state)
{
    struct test *t = *state;

    assert_cancelled(t, run(t,
                            "mkfifo f; setsid sh -c 'trap \"echo saved; exit\" TERM; "
                            "echo >f;" LINGER "' & read x <f; echo ready; wait",
                            cancel, 3600000));
    assert_string_equal("ready\nsaved\n", t->out.streams[0].data);
}

static void stopped_processes_end(void **state)
{
    struct test *t = *state;

    assert_cancelled(t, run(t, "trap 'echo bye; exit 0' TERM; echo ready; kill -STOP $$; wait",
                            cancel, 3600000));
    assert_string_equal("ready\nbye\n", t->out.streams[0].data);
}

/* Processes that fork faster than one is killed; without the test they stop by themselves. */
static void forking_tree_ends(void **state)
{
    struct test *t = *state;
    CLEANUP_FREE char *script = xasprintf(
        "up() { kill -0 %ld 2>/dev/null; }; f() { up || exit; (f) & (sleep 1000) & wait; }; "
        "for i in 1 2 3 4 5 6 7 8; do (while up; do (:) & wait; done) & done; "
        "(f) >/dev/null 2>&1 & mkfifo p; (sleep 0.02; echo >p) & read x <p; exit 0",
        (long)getpid());

    assert_int_equal(0, run(t, script, NULL, 1000));
    assert_int_equal(0, processes_with(t->f.cookie));
}

/* The supervisor serves on after each of these endings. */
static void supervisor_is_reused_after_a_cancel(void **state)
{
    struct test *t = *state;
    struct ctx other;
    char *first;

    assert_cancelled(t, run(t, "echo $PPID; echo ready; sleep 1000", cancel, 3600000));
    first = xstrndup(t->out.streams[0].data, strcspn(t->out.streams[0].data, "\n") + 1);
    buf_reset(&t->out.streams[0]);
    ctx_init(&other, &t->f.root);
    assert_int_equal(0,
                     host_fixture_shell(&t->f, &other, "echo $PPID", &t->out, &t->record, &t->err));
    assert_string_equal(first, t->out.streams[0].data);
    free(first);
    ctx_release(&other);
}

static void stop_reading(struct collector *collector)
{
    collector->room_fd = eventfd(0, EFD_CLOEXEC);
    assert_true(collector->room_fd >= 0);
}

static void stop_reading_and_cancel(struct collector *collector)
{
    stop_reading(collector);
    cancel(collector);
}

static void read_again(struct test *t)
{
    close(t->out.room_fd);
    t->out.room_fd = -1;
}

/* Nobody reads what the step prints: it is stopped all the same, its grace is over with its last
 * process, and what it had printed comes … */
static void stuck_reader_does_not_delay_a_cancel(void **state)
{
    struct test *t = *state;

    assert_cancelled(t, run(t, "trap 'echo bye; exit' TERM; echo ready;" LINGER,
                            stop_reading_and_cancel, 3600000));
    assert_string_equal("ready\nbye\n", t->out.streams[0].data);
    read_again(t);
}

/* … also when it is stuck in a write … */
static void stuck_writer_is_terminated(void **state)
{
    struct test *t = *state;

    assert_cancelled(t, run(t, "echo ready; yes", stop_reading_and_cancel, 3600000));
    read_again(t);
}

static void stuck_writer_is_killed(void **state)
{
    struct test *t = *state;

    assert_cancelled(t, run(t, "trap '' TERM; echo ready; yes", stop_reading_and_cancel, 200));
    read_again(t);
}

/* … and one that has ended by itself keeps its result, however its wait for the reader ends. */
static void stuck_reader_does_not_change_the_result(void **state)
{
    struct test *t = *state;

    ctx_set_timeout(&t->ctx, 2000, "step \"x\"");
    assert_int_equal(0, run(t, "echo ready; sleep 1000 & echo last; exit 3", stop_reading, 1000));
    assert_true(ctx_expired(&t->ctx));
    assert_int_equal(EXIT_CODE, t->record.kind);
    assert_int_equal(3, t->record.code);
    assert_string_equal("ready\nlast\n", t->out.streams[0].data);
    assert_int_equal(0, processes_with(t->f.cookie));
    assert_string_equal("", t->out.notes.data);
    read_again(t);
}

struct worker {
    pthread_t thread;
    struct test *test;
    int failures;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct host_fixture *f = &w->test->f;
    struct place_options options = {.id = "job", .name = "job", .workspace = f->scratch};
    struct place *place;

    if (host_engine.open(&f->root, f->instance, &options, &place, NULL) < 0)
        return NULL;
    for (int i = 0; i < 20; i++) {
        char script[64];
        const char *const argv[] = {"sh", "-c", script, NULL};
        const struct runnable r = {.name = "step", .argv = argv, .environment = &f->environment};
        struct exit_record record = {.kind = EXIT_LOST};
        struct collector out;

        snprintf(script, sizeof(script), "echo %d; sleep 1000 & exit %d", i, i);
        collector_init(&out);
        if (host_engine.run(&f->root, place, &r, &out.output, &record, NULL) < 0 ||
            record.kind != EXIT_CODE || record.code != i ||
            strtol(out.streams[0].data, NULL, 10) != i)
            w->failures++;
        collector_release(&out);
    }
    host_engine.close(place);
    return NULL;
}

static void many_at_once(void **state)
{
    struct test *t = *state;
    struct worker workers[16];

    for (int i = 0; i < 16; i++) {
        workers[i] = (struct worker){.test = t};
        assert_int_equal(0, pthread_create(&workers[i].thread, NULL, work, &workers[i]));
    }
    for (int i = 0; i < 16; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(0, workers[i].failures);
    }
    assert_int_equal(0, processes_with(t->f.cookie));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int tests(void)
{
    const struct CMUnitTest all[] = {
        TEST(gone_after_success),
        TEST(gone_after_cancel),
        TEST(gone_after_the_grace),
        TEST(hurry_ends_the_grace),
        TEST(gone_after_timeout),
        TEST(nothing_starts_in_an_ended_context),
        TEST(main_process_can_clean_up),
        TEST(children_can_clean_up),
        TEST(escapees_get_sigterm),
        TEST(stopped_processes_end),
        TEST(forking_tree_ends),
        TEST(supervisor_is_reused_after_a_cancel),
        TEST(stuck_reader_does_not_delay_a_cancel),
        TEST(stuck_writer_is_terminated),
        TEST(stuck_writer_is_killed),
        TEST(stuck_reader_does_not_change_the_result),
        TEST(many_at_once),
    };

    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(void)
{
    return guarded(tests);
}
