#include "live.h"

#include "apis/http/retry.h"
#include "base/clock.h"

static void test_transient(void **state)
{
    static const struct {
        enum err_code code;
        int errnum;
        bool transient;
    } rows[] = {
        {ERR_UNAVAILABLE, 0, true},   {ERR_LOST, 0, true},          {ERR_IMAGE_PULL, 429, true},
        {ERR_IMAGE_PULL, 500, true},  {ERR_PROTOCOL, 503, true},    {ERR_IMAGE_PULL, 408, true},
        {ERR_IMAGE_PULL, 501, false}, {ERR_IMAGE_PULL, 505, false}, {ERR_IMAGE_PULL, 404, false},
        {ERR_DENIED, 403, false},     {ERR_IMAGE_PULL, 0, false},   {ERR_TIMEOUT, 0, false},
        {ERR_CANCELLED, 0, false},    {ERR_SYSTEM, 503, false},     {ERR_PROTOCOL, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct err err = {.code = rows[i].code, .errnum = rows[i].errnum};

        assert_int_equal(retry_is_transient(&err), rows[i].transient);
    }
}

static void test_delays(void **state)
{
    static const int64_t caps[] = {100, 200, 400, 800, 1000, 1000, 1000};
    struct retry retry;

    (void)state;
    for (int round = 0; round < 200; round++) {
        retry_init(&retry, &(struct retry_policy){.base_ms = 100, .max_delay_ms = 1000});
        for (size_t i = 0; i < sizeof(caps) / sizeof(*caps); i++) {
            retry.attempt = (int)i;
            assert_in_range(retry_next_delay_ms(&retry, -1), caps[i] / 2, caps[i]);
            assert_in_range(retry_next_delay_ms(&retry, 900), 500, 1000);
            assert_int_equal(retry_next_delay_ms(&retry, 5000), 1000);
        }
        retry.attempt = 1000000; /* no overflow */
        assert_in_range(retry_next_delay_ms(&retry, -1), 500, 1000);
    }
}

static void test_wait(void **state)
{
    struct retry retry;
    int64_t begin = clock_monotonic_ms();

    (void)state;
    ctx_init_cleanup(&test_ctx, 120000);
    err_set(&test_err, ERR_LOST, "the reason");
    retry_init(&retry, &(struct retry_policy){.attempts = 3, .base_ms = 20});
    assert_true(retry_left(&retry));
    assert_int_equal(retry_wait(&test_ctx, &retry, -1, &test_err), 0);
    assert_int_equal(retry_wait(&test_ctx, &retry, -1, &test_err), 0);
    assert_true(clock_monotonic_ms() - begin >= 30);
    assert_false(retry_left(&retry));
    assert_int_equal(retry_wait(&test_ctx, &retry, -1, &test_err), -1);
    assert_string_equal(test_err.message, "the reason");
    ctx_init_cleanup(&test_ctx, 50);
    retry_init(&retry, &(struct retry_policy){.attempts = 3, .base_ms = 5000});
    assert_error(retry_wait(&test_ctx, &retry, -1, &test_err), ERR_TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transient),
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
