/* How steps and jobs end, and what that means for the others. */
#include "tests/unit/exec/exec_test.h"

static void success(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 2, 3);
    atomic_store(&prepared, 0);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_ended(step_node(&f, 1, 2), STATE_SUCCEEDED, REASON_NONE, NULL);
    assert_int_equal(atomic_load(&prepared), 4);
    done(&f);
}

/* Each step makes what was announced of the next ones useless. */
static void steps_are_not_announced_in_vain_for_ever(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, MANY_STEPS);
    for (unsigned i = 0; i < MANY_STEPS; i++)
        f.steps[0][i].command = str("export");
    atomic_store(&prepared, 0);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_int_equal(atomic_load(&prepared), 17); /* and 6 less than without a limit */
    done(&f);
}

static void failures_tell_what_happened(void **state)
{
    static const struct {
        const char *script;
        enum reason reason;
        const char *error;
    } cases[] = {
        {"3", REASON_ERROR, "exit code 3"},
        {"lost", REASON_LOST, "lost: no exit record: the daemon went away"},
        {"unschedulable", REASON_UNSCHEDULABLE, "no node took it"},
        {"signal", REASON_ERROR, "ended by signal 9 (SIGKILL)"},
        {"oom", REASON_OOM, "exit code 137: out of memory"},
        {"error", REASON_IMAGE_PULL, "image x cannot be pulled"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f;

        make(&f, 1, 3);
        f.steps[0][1].command = str(cases[i].script);
        run(&f);
        assert_int_equal(f.verdict.state, STATE_FAILED);
        assert_ended(step_node(&f, 0, 0), STATE_SUCCEEDED, REASON_NONE, NULL);
        assert_ended(step_node(&f, 0, 1), STATE_FAILED, cases[i].reason, cases[i].error);
        assert_ended(step_node(&f, 0, 2), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
        assert_int_equal(f.root.reason, cases[i].reason);
        assert_string_equal(step_node(&f, 0, 1)->tail, cases[i].script);
        done(&f);
    }
}

static void unavailable_engine_is_told_apart(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 2);
    f.spec.common.engine = str("fake://away");
    run(&f);
    assert_true(f.verdict.engine_unavailable);
    assert_ended(step_node(&f, 0, 0), STATE_FAILED, REASON_ERROR, "nobody answers at fake://away");
    done(&f);
    make(&f, 1, 2);
    f.steps[0][1].common.engine = str("fake://away");
    run(&f);
    assert_int_equal(f.verdict.state, STATE_FAILED);
    assert_false(f.verdict.engine_unavailable);
    done(&f);
}

static char *timeout_error(const char *level, int64_t limit_ms)
{
    return xasprintf("%s timeout after %lld milliseconds: context deadline exceeded", level,
                     (long long)limit_ms);
}

static void make_limited_stage(struct fixture *f, int64_t limit_ms)
{
    make(f, 1, 2);
    f->spec.stage_count = 2;
    f->stages[0].name = str("build");
    f->stages[0].common.timeout_ms = limit_ms;
    f->steps[0][0].command = str("wait");
    f->steps[0][0].common.timeout_ms = 10 * limit_ms;
}

static void tighter_deadline_is_named_at_every_level(void **state)
{
    struct fixture f;
    int64_t limit_ms = run_in_time(&f, make_limited_stage, never_waits);
    CLEANUP_FREE char *error = timeout_error("stage", limit_ms);
    CLEANUP_FREE char *message =
        xasprintf("stage \"build\" timeout after %lld milliseconds", (long long)limit_ms);

    (void)state;
    assert_ended(step_node(&f, 0, 0), STATE_FAILED, REASON_TIMEOUT, error);
    assert_string_equal(step_node(&f, 0, 0)->message, message);
    assert_ended(step_node(&f, 0, 1), STATE_CANCELLED, REASON_NONE, NULL);
    assert_ended(&f.root.children[0].children[0], STATE_FAILED, REASON_TIMEOUT, error);
    assert_ended(&f.root.children[0], STATE_FAILED, REASON_TIMEOUT, error);
    assert_ended(&f.root.children[1], STATE_SKIPPED, REASON_DEPENDENCY, NULL);
    assert_false(f.verdict.own_deadline);
    done(&f);
}

static void own_deadline_of_the_pipeline(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 1);
    f.spec.common.timeout_ms = 20;
    f.steps[0][0].command = str("wait");
    run(&f);
    assert_true(f.verdict.own_deadline);
    assert_ended(&f.root, STATE_FAILED, REASON_TIMEOUT,
                 "pipeline timeout after 20 milliseconds: context deadline exceeded");
    done(&f);
}

