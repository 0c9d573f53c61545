#include "tests/unit/test.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ctx.h"

static void nearest_deadline_is_named(void **state)
{
    struct ctx stage;
    struct ctx step;
    struct ctx root;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(ctx_init_root(&root, NULL, &err), 0);
    assert_int_equal(ctx_remaining_ms(&root, -1), -1);
    ctx_init(&stage, &root);
    ctx_set_timeout(&stage, 1, "stage \"build\"");
    ctx_init(&step, &stage);
    ctx_set_timeout(&step, 60000, "step \"compile\"");
    assert_int_equal(ctx_sleep(&step, 1000, &err), -1);
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_string_equal(err.message, "stage \"build\" timeout after 1 millisecond");
    assert_ptr_equal(step.deadline_from, &stage);
    assert_int_equal(ctx_check(&root, &err), 0);
    ctx_release(&root);
}

static void *cancel_thread(void *arg)
{
    ctx_cancel(arg, CTX_CAUSE_FAIL_FAST);
    return NULL;
}

static void cancel_wakes_descendants_only(void **state)
{
    struct ctx root;
    struct ctx stage;
    struct ctx step;
    struct err err = ERR_INIT;
    pthread_t thread;

    (void)state;
    assert_int_equal(ctx_init_root(&root, NULL, &err), 0);
    assert_int_equal(ctx_init_cancel(&stage, &root, &err), 0);
    ctx_init(&step, &stage);
    pthread_create(&thread, NULL, cancel_thread, &stage);
    assert_int_equal(ctx_poll(&step, NULL, 0, -1, &err), -1);
    pthread_join(thread, NULL);
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_equal(ctx_cancel_cause(&step), CTX_CAUSE_FAIL_FAST);
    assert_false(ctx_done(&root));
    ctx_cancel(&root, CTX_CAUSE_USER);
    assert_int_equal(ctx_cancel_cause(&root), CTX_CAUSE_USER);
    ctx_release(&stage);
    ctx_release(&root);
}

static void cancellation_comes_before_timeout(void **state)
{
    struct ctx root;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(ctx_init_root(&root, NULL, &err), 0);
    ctx_set_timeout(&root, 1, "pipeline");
    assert_int_equal(ctx_sleep(&root, 100, &err), -1);
    ctx_cancel(&root, CTX_CAUSE_USER);
    assert_int_equal(ctx_check(&root, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    ctx_release(&root);
}

static void grace_outlives_cancel_but_not_hurry(void **state)
{
    struct ctx_signal hurry;
    struct ctx root;
    struct ctx child;
    struct ctx grace;
    struct ctx cleanup;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(ctx_signal_init(&hurry, &err), 0);
    assert_int_equal(ctx_init_root(&root, &hurry, &err), 0);
    ctx_init(&child, &root);
    ctx_cancel(&root, CTX_CAUSE_USER);
    ctx_init_grace(&grace, &child, 60000);
    ctx_init_cleanup(&cleanup, 60000);
    assert_false(ctx_done(&grace));
    ctx_signal_raise(&hurry, CTX_CAUSE_USER);
    assert_int_equal(ctx_poll(&grace, NULL, 0, -1, &err), -1);
    assert_false(ctx_done(&cleanup));
    ctx_release(&root);
    ctx_signal_release(&hurry);
}

static void a_foreign_signal_needs_no_descriptor(void **state)
{
    struct ctx_signal gone = {.event_fd = -1};
    struct ctx root, ctx;
    struct err err = ERR_INIT;
    int fds[CTX_FDS_MAX];

    (void)state;
    assert_int_equal(ctx_init_root(&root, NULL, &err), 0);
    ctx_init(&ctx, &root);
    ctx.also = &gone;
    assert_int_equal(ctx_fds(&ctx, fds), 1);
    assert_int_equal(ctx_check(&ctx, &err), 0);
    ctx_signal_raise(&gone, CTX_CAUSE_USER);
    assert_int_equal(ctx_check(&ctx, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    ctx_release(&root);
}

static void poll_reports_ready_descriptors(void **state)
{
    struct ctx root;
    struct err err = ERR_INIT;
    int ends[2];
    struct pollfd fds[2];

    (void)state;
    assert_int_equal(ctx_init_root(&root, NULL, &err), 0);
    assert_int_equal(pipe(ends), 0);
    fds[0] = (struct pollfd){.fd = -1, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = ends[0], .events = POLLIN};
    assert_int_equal(ctx_poll(&root, fds, 2, 10, &err), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(ctx_poll(&root, fds, 2, -1, &err), 1);
    assert_int_equal(fds[0].revents, 0);
    assert_int_equal(fds[1].revents, POLLIN);
    close(ends[0]);
    close(ends[1]);
    ctx_release(&root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_deadline_is_named),
        cmocka_unit_test(cancel_wakes_descendants_only),
        cmocka_unit_test(cancellation_comes_before_timeout),
        cmocka_unit_test(grace_outlives_cancel_but_not_hurry),
        cmocka_unit_test(a_foreign_signal_needs_no_descriptor),
        cmocka_unit_test(poll_reports_ready_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
