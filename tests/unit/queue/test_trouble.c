/* What keeps a queue from seeing how a run is doing, and what it makes of that. */
#include "tests/unit/queue/rig.h"

#include <sys/resource.h>

static struct rlimit descriptors;

/* Nothing can be opened any more. */
static void take_descriptors(void)
{
    int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct rlimit none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &descriptors), 0);
    none = descriptors;
    none.rlim_cur = (rlim_t)first;
    close(first);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void give_descriptors(void)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &descriptors), 0);
}

static void a_record_that_cannot_be_opened(void **state)
{
    CLEANUP_FREE char *a = NULL;

    (void)state;
    open_queue(NULL);
    a = submit_as("x", "a", 0);
    await_started(1);
    pthread_mutex_lock(&fake.mu);
    fake_make_record(fake_find(a));
    fake_end_record(fake_find(a), STATE_SUCCEEDED);
    pthread_mutex_unlock(&fake.mu);
    take_descriptors();
    fake_say(a, QUEUE_BEGUN, 0);
    fake_say(a, QUEUE_ENDED, 0);
    await_heard(a);
    give_descriptors();
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
    assert_string_equal(stored(a).error, "");
    assert_int_equal(stored(a).state, STATE_SUCCEEDED);
}

static void a_launcher_that_dies_before_it_told(void **state)
{
    const struct queue_cancel how = {.by = "ann"};
    CLEANUP_FREE char *a = NULL;

    (void)state;
    open_queue(NULL);
    a = submit_as("x", "a", 0);
    await_started(1);
    fake_die();
    pthread_mutex_lock(&fake.mu);
    while (!fake.fatals)
        pthread_cond_wait(&fake.changed, &fake.mu);
    fake_make_record(fake_find(a));
    pthread_mutex_unlock(&fake.mu);
    assert_ok(queue_cancel(&test_ctx, queue, a, &how, &test_err));
    assert_string_equal(fake.cancelled, a);
    pthread_mutex_lock(&fake.mu);
    fake_end_record(fake_find(a), STATE_CANCELLED);
    pthread_mutex_unlock(&fake.mu);
    await_state(a, STATE_CANCELLED);
}

/* Nobody knows whether it came to fork: what it was asked for waits for the next server, unless
 * there is a record. */
static void a_launcher_that_dies_before_it_began(void **state)
{
    CLEANUP_STORE_SUBMITTED struct store_submitted submitted = {0};
    const struct queue_cancel how = {.by = "ann"};
    CLEANUP_FREE char *a = NULL, *b = NULL;

    (void)state;
    open_queue(NULL);
    a = submit_as("x", "a", 0);
    b = submit_as("x", "b", 0);
    await_started(2);
    fake_die();
    queue_drain(queue);
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
    assert_int_equal(fake.fatals, 1);
    assert_ok(store_read_submitted(&test_ctx, history->store, a, &submitted, &test_err));
    assert_string_equal(submitted.taken_by, "");
    assert_int_equal(queue_position(queue, a), 1);
    assert_ok(queue_cancel(&test_ctx, queue, b, &how, &test_err));
    assert_int_equal(stored(b).state, STATE_CANCELLED);
    pthread_mutex_lock(&fake.mu);
    fake_make_record(fake_find(a));
    pthread_mutex_unlock(&fake.mu);
    await_state(a, STATE_RUNNING);
    pthread_mutex_lock(&fake.mu);
    fake_end_record(fake_find(a), STATE_SUCCEEDED);
    pthread_mutex_unlock(&fake.mu);
    await_state(a, STATE_SUCCEEDED);
    assert_int_equal(fake_find(a)->started, 1);
}

static void a_run_that_cannot_be_handed_over_now(void **state)
{
    CLEANUP_FREE char *a = NULL;

    (void)state;
    fake.short_of = EMFILE;
    open_queue(NULL);
    a = submit_as("x", "a", 0);
    await_starts(a, 1);
    fake_begin(a);
    fake_end(a, STATE_SUCCEEDED);
    await_state(a, STATE_SUCCEEDED);
}

static void a_run_that_cannot_begin_now(void **state)
{
    CLEANUP_FREE char *a = NULL;

    (void)state;
    open_queue(NULL);
    a = submit_as("x", "a", 0);
    await_starts(a, 1);
    fake_refuse(a, ERR_UNAVAILABLE, "not now");
    await_starts(a, 2);
    assert_int_equal(stored(a).state, STATE_PENDING);
    fake_begin(a);
    fake_end(a, STATE_SUCCEEDED);
    await_state(a, STATE_SUCCEEDED);
}

/* It was faster, or its user has cancelled it there. */
static void what_another_server_has_taken(void **state)
{
    CLEANUP_STORE_SUBMITTED struct store_submitted submitted = {0};
    CLEANUP_FREE char *a = NULL, *b = NULL, *c = NULL;

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    a = submit_as("x", "a", 0);
    await_starts(a, 1);
    b = submit_as("x", "b", 0);
    c = submit_as("x", "c", 0);
    assert_ok(store_take(&test_ctx, history->store, b, "other/1/2/3", &submitted, &test_err));
    fake_begin(a);
    fake_end(a, STATE_SUCCEEDED);
    await_starts(c, 1);
    assert_null(fake_find(b));
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        EACH(a_record_that_cannot_be_opened),       EACH(a_launcher_that_dies_before_it_told),
        EACH(a_launcher_that_dies_before_it_began), EACH(a_run_that_cannot_be_handed_over_now),
        EACH(a_run_that_cannot_begin_now),          EACH(what_another_server_has_taken),
    };

    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
