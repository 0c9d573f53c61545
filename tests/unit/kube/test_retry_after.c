/* How long clients wait before they ask again. What they wait for is written down here instead of
 * waited for, except where a wait is to be ended. */
#include "tests/unit/kube/fake.h"

#include <pthread.h>
#include <semaphore.h>

#include "apis/kube/object.h"
#include "apis/kube/watch.h"
#include "base/json_at.h"

int __real_ctx_sleep(const struct ctx *ctx, int64_t ms, struct err *err);
int __wrap_ctx_sleep(const struct ctx *ctx, int64_t ms, struct err *err);

static struct kube_cluster *cluster;
static struct kube_client *client;
static int64_t waits_ms[8];
static size_t wait_count;
static bool really; /* it is waited, and `asleep` told before */
static int waited;  /* what the last real wait has given: 0 for one to its end */
static sem_t asleep;

int __wrap_ctx_sleep(const struct ctx *ctx, int64_t ms, struct err *err)
{
    if (wait_count < sizeof(waits_ms) / sizeof(*waits_ms))
        waits_ms[wait_count++] = ms;
    if (!really)
        return ctx_check(ctx, err);
    sem_post(&asleep);
    return waited = __real_ctx_sleep(ctx, ms, err);
}

static int setup(void **state)
{
    (void)state;
    sem_init(&asleep, 0, 0);
    return fake_open(&cluster, &client);
}

static int teardown(void **state)
{
    (void)state;
    fake_close(cluster, client);
    sem_destroy(&asleep);
    return 0;
}

static int each_setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 600000);
    err_clear(&test_err);
    wait_count = 0;
    really = false;
    return 0;
}

static int create_in(const struct ctx *ctx, const char *ns)
{
    const struct kube_ref ref = {.api_version = "v1", .resource = "pods", .ns = ns};
    json_t *object = json_pack("{s:s}", "kind", "Pod");
    int result = kube_create(ctx, client, &ref, object, NULL, &test_err);

    json_decref(object);
    return result;
}

/* As long as the server says, however it says it, but not for longer than half a minute. */
static void as_the_server_says(void **state)
{
    static const struct {
        const char *ns;
        size_t count;
        int64_t wait_ms;
    } rows[] = {
        {"busy7-2", 2, 7000},    {"away9-1", 1, 9000},     {"told11-1", 1, 11000},
        {"busy120-1", 1, 30000}, {"told3000-3", 3, 30000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        wait_count = 0;
        assert_ok(create_in(&test_ctx, rows[i].ns));
        assert_int_equal(requests_in(rows[i].ns), rows[i].count + 1);
        assert_int_equal(wait_count, rows[i].count);
        for (size_t k = 0; k < wait_count; k++)
            assert_int_equal(waits_ms[k], rows[i].wait_ms);
    }
}

/* A time shorter than the client's own does not make it ask more often. */
static void no_sooner_than_without(void **state)
{
    (void)state;
    assert_ok(create_in(&test_ctx, "busy0-3"));
    assert_int_equal(wait_count, 3);
    for (size_t k = 0; k < wait_count; k++) {
        assert_in_range(waits_ms[k], 250 << k, 500 << k);
    }
}

/* After the last attempt there is nothing to wait for. */
static void not_behind_the_last_attempt(void **state)
{
    (void)state;
    assert_error(create_in(&test_ctx, "busy7-9"), ERR_UNAVAILABLE);
    assert_int_equal(requests_in("busy7-9"), 4);
    assert_int_equal(wait_count, 3);
    assert_int_equal(kube_client_status(client)->retry_after_ms, 7000);
}

static void before_another_watch(void **state)
{
    const struct kube_ref ref = {.api_version = "v1", .resource = "pods", .ns = "busy-watch"};
    CLEANUP_KUBE_WATCH struct kube_watch *watch = kube_watch_new(cluster, &ref, NULL);
    struct kube_watch_event event = {0};

    (void)state;
    assert_int_equal(kube_watch_next(&test_ctx, watch, -1, &event, &test_err), 1);
    assert_int_equal(event.type, KUBE_WATCH_SYNCED);
    assert_int_equal(wait_count, 0);
    assert_int_equal(kube_watch_next(&test_ctx, watch, -1, &event, &test_err), 1);
    assert_string_equal(json_at_string(event.object, "metadata.name"), "late");
    assert_int_equal(wait_count, 1);
    assert_int_equal(waits_ms[0], 8000);
}

static void *cancel_who_sleeps(void *arg)
{
    while (sem_wait(&asleep) < 0)
        ;
    ctx_cancel(arg, CTX_CAUSE_USER);
    return NULL;
}

static void until_it_is_cancelled(void **state)
{
    CLEANUP_CTX struct ctx ctx;
    pthread_t thread;

    (void)state;
    really = true;
    assert_ok(ctx_init_cancel(&ctx, &test_ctx, &test_err));
    assert_int_equal(pthread_create(&thread, NULL, cancel_who_sleeps, &ctx), 0);
    assert_error(create_in(&ctx, "busy25-1"), ERR_CANCELLED);
    pthread_join(thread, NULL);
    assert_int_equal(waits_ms[0], 25000);
    assert_int_equal(waited, -1);
    assert_int_equal(requests_in("busy25-1"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(as_the_server_says, each_setup),
        cmocka_unit_test_setup(no_sooner_than_without, each_setup),
        cmocka_unit_test_setup(not_behind_the_last_attempt, each_setup),
        cmocka_unit_test_setup(before_another_watch, each_setup),
        cmocka_unit_test_setup(until_it_is_cancelled, each_setup),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
