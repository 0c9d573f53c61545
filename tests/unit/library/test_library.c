/* librunner as a program uses it: nothing but runner.h, on pipelines of the host. */
#include "tests/unit/assert_err.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"
#include "runner.h"
#include "tests/unit/library/rows.h"

struct test {
    char dir[64];
    char *history;
    struct runner *runner;
    char id[RUNNER_ID_SIZE];
    struct runner_status status;
    struct buf seen;
    char position[RUNNER_POSITION_SIZE];
};

#define STEPS(steps)        "name: demo\nstages:\n- name: s\n  jobs:\n  - name: j\n    steps:\n" steps
#define STEP(name, command) "    - {name: " name ", command: \"" command "\"}\n"

static int setup(void **state)
{
    struct test *t = xcalloc(1, sizeof(*t));
    const struct runner_options options = {.engines = added_engines,
                                           .engine_names = added_engine_names,
                                           .step_kinds = added_step_kinds,
                                           .service_kinds = added_service_kinds};

    alarm(100);
    err_clear(&test_err);
    t->seen = (struct buf)BUF_INIT;
    snprintf(t->dir, sizeof(t->dir), "/tmp/runner-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    assert_int_equal(0, setenv("XDG_RUNTIME_DIR", t->dir, 1));
    assert_int_equal(0, setenv("HOME", t->dir, 1));
    assert_int_equal(0, setenv("TMPDIR", t->dir, 1));
    assert_int_equal(0, setenv("LOGNAME", "carol", 1));
    assert_int_equal(0, unsetenv("XDG_STATE_HOME"));
    assert_int_equal(0, chdir(t->dir));
    assert_ok(runner_new(&options, &t->runner, &test_err));
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct test *t = *state;

    runner_free(t->runner);
    runner_status_release(&t->status);
    buf_release(&t->seen);
    assert_int_equal(0, chdir("/"));
    assert_int_equal(0, fs_remove_tree(t->dir, NULL));
    free(t);
    return 0;
}

static int start(struct test *t, const char *text)
{
    const struct runner_pipeline pipeline = {.text = text};

    return runner_start(NULL, t->runner, &pipeline, t->id, &test_err);
}

static void await(struct test *t)
{
    runner_status_release(&t->status);
    assert_ok(runner_wait(NULL, t->runner, t->id, &t->status, &test_err));
}

static int add_output(void *arg, const struct runner_event *event)
{
    struct test *t = arg;

    if (event->kind == RUNNER_STDOUT || event->kind == RUNNER_STDERR)
        buf_add(&t->seen, event->data, event->size);
    else if (event->kind == RUNNER_NOTE)
        buf_addf(&t->seen, "%s\n", event->data);
    return 0;
}

static void assert_output(struct test *t, const char *expected)
{
    buf_reset(&t->seen);
    assert_int_equal(0, runner_follow(NULL, t->runner, t->id, NULL, add_output, t, &test_err));
    assert_string_equal(expected, t->seen.data);
}

/* --- runs --- */

static void test_execute(void **state)
{
    struct test *t = *state;
    static const char *const env[] = {"GREETING=hello", NULL};
    static const char *const inputs[] = {"who=world", NULL};
    const struct runner_pipeline pipeline = {.text =
                                                 "inputs: {who: {type: string}}\n"
                                                 "environment: {WHO: '{{ inputs.who }}'}\n" STEPS(
                                                     STEP("a", "echo $GREETING $WHO")),
                                             .env = env,
                                             .inputs = inputs};

    assert_ok(runner_execute(NULL, t->runner, &pipeline, &t->status, &test_err));
    assert_int_equal(STATE_SUCCEEDED, t->status.state);
    assert_int_equal(0, t->status.exit_status);
    assert_string_equal("demo", t->status.name);
    assert_string_equal("", t->status.error);
    assert_true(t->status.began_ms > 0 && t->status.ended_ms >= t->status.began_ms);
}

static void test_status(void **state)
{
    struct test *t = *state;

    assert_ok(start(t, STEPS(STEP("a", "until test -e go; do sleep 0.02; done; exit 3"))));
    assert_ok(runner_status(t->runner, t->id, &t->status, &test_err));
    assert_true(t->status.goes_on);
    assert_int_equal(-1, t->status.exit_status);
    assert_int_equal(0, t->status.ended_ms);
    assert_ok(fs_write_file("go", "", 0, 0600, &test_err));
    await(t);
    assert_false(t->status.goes_on);
    assert_int_equal(STATE_FAILED, t->status.state);
    assert_int_equal(REASON_ERROR, t->status.reason);
    assert_int_equal(1, t->status.exit_status);
    assert_non_null(strstr(t->status.error, "step \"a\" failed: exit code 3"));
}

static void test_what_cannot_begin(void **state)
{
    struct test *t = *state;
    static const char text[] = STEPS("    - {name: a, command: b, nope: 1}\n");
    const struct runner_pipeline pipeline = {.text = text, .name = "demo.yaml"};
    CLEANUP_FREE char *lines = NULL;
    CLEANUP_FREE char *none = NULL;

    assert_error(start(t, text), ERR_INVALID);
    assert_message("pipeline:7:29: error: unknown key \"nope\"");
    assert_int_equal(-1, runner_check(t->runner, &pipeline, &lines));
    assert_non_null(strstr(lines, "demo.yaml:7:29: error: unknown key \"nope\""));
    assert_int_equal(0,
                     runner_check(t->runner,
                                  &(struct runner_pipeline){.text = STEPS(STEP("a", "b"))}, &none));
    assert_string_equal("", none);
}

static void test_runs_of_others(void **state)
{
    struct test *t = *state;

    assert_error(runner_status(t->runner, "01m81jnyg158yx8tfa5y40", &t->status, &test_err),
                 ERR_NOT_FOUND);
    assert_error(runner_wait(NULL, t->runner, "01m81jnyg158yx8tfa5y40", NULL, &test_err),
                 ERR_NOT_FOUND);
    assert_error(runner_cancel(NULL, t->runner, "nope!", "", "", &test_err), ERR_INVALID);
}

static void test_cancel(void **state)
{
    struct test *t = *state;

    assert_ok(start(t, STEPS(STEP("a", "sleep 60"))));
    assert_ok(runner_cancel(NULL, t->runner, t->id, "wrong branch", "alice", &test_err));
    await(t);
    assert_int_equal(STATE_CANCELLED, t->status.state);
    assert_int_equal(143, t->status.exit_status);
    assert_string_equal("cancelled by alice: wrong branch", t->status.error);
    assert_output(t, "cancelled by alice: wrong branch\n");
    assert_error(runner_cancel(NULL, t->runner, t->id, "", "", &test_err), ERR_CONFLICT);
}

static void test_a_context_ends_an_execution(void **state)
{
    struct test *t = *state;
    const struct runner_pipeline pipeline = {.text = STEPS(STEP("a", "sleep 60"))};
    struct ctx ctx;

    ctx_init_cleanup(&ctx, 100);
    ctx.label = "the test:";
    assert_ok(runner_execute(&ctx, t->runner, &pipeline, &t->status, &test_err));
    ctx_release(&ctx);
    assert_int_equal(STATE_CANCELLED, t->status.state);
    assert_non_null(strstr(t->status.error, "cancelled: "));
}

static void test_stop(void **state)
{
    struct test *t = *state;
    char ids[3][RUNNER_ID_SIZE];

    for (size_t i = 0; i < 3; i++) {
        assert_ok(start(t, STEPS(STEP("a", "sleep 60"))));
        memcpy(ids[i], t->id, sizeof(t->id));
    }
    assert_ok(runner_stop(NULL, t->runner, "going home", &test_err));
    for (size_t i = 0; i < 3; i++) {
        runner_status_release(&t->status);
        assert_ok(runner_status(t->runner, ids[i], &t->status, &test_err));
        assert_false(t->status.goes_on);
        assert_string_equal("cancelled: going home", t->status.error);
    }
    assert_ok(runner_stop(NULL, t->runner, NULL, &test_err));
}

/* Another program, or this one when it was started anew, knows as much of it. */
static void test_runs_outlive_the_runner(void **state)
{
    struct test *t = *state;

    assert_ok(start(t, STEPS(STEP("a", "until test -e go; do sleep 0.02; done; echo went"))));
    runner_free(t->runner);
    t->runner = NULL;
    assert_ok(runner_new(NULL, &t->runner, &test_err));
    assert_ok(runner_status(t->runner, t->id, &t->status, &test_err));
    assert_true(t->status.goes_on);
    assert_ok(fs_write_file("go", "", 0, 0600, &test_err));
    await(t);
    assert_int_equal(STATE_SUCCEEDED, t->status.state);
    assert_output(t, "went\n");
}

static void *start_some(void *arg)
{
    struct test *t = arg;
    const struct runner_pipeline pipeline = {.text = STEPS(STEP("a", "true"))};

    for (int i = 0; i < 5; i++) {
        struct runner_status status;
        struct err err = ERR_INIT;

        if (runner_execute(NULL, t->runner, &pipeline, &status, &err) < 0)
            return xstrdup(err.message);
        if (status.state != STATE_SUCCEEDED)
            return status.error;
        runner_status_release(&status);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct test *t = *state;
    struct runner *other;
    pthread_t threads[6];

    for (size_t i = 0; i < 6; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, start_some, t));
#ifndef __SANITIZE_THREAD__
    assert_error(runner_new(NULL, &other, &test_err), ERR_CONFLICT);
    assert_message("runner_new() forks");
#else
    (void)other;
#endif
    for (size_t i = 0; i < 6; i++) {
        void *error;

        pthread_join(threads[i], &error);
        if (error)
            fail_msg("%s", (char *)error);
    }
}

/* --- subscriptions --- */

struct subscriber {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    struct buf text; /* guarded by mu, as what follows */
    char position[RUNNER_POSITION_SIZE];
    bool ended;
};

static int hear(void *arg, const struct runner_event *event)
{
    struct subscriber *s = arg;

    pthread_mutex_lock(&s->mu);
    if (event->kind == RUNNER_STDOUT)
        buf_addf(&s->text, "%s:%.*s", event->node, (int)event->size, event->data);
    else if (event->kind == RUNNER_STATE && strstr(event->data, "\"StepStarted\""))
        buf_addstr(&s->text, "started\n");
    else if (event->kind == RUNNER_STATE && strstr(event->data, "\"RunEnded\""))
        buf_addstr(&s->text, "ended\n");
    if (event->kind == RUNNER_STDOUT)
        snprintf(s->position, sizeof(s->position), "%s", event->position);
    s->ended = event->kind == RUNNER_END;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mu);
    return 0;
}