static void make_limited_job(struct fixture *f, int64_t limit_ms)
{
    make(f, 1, 2);
    f->jobs[0].common.timeout_ms = limit_ms;
    f->steps[0][0].command = str("late");
}

static void make_limited_pipeline(struct fixture *f, int64_t limit_ms)
{
    make(f, 1, 1);
    f->spec.stage_count = 2;
    f->spec.common.timeout_ms = limit_ms;
    f->steps[0][0].command = str("late");
}

static void make_limited_pipeline_with_hooks(struct fixture *f, int64_t limit_ms)
{
    make_limited_pipeline(f, limit_ms);
    f->spec.post.failure = str("5");
    f->spec.post.cancelled = str("6");
}

/* The time can be up when no step runs. */
static void deadline_between_children(void **state)
{
    struct fixture f;
    int64_t limit_ms = run_in_time(&f, make_limited_job, never_waits);
    CLEANUP_FREE char *of_job = timeout_error("job", limit_ms);
    CLEANUP_FREE char *of_pipeline = NULL;

    (void)state;
    assert_ended(step_node(&f, 0, 0), STATE_SUCCEEDED, REASON_NONE, NULL);
    assert_ended(step_node(&f, 0, 1), STATE_CANCELLED, REASON_NONE, NULL);
    assert_ended(&f.root.children[0].children[0], STATE_FAILED, REASON_TIMEOUT, of_job);
    assert_ended(&f.root, STATE_FAILED, REASON_TIMEOUT, NULL);
    assert_false(f.verdict.own_deadline);
    done(&f);

    run_in_time(&f, make_limited_pipeline_with_hooks, never_waits);
    assert_ended(&f.root.children[0], STATE_SUCCEEDED, REASON_NONE, NULL);
    assert_ended(&f.root.children[1], STATE_CANCELLED, REASON_NONE, NULL);
    assert_ended(&f.root.children[2].children[0].children[0], STATE_FAILED, REASON_ERROR,
                 "exit code 5");
    assert_true(f.verdict.own_deadline);
    done(&f);

    of_pipeline = timeout_error("pipeline", run_in_time(&f, make_limited_pipeline, never_waits));
    assert_true(f.verdict.own_deadline);
    assert_ended(&f.root, STATE_FAILED, REASON_TIMEOUT, of_pipeline);
    done(&f);
}

static int64_t passes_ms; /* when the limit of the pipeline does, at the earliest */

static void make_two_limits(struct fixture *f, int64_t limit_ms)
{
    make(f, 1, 1);
    f->spec.common.timeout_ms = 5 * limit_ms;
    f->spec.post.always = str("0.long");
    f->steps[0][0].command = str("wait");
    f->steps[0][0].common.timeout_ms = 20;
    long_ms = 6 * limit_ms;
    passes_ms = clock_monotonic_ms() + 5 * limit_ms;
}

static bool waits_too_long(void)
{
    return never_waits() || atomic_load(&waited) >= passes_ms;
}

/* What ended a step stays the reason when the limit of a level above passes afterwards. */
static void later_deadline_is_not_blamed(void **state)
{
    struct fixture f;

    (void)state;
    run_in_time(&f, make_two_limits, waits_too_long);
    assert_ended(&f.root, STATE_FAILED, REASON_TIMEOUT,
                 "stage \"stage-1\" failed: job \"job-1\" failed: step \"step-1\" failed: "
                 "step timeout after 20 milliseconds: context deadline exceeded");
    assert_string_equal(f.root.message,
                        "stage \"stage-1\" failed: job \"job-1\" failed: step \"step-1\" failed: "
                        "step \"step-1\" timeout after 20 milliseconds");
    assert_false(f.verdict.own_deadline);
    done(&f);
}

