/* Images of later steps, which are fetched while others run. */
#include "tests/unit/exec/exec_test.h"

static void expect_fetched(unsigned expected)
{
    fetched.count = fetched.most_running = fetched.cancelled = 0;
    fetched.expected = expected;
}

static bool was_fetched(const char *image)
{
    for (unsigned i = 0; i < fetched.count; i++) {
        if (strcmp(fetched.images[i], image) == 0)
            return true;
    }
    return false;
}

static void set_image(struct spec_common *common, const char *image)
{
    common->image = str(image);
    common->engine = str("fake");
}

static void images_are_fetched_ahead_two_at_a_time(void **state)
{
    static const char *const images[JOBS][STEPS] = {{"0-0", "0-1", "0-2"},
                                                    {"1-0", "1-1", "1-2"},
                                                    {"2-0", "2-1", "2-2"}};
    struct fixture f;

    (void)state;
    make(&f, JOBS, STEPS);
    for (size_t i = 0; i < JOBS; i++) {
        for (size_t j = 0; j < STEPS; j++)
            set_image(&f.steps[i][j].common, images[i][j]);
    }
    f.stages[0].run_mode = SPEC_RUN_MODE_SERIAL;
    f.spec.stage_count = 2;
    f.steps[0][0].command = str("fetched");
    expect_fetched(8 + 3);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_int_equal(fetched.count, 8 + 3);
    assert_int_equal(fetched.most_running, 2);
    /* Nearly in the order of need: the two threads may overtake one another. */
    assert_true(strcmp(fetched.images[0], "1-0") == 0 || strcmp(fetched.images[0], "2-0") == 0);
    assert_int_equal(fetched.images[3][2], '1');
    assert_int_equal(fetched.images[6][2], '2');
    /* The first step begins at once; its image is on the list for the second stage alone. */
    assert_true(was_fetched("0-0"));
    assert_string_not_equal(fetched.images[0], "0-0");
    done(&f);
}

static void images_that_may_not_be_wanted_are_not_fetched(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 3);
    set_image(&f.spec.common, "post");
    f.spec.post.failure = str("0");
    set_image(&f.steps[0][1].common, "a${NOT_SET}");
    set_image(&f.steps[0][2].common, "last");
    f.steps[0][0].command = str("fetched");
    expect_fetched(1);
    run(&f);
    assert_int_equal(fetched.count, 1);
    assert_true(was_fetched("last"));
    done(&f);
    make(&f, 1, 1);
    set_image(&f.spec.common, "post");
    f.spec.post.success = str("0");
    f.steps[0][0].command = str("fetched");
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    done(&f);
}

static void fetching_ends_with_the_run(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 2);
    set_image(&f.steps[0][0].common, "held");
    set_image(&f.steps[0][1].common, "held");
    f.steps[0][0].command = str("fetched");
    expect_fetched(1);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_int_equal(fetched.cancelled, 1);
    assert_int_equal(fetched.running, 0);
    done(&f);
    make(&f, 1, 2);
    set_image(&f.steps[0][1].common, "held");
    f.spec.post.always = str("0");
    f.steps[0][0].command = str("wait");
    expect_fetched(1);
    ctx_cancel(&f.ctx, CTX_CAUSE_USER);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_CANCELLED);
    assert_int_equal(fetched.running, 0);
    done(&f);
}

static void engine_out_of_reach_fails_the_step_not_the_prefetch(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 3);
    set_image(&f.steps[0][1].common, "x");
    f.steps[0][1].common.engine = str("fake://away");
    set_image(&f.steps[0][2].common, "last");
    f.steps[0][0].command = str("fetched");
    expect_fetched(1);
    run(&f);
    assert_ended(step_node(&f, 0, 0), STATE_SUCCEEDED, REASON_NONE, NULL);
    assert_ended(step_node(&f, 0, 1), STATE_FAILED, REASON_ERROR, "nobody answers at fake://away");
    assert_true(was_fetched("last"));
    assert_false(f.verdict.engine_unavailable);
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_are_fetched_ahead_two_at_a_time),
        cmocka_unit_test(images_that_may_not_be_wanted_are_not_fetched),
        cmocka_unit_test(fetching_ends_with_the_run),
        cmocka_unit_test(engine_out_of_reach_fails_the_step_not_the_prefetch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