static void test_subscribe(void **state)
{
    struct test *t = *state;
    struct subscriber s = {.mu = PTHREAD_MUTEX_INITIALIZER,
                           .cond = PTHREAD_COND_INITIALIZER,
                           .text = BUF_INIT};
    struct runner_subscription *subscription;
    char position[RUNNER_POSITION_SIZE];

    assert_ok(start(t, STEPS(STEP("a", "echo one; until test -e go; do sleep 0.02; done; echo two")
                                 STEP("b", "echo three"))));
    assert_ok(runner_subscribe(t->runner, t->id, NULL, hear, &s, &subscription, &test_err));
    pthread_mutex_lock(&s.mu);
    while (!strstr(s.text.data, "one"))
        pthread_cond_wait(&s.cond, &s.mu);
    memcpy(position, s.position, sizeof(position));
    pthread_mutex_unlock(&s.mu);
    assert_ok(fs_write_file("go", "", 0, 0600, &test_err));
    pthread_mutex_lock(&s.mu);
    while (!s.ended)
        pthread_cond_wait(&s.cond, &s.mu);
    assert_string_equal("started\n0.0.0:one\n0.0.0:two\nstarted\n0.0.1:three\nended\n",
                        s.text.data);
    buf_reset(&s.text);
    s.ended = false;
    pthread_mutex_unlock(&s.mu);
    runner_unsubscribe(subscription);
    assert_int_equal(0, runner_follow(NULL, t->runner, t->id, position, hear, &s, &test_err));
    assert_string_equal("0.0.0:two\nstarted\n0.0.1:three\nended\n", s.text.data);
    buf_release(&s.text);
}

