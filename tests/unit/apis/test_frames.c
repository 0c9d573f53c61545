#include "live.h"

static const char sample[] = "\1\0\0\0\0\0\0\3out"
                             "\2\0\0\0\0\0\0\4errs"
                             "\1\0\0\0\0\0\0\0"
                             "\0\0\0\0\0\0\0\2in"
                             "\1\0\0\0\0\0\0\1\n";

static int feed(struct docker_frames *f, const char *data, size_t len)
{
    return docker_frames_feed(f, data, len, &test_err);
}

static void test_split_everywhere(void **state)
{
    const size_t len = sizeof(sample) - 1;

    (void)state;
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b++) {
            struct live_output o = {BUF_INIT, BUF_INIT};
            struct docker_frames f;

            docker_frames_init(&f, false, live_collect, &o);
            assert_ok(feed(&f, sample, a));
            assert_ok(feed(&f, sample + a, b - a));
            assert_ok(feed(&f, sample + b, len - b));
            assert_ok(docker_frames_end(&f, &test_err));
            assert_string_equal(o.out.data, "outin\n");
            assert_string_equal(o.errors.data, "errs");
            live_output_release(&o);
        }
    }
}

static void test_truncated(void **state)
{
    (void)state;
    for (size_t len = 1; len < 11; len++) {
        struct live_output o = {BUF_INIT, BUF_INIT};
        struct docker_frames f;

        docker_frames_init(&f, false, live_collect, &o);
        assert_ok(feed(&f, sample, len));
        assert_error(docker_frames_end(&f, &test_err), ERR_LOST);
        assert_string_equal(test_err.message,
                            "the output stream of the daemon ended in the middle of a frame");
        live_output_release(&o);
    }
}

static void test_raw(void **state)
{
    struct live_output o = {BUF_INIT, BUF_INIT};
    struct docker_frames f;

    (void)state;
    docker_frames_init(&f, true, live_collect, &o);
    assert_ok(feed(&f, sample, 11));
    assert_ok(docker_frames_end(&f, &test_err));
    assert_int_equal(o.out.len, 11);
    live_output_release(&o);
}

static void test_errors(void **state)
{
    struct live_output o = {BUF_INIT, BUF_INIT};
    struct docker_frames f;

    (void)state;
    docker_frames_init(&f, false, live_collect, &o);
    assert_error(feed(&f, "plain text", 10), ERR_PROTOCOL);
    assert_string_equal(test_err.message,
                        "the daemon's output stream is not framed: unexpected header 70 6c 61 69");
    docker_frames_init(&f, false, live_collect, &o);
    assert_error(feed(&f, "\3\0\0\0\0\0\0\4oops", 12), ERR_LOST);
    assert_string_equal(test_err.message, "the daemon broke the output off: oops");
    live_output_release(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_everywhere),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
