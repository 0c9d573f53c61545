/* Which failures of hosts count, and what they keep from beginning. */
#include "tests/unit/test.h"

#include "exec/fan_out.h"

/* A group of two batches of two jobs each, behind one of a matrix. */
static struct fan_out *make(struct plan_stage *stage, struct plan_job *jobs,
                            struct plan_group *groups, const struct plan_group *limits)
{
    groups[0] = (struct plan_group){0};
    groups[1] = *limits;
    groups[1].batch_count = 2;
    memset(jobs, 0, 5 * sizeof(*jobs));
    jobs[0].group = 1;
    for (uint32_t i = 1; i < 5; i++) {
        jobs[i].group = 2;
        jobs[i].batch = i < 3 ? 1 : 2;
    }
    *stage = (struct plan_stage){.jobs = jobs, .job_count = 5, .groups = groups, .group_count = 2};
    return fan_outs_new(stage);
}

struct failure {
    uint32_t batch; /* 0: there are no more */
    bool ignored;
    bool second_may_begin;
    bool over;
};

static void play(const struct plan_group *limits, const struct failure *failures)
{
    struct plan_stage stage;
    struct plan_job jobs[5];
    struct plan_group groups[2];
    struct fan_out *all = make(&stage, jobs, groups, limits);
    struct fan_out *f = fan_out_of(all, &jobs[1]);

    assert_null(fan_out_of(all, &jobs[0]));
    assert_ptr_equal(f, fan_out_of(all, &jobs[4]));
    assert_true(fan_out_may_begin(f, 1));
    assert_true(fan_out_may_begin(f, 2));
    for (; failures->batch; failures++) {
        assert_int_equal(fan_out_failed(f, failures->batch), failures->ignored);
        assert_int_equal(fan_out_may_begin(f, 2), failures->second_may_begin);
        assert_int_equal(fan_out_is_over(f), failures->over);
        assert_int_equal(fan_out_may_begin(f, 1), !failures->over);
    }
    fan_outs_free(all, &stage);
}

static void a_failure_stops_the_next_batch(void **state)
{
    (void)state;
    play(&(struct plan_group){0}, (struct failure[]){{1, false, false, false}, {0}});
    play(&(struct plan_group){0},
         (struct failure[]){{2, false, true, false}, {2, false, true, false}, {0}});
}

static void ignored_failures_stop_nothing(void **state)
{
    (void)state;
    play(&(struct plan_group){.ignore_errors = true},
         (struct failure[]){{1, true, true, false}, {1, true, true, false}, {0}});
}

static void a_number_counts_in_all_batches(void **state)
{
    (void)state;
    play(&(struct plan_group){.has_max_failures = true, .max_failures = {1, false}},
         (struct failure[]){{1, false, true, false}, {2, false, false, true}, {0}});
    play(&(struct plan_group){.has_max_failures = true, .max_failures = {0, false}},
         (struct failure[]){{1, false, false, true}, {0}});
}

static void a_percentage_counts_in_one(void **state)
{
    (void)state;
    play(&(struct plan_group){.has_max_failures = true, .max_failures = {50, true}},
         (struct failure[]){
             {1, false, true, false}, {2, false, true, false}, {2, false, false, true}, {0}});
    play(&(struct plan_group){.has_max_failures = true, .max_failures = {49, true}},
         (struct failure[]){{2, false, false, true}, {0}});
    play(&(struct plan_group){.has_max_failures = true, .max_failures = {100, true}},
         (struct failure[]){{1, false, true, false}, {1, false, true, false}, {0}});
}

static void up_to_the_limit_they_are_ignored(void **state)
{
    (void)state;
    play(&(struct plan_group){.ignore_errors = true,
                              .has_max_failures = true,
                              .max_failures = {1, false}},
         (struct failure[]){{1, true, true, false}, {1, false, false, true}, {0}});
}

static void stages_without_hosts_have_none(void **state)
{
    const struct plan_stage stage = {0};

    (void)state;
    assert_null(fan_outs_new(&stage));
    fan_outs_free(NULL, &stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_stops_the_next_batch),
        cmocka_unit_test(ignored_failures_stop_nothing),
        cmocka_unit_test(a_number_counts_in_all_batches),
        cmocka_unit_test(a_percentage_counts_in_one),
        cmocka_unit_test(up_to_the_limit_they_are_ignored),
        cmocka_unit_test(stages_without_hosts_have_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