static int enough(void *arg, const struct runner_event *event)
{
    (void)event;
    return ++*(int *)arg == 2 ? 42 : 0;
}

static void test_a_subscriber_that_has_seen_enough(void **state)
{
    struct test *t = *state;
    struct runner_subscription *subscription;
    int count = 0;

    assert_ok(start(t, STEPS(STEP("a", "sleep 60"))));
    assert_ok(runner_subscribe(t->runner, t->id, NULL, add_output, t, &subscription, &test_err));
    runner_unsubscribe(subscription);
    assert_int_equal(42, runner_follow(NULL, t->runner, t->id, NULL, enough, &count, &test_err));
    assert_error(runner_subscribe(t->runner, t->id, "nowhere", enough, &count, &subscription,
                                  &test_err),
                 ERR_INVALID);
    assert_ok(runner_stop(NULL, t->runner, NULL, &test_err));
}

/* --- rows --- */

static void test_an_engine(void **state)
{
    struct test *t = *state;

    assert_ok(
        start(t, "engine: shout://somewhere\n" STEPS("    - {name: 'why?', command: unused}\n")));
    await(t);
    assert_int_equal(STATE_SUCCEEDED, t->status.state);
    assert_output(t, "/bin/echo because\n");
    assert_ok(start(t, "engine: loud://nowhere\n" STEPS(STEP("a", "b"))));
    await(t);
    assert_int_equal(STATE_FAILED, t->status.state);
    assert_int_equal(3, t->status.exit_status);
    assert_non_null(strstr(t->status.error, "there is nobody at loud://nowhere"));
}