static void cancelled_before_it_starts(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 2, 2);
    ctx_cancel(&f.ctx, CTX_CAUSE_USER);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_CANCELLED);
    assert_ended(step_node(&f, 1, 1), STATE_CANCELLED, REASON_NONE, NULL);
    done(&f);
    make(&f, 1, 1);
    f.spec.post.always = str("5");
    ctx_cancel(&f.ctx, CTX_CAUSE_USER);
    run(&f);
    assert_int_equal(f.root.children[1].state, STATE_FAILED);
    assert_int_equal(f.verdict.state, STATE_CANCELLED);
    done(&f);
}

/* A sibling's failure can come when a job has started but none of its steps has: what did not run
 * is not a success. */
static void skipped_for_a_sibling_is_no_success(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 2);
    ctx_cancel(&f.ctx, CTX_CAUSE_FAIL_FAST);
    run(&f);
    assert_ended(step_node(&f, 0, 1), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
    assert_int_equal(f.verdict.state, STATE_CANCELLED);
    done(&f);
}

/* What was made ready for a step that is skipped in the end must not run in another's place. */
static void skipped_steps_leave_nothing_behind(void **state)
{
    struct spec_flow flow = {.condition = str("env.NOT_SET == 'x'")};
    struct fixture f;

    (void)state;
    make(&f, 1, STEPS);
    for (unsigned i = 0; i < STEPS; i++)
        f.steps[0][i].command = str(i == STEPS - 1 ? "4" : i % 2 ? "3" : "0");
    for (unsigned i = 1; i < STEPS; i += 2)
        f.steps[0][i].flow = &flow;
    run(&f);
    for (unsigned i = 0; i + 1 < STEPS; i++)
        assert_ended(step_node(&f, 0, i), i % 2 ? STATE_SKIPPED : STATE_SUCCEEDED, REASON_NONE,
                     NULL);
    assert_ended(step_node(&f, 0, STEPS - 1), STATE_FAILED, REASON_ERROR, "exit code 4");
    done(&f);
}

static void first_failure_cancels_siblings(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 3, 1);
    f.stages[0].max_parallel = 2;
    f.steps[0][0].command = str("wait");
    f.steps[1][0].command = str("1 when another waits");
    atomic_store(&waiting, false);
    run(&f);
    assert_ended(step_node(&f, 0, 0), STATE_CANCELLED, REASON_NONE, NULL);
    assert_ended(step_node(&f, 2, 0), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
    assert_ended(&f.root.children[0], STATE_FAILED, REASON_ERROR,
                 "job \"job-2\" failed: step \"step-1\" failed: exit code 1");
    done(&f);
}

/* An engine from whose workspace nothing comes back refuses caches, and the job says why. */
static void caches_need_the_workdir(void **state)
{
    struct spec_str path = str("deps");
    struct spec_cache cache = {.key = str("k"), .paths = {&path, 1}};
    struct fixture f;

    (void)state;
    make(&f, 1, 2);
    f.jobs[0].caches = &cache;
    f.jobs[0].cache_count = 1;
    run(&f);
    assert_ended(&f.root.children[0].children[0], STATE_FAILED, REASON_ERROR,
                 "\"cache\" does not work with the engine fake yet: its workspace is not the "
                 "workdir, and nothing comes back from it");
    assert_ended(step_node(&f, 0, 0), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
    done(&f);
    make(&f, 1, 2);
    f.steps[0][1].caches = &cache;
    f.steps[0][1].cache_count = 1;
    run(&f);
    assert_ended(step_node(&f, 0, 0), STATE_SUCCEEDED, REASON_NONE, NULL);
    assert_ended(step_node(&f, 0, 1), STATE_FAILED, REASON_ERROR, NULL);
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success),
        cmocka_unit_test(skipped_steps_leave_nothing_behind),
        cmocka_unit_test(steps_are_not_announced_in_vain_for_ever),
        cmocka_unit_test(failures_tell_what_happened),
        cmocka_unit_test(unavailable_engine_is_told_apart),
        cmocka_unit_test(tighter_deadline_is_named_at_every_level),
        cmocka_unit_test(own_deadline_of_the_pipeline),
        cmocka_unit_test(deadline_between_children),
        cmocka_unit_test(later_deadline_is_not_blamed),
        cmocka_unit_test(cancelled_before_it_starts),
        cmocka_unit_test(skipped_for_a_sibling_is_no_success),
        cmocka_unit_test(first_failure_cancels_siblings),
        cmocka_unit_test(caches_need_the_workdir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
