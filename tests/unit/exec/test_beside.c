/* What runs beside the steps of a job: steps in the background, and services. */
#include "tests/unit/exec/exec_test.h"

/* --- steps in the background --- */

static void make_background(struct fixture *f, const char *script, struct spec_ready *ready)
{
    make(f, 1, 3);
    f->steps[0][0].command = str(script);
    f->steps[0][0].background = SPEC_TRUE;
    f->steps[0][0].ready = ready;
    if (ready)
        spec_ready_init(ready);
}

static void background_step_ends_with_its_job(void **state)
{
    struct fixture f;

    (void)state;
    make_background(&f, "serve", NULL);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_ended(step_node(&f, 0, 0), STATE_SUCCEEDED, REASON_NONE, NULL);
    assert_true(step_node(&f, 0, 0)->has_exit_code);
    assert_int_equal(step_node(&f, 0, 0)->exit_code, 143);
    assert_ended(step_node(&f, 0, 2), STATE_SUCCEEDED, REASON_NONE, NULL);
    done(&f);
}

static void failure_in_the_background_does_not_count(void **state)
{
    struct fixture f;

    (void)state;
    make_background(&f, "3", NULL);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_ended(step_node(&f, 0, 0), STATE_FAILED, REASON_ERROR, "exit code 3");
    assert_true(step_node(&f, 0, 0)->allowed);
    assert_ended(step_node(&f, 0, 2), STATE_SUCCEEDED, REASON_NONE, NULL);
    done(&f);
}

static void background_step_that_cannot_start_fails_its_job(void **state)
{
    struct fixture f;

    (void)state;
    make_background(&f, "error", NULL);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_FAILED);
    assert_ended(step_node(&f, 0, 0), STATE_FAILED, REASON_IMAGE_PULL, "image x cannot be pulled");
    assert_ended(step_node(&f, 0, 1), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
    done(&f);
}

static void next_step_waits_until_it_is_ready(void **state)
{
    struct spec_ready ready;
    struct fixture f;

    (void)state;
    make_background(&f, "serve", &ready);
    ready.tcp = str("80");
    ready.interval_ms = 1;
    ready.log = str("^ser.e$");
    atomic_store(&not_ready, 3);
    not_ready_code = ERR_UNAVAILABLE;
    run(&f);
    assert_int_equal(atomic_load(&not_ready), 0);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    done(&f);
}