static void test_a_kind_of_steps(void **state)
{
    struct test *t = *state;

    assert_ok(start(t, STEPS(STEP("a", "echo plain") "    - {name: 'why?', command: unused}\n")));
    await(t);
    assert_int_equal(STATE_SUCCEEDED, t->status.state);
    assert_output(t, "plain\nbecause\n");
}

static void test_a_kind_of_services(void **state)
{
    struct test *t = *state;

    assert_ok(start(t, STEPS("    - {name: a, service: {type: billboard, name: sign, version: v1, "
                             "config: 'text: BUY'}}\n")));
    await(t);
    assert_string_equal("", t->status.error);
    assert_output(t, "sign is deployed: text: BUY\n");
    assert_error(start(t, STEPS("    - {name: a, service: {type: placard, name: sign, version: v1, "
                                "config: 'text: BUY'}}\n")),
                 ERR_INVALID);
    assert_message("\"type\" must be docker-compose, docker-swarm, kubernetes or billboard");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_execute),
        TEST(test_status),
        TEST(test_what_cannot_begin),
        TEST(test_runs_of_others),
        TEST(test_cancel),
        TEST(test_a_context_ends_an_execution),
        TEST(test_stop),
        TEST(test_runs_outlive_the_runner),
        TEST(test_threads),
        TEST(test_subscribe),
        TEST(test_a_subscriber_that_has_seen_enough),
        TEST(test_an_engine),
        TEST(test_a_kind_of_steps),
        TEST(test_a_kind_of_services),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