static void what_is_never_ready_fails(void **state)
{
    static const struct {
        const char *script, *tcp, *log;
        int not_ready;
        enum err_code code;
        enum reason reason;
        const char *error;
    } cases[] = {
        {"serve", "80", NULL, INT_MAX, ERR_UNAVAILABLE, REASON_TIMEOUT,
         "it was not ready after 300 milliseconds: nobody listens"},
        {"serve", NULL, "^up$", 0, ERR_NONE, REASON_TIMEOUT,
         "it was not ready after 300 milliseconds: no line of its output matches \"^up$\""},
        {"serve", "80", NULL, INT_MAX, ERR_UNSUPPORTED, REASON_ERROR,
         "it cannot be told whether it is ready: nobody listens"},
        {"0", "80", NULL, 0, ERR_NONE, REASON_ERROR, "ended before it was ready: exit code 0"},
        {"4", NULL, "^up$", 0, ERR_NONE, REASON_ERROR, "ended before it was ready: exit code 4"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct spec_ready ready;
        struct fixture f;

        make_background(&f, cases[i].script, &ready);
        ready.tcp = str(cases[i].tcp);
        ready.log = str(cases[i].log);
        ready.timeout_ms = 300;
        atomic_store(&not_ready, cases[i].not_ready);
        not_ready_code = cases[i].code;
        run(&f);
        assert_int_equal(f.verdict.state, STATE_FAILED);
        assert_ended(step_node(&f, 0, 0), STATE_FAILED, cases[i].reason, cases[i].error);
        assert_string_equal(step_node(&f, 0, 0)->tail, cases[i].script);
        assert_ended(step_node(&f, 0, 1), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
        done(&f);
    }
}

static void make_limited_job(struct fixture *f, int64_t limit_ms)
{
    make_background(f, "serve", NULL);
    f->jobs[0].common.timeout_ms = limit_ms;
    f->steps[0][1].command = str("wait");
}

static void end_of_the_job_cancels_what_is_in_the_background(void **state)
{
    struct fixture f;

    (void)state;
    run_in_time(&f, make_limited_job, never_waits);
    assert_ended(step_node(&f, 0, 0), STATE_CANCELLED, REASON_NONE, NULL);
    assert_ended(step_node(&f, 0, 1), STATE_FAILED, REASON_TIMEOUT, NULL);
    assert_ended(&f.root.children[0].children[0], STATE_FAILED, REASON_TIMEOUT, NULL);
    done(&f);
}

static void own_limit_ends_a_background_step_alone(void **state)
{
    struct fixture f;

    (void)state;
    make_background(&f, "serve", NULL);
    f.steps[0][0].common.timeout_ms = 20;
    f.steps[0][1].command = str("served");
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_ended(step_node(&f, 0, 0), STATE_FAILED, REASON_TIMEOUT, NULL);
    assert_true(step_node(&f, 0, 0)->allowed);
    done(&f);
}

/* --- services --- */

/* A service "db" on the first job of a stage of one, whose program is the script; `ready` stays
 * the caller's. */
static void make_service(struct fixture *f, struct spec_service *service, const char *script)
{
    static struct spec_str words[3];

    make(f, 1, 2);
    f->spec.common.engine = str("served");
    *service = (struct spec_service){.name = str("db")};
    spec_service_init(service);
    service->image = str("image");
    words[0] = words[1] = str("-");
    words[2] = str(script);
    service->command = (struct spec_strs){words, 3};
    f->jobs[0].services = (struct spec_services){service, 1};
    atomic_store(&not_ready, 0);
    not_ready_code = ERR_UNAVAILABLE;
}

static void services_run_beside_the_steps(void **state)
{
    struct spec_service service;
    struct fixture f;

    (void)state;
    make_service(&f, &service, "serve");
    atomic_store(&not_ready, 2);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_int_equal(atomic_load(&not_ready), 0);
    assert_ended(step_node(&f, 0, 1), STATE_SUCCEEDED, REASON_NONE, NULL);
    done(&f);
}

static void service_of_the_pipeline_runs_beside_all_stages(void **state)
{
    struct spec_service service;
    struct fixture f;

    (void)state;
    make_service(&f, &service, "serve");
    f.spec.services = f.jobs[0].services;
    f.jobs[0].services = (struct spec_services){0};
    f.spec.stage_count = 2;
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    done(&f);
    make_service(&f, &service, "error");
    f.spec.services = f.jobs[0].services;
    f.jobs[0].services = (struct spec_services){0};
    run(&f);
    assert_ended(&f.root, STATE_FAILED, REASON_IMAGE_PULL,
                 "service \"db\": image x cannot be pulled");
    assert_ended(step_node(&f, 0, 0), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
    done(&f);
}

static void service_that_is_not_ready_fails_its_job(void **state)
{
    static const struct {
        const char *script;
        enum reason reason;
        const char *error;
    } cases[] = {
        {"serve", REASON_TIMEOUT,
         "service \"db\": it was not ready after 300 milliseconds: nobody listens"},
        {"3", REASON_ERROR, "service \"db\": it ended before it was ready: exit code 3"},
        {"error", REASON_IMAGE_PULL, "service \"db\": image x cannot be pulled"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct spec_service service;
        struct spec_ready ready;
        struct fixture f;

        make_service(&f, &service, cases[i].script);
        spec_ready_init(&ready);
        ready.tcp = str("80");
        ready.timeout_ms = 300;
        service.ready = &ready;
        atomic_store(&not_ready, INT_MAX);
        run(&f);
        assert_ended(&f.root.children[0].children[0], STATE_FAILED, cases[i].reason,
                     cases[i].error);
        assert_string_equal(f.root.children[0].children[0].tail, cases[i].script);
        assert_ended(step_node(&f, 0, 0), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
        assert_ended(step_node(&f, 0, 1), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
        done(&f);
    }
}

static void engine_without_services_says_so(void **state)
{
    struct spec_service service;
    struct fixture f;

    (void)state;
    make_service(&f, &service, "serve");
    f.spec.common.engine = str("fake");
    run(&f);
    assert_ended(&f.root.children[0].children[0], STATE_FAILED, REASON_ERROR,
                 "services: the engine fake has no services");
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_run_beside_the_steps),
        cmocka_unit_test(service_of_the_pipeline_runs_beside_all_stages),
        cmocka_unit_test(service_that_is_not_ready_fails_its_job),
        cmocka_unit_test(engine_without_services_says_so),
        cmocka_unit_test(background_step_ends_with_its_job),
        cmocka_unit_test(failure_in_the_background_does_not_count),
        cmocka_unit_test(background_step_that_cannot_start_fails_its_job),
        cmocka_unit_test(next_step_waits_until_it_is_ready),
        cmocka_unit_test(what_is_never_ready_fails),
        cmocka_unit_test(end_of_the_job_cancels_what_is_in_the_background),
        cmocka_unit_test(own_limit_ends_a_background_step_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
