/* Which hosts `run_on` chooses, what a job becomes on them, and in which batches. */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "load/load.h"
#include "plan/hosts.h"
#include "plan/settings.h"

#define INVENTORY                                                                                  \
    "hosts: [{name: web-1, engine: host, roles: [web, eu], environment: {A: one, W: web}},"        \
    " {name: web-2, engine: docker, roles: [web, us], vars: {port: 80}},"                          \
    " {name: db-1, engine: host, roles: [db, eu]}, {name: db-2, engine: host, roles: [db, us]},"   \
    " {name: lone, engine: host}, {name: far, engine: 'docker://tcp://far:2376'}]"

struct fixture {
    struct spec_pipeline *spec;
    struct plan *plan;
    struct diag_list diags;
    struct strmap overrides;
    struct strmap parameters;
};

/* A stage with these keys, of a pipeline with the inventory. */
static void make(struct fixture *f, const char *stage)
{
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    CLEANUP_FREE char *text =
        xasprintf("{name: p, " INVENTORY ", inputs: {where: {}}, environment: {A: all},"
                  " stages: [{name: s, %s}]}",
                  stage);
    const struct plan_inputs inputs = {.current_dir = "/repo",
                                       .overrides = &f->overrides,
                                       .parameters = &f->parameters};

    load_source_init(&source, "p.yaml", text, strlen(text));
    f->spec = load_pipeline(&source, NULL, &f->diags);
    if (!f->spec)
        fail_msg("%s", f->diags.items[0].message);
    f->plan = plan_build(f->spec, &inputs, &f->diags);
}

/* The same with one job of these keys. */
static void make_job(struct fixture *f, const char *keys)
{
    CLEANUP_FREE char *stage =
        xasprintf("jobs: [{name: j, %s, steps: [{name: t, command: x}]}]", keys);

    make(f, stage);
}

static void done(struct fixture *f)
{
    plan_free(f->plan);
    spec_pipeline_free(f->spec);
    diag_list_release(&f->diags);
    strmap_release(&f->overrides);
    strmap_release(&f->parameters);
}

/* The names of the jobs, with " | " where another batch begins. */
static char *jobs_of(const struct fixture *f)
{
    struct buf out = BUF_INIT;
    const struct plan_stage *stage = &f->plan->stages[0];

    for (uint32_t i = 0; i < stage->job_count; i++) {
        if (i > 0)
            buf_addstr(&out, stage->jobs[i].batch == stage->jobs[i - 1].batch ? ", " : " | ");
        buf_addstr(&out, stage->jobs[i].name);
    }
    return buf_steal(&out);
}

static void assert_jobs(const char *keys, const char *expected)
{
    struct fixture f = {0};
    CLEANUP_FREE char *jobs = NULL;

    make_job(&f, keys);
    if (!f.plan)
        fail_msg("%s: %s", keys, f.diags.items[0].message);
    jobs = jobs_of(&f);
    assert_string_equal(jobs, expected);
    done(&f);
}

static void assert_refused(const char *keys, const char *message)
{
    struct fixture f = {0};

    make_job(&f, keys);
    assert_null(f.plan);
    assert_int_equal(f.diags.error_count, 1);
    assert_string_equal(f.diags.items[f.diags.len - 1].message, message);
    done(&f);
}

static void patterns_choose(void **state)
{
    (void)state;
    assert_jobs("run_on: web-2", "j (web-2)");
    assert_jobs("run_on: web", "j (web-1), j (web-2)");
    assert_jobs("run_on: [db-2, eu]", "j (web-1), j (db-1), j (db-2)");
    assert_jobs("run_on: '*-1'", "j (web-1), j (db-1)");
    assert_jobs("run_on: [all, '!db-?']", "j (web-1), j (web-2), j (lone), j (far)");
    assert_jobs("run_on: ['!db-1', db, web, '&eu']", "j (web-1)");
    assert_jobs("run_on: '!web, !lone'", "j (db-1), j (db-2), j (far)");
    assert_jobs("run_on: ' lone,db-1 ,'", "j (db-1), j (lone)");
}

static void patterns_that_choose_nothing_are_refused(void **state)
{
    (void)state;
    assert_refused("run_on: wbe-1",
                   "\"run_on\": no host and no role is called \"wbe-1\"; did you mean \"web-1\"?");
    assert_refused("run_on: [web, 'cache*']",
                   "\"run_on\": no host and no role is called \"cache*\"");
    assert_refused("run_on: [web, '!web-*']", "\"run_on\" chooses no host");
    assert_refused("run_on: ' , '", "\"run_on\" chooses no host: it is empty");
    assert_refused("run_on: '{{ inputs.where }}'", "\"run_on\" chooses no host: it is empty");
}

static void unknown_exceptions_are_warnings(void **state)
{
    struct fixture f = {0};

    (void)state;
    make_job(&f, "run_on: [web, '!wbe-1']");
    assert_non_null(f.plan);
    assert_int_equal(f.diags.len, 1);
    assert_int_equal(f.diags.items[0].severity, DIAG_WARNING);
    assert_string_equal(
        f.diags.items[0].message,
        "\"run_on\": no host and no role is called \"wbe-1\"; did you mean \"web-1\"?");
    done(&f);
}

static void inputs_can_choose(void **state)
{
    struct fixture f = {0};
    CLEANUP_FREE char *jobs = NULL;

    (void)state;
    strmap_set(&f.parameters, "where", "eu,!db-1");
    make_job(&f, "run_on: '{{ inputs.where }}', serial: '{{ default(inputs.size, 1) }}'");
    assert_null(f.plan);
    done(&f);
    f = (struct fixture){0};
    strmap_set(&f.parameters, "where", "eu,!db-1");
    make_job(&f, "run_on: '{{ inputs.where }}'");
    jobs = jobs_of(&f);
    assert_string_equal(jobs, "j (web-1)");
    done(&f);
}

static void without_an_inventory_it_is_said(void **state)
{
    const struct plan plan = {0};
    const struct spec_strs patterns = {&(struct spec_str){.text = (char *)"web"}, 1};
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    struct plan_hosts hosts = {0};

    (void)state;
    assert_int_equal(plan_hosts_choose(&plan, &patterns, &hosts, &diags), -1);
    assert_string_equal(diags.items[0].message,
                        "\"run_on\": no host and no role is called \"web\"; there are none: write "
                        "them in \"hosts\" or \"hosts_file\"");
}

static void a_matrix_multiplies(void **state)
{
    (void)state;
    assert_jobs("run_on: web, matrix: {v: [1, 2]}",
                "j (1, web-1), j (2, web-1), j (1, web-2), j (2, web-2)");
    assert_jobs("run_on: web, matrix: {v: [1, 2]}, serial: 1",
                "j (1, web-1), j (2, web-1) | j (1, web-2), j (2, web-2)");
}

static void names_may_say_it_themselves(void **state)
{
    struct fixture f = {0};
    CLEANUP_FREE char *jobs = NULL;

    (void)state;
    make(&f, "jobs: [{name: 'on {{ host.name }}', run_on: web, matrix: {v: [1]},"
             " steps: [{name: t, command: x}]}, {name: 'v{{ matrix.v }}', run_on: lone,"
             " matrix: {v: [1]}, steps: [{name: t, command: x}]}]");
    jobs = jobs_of(&f);
    assert_string_equal(jobs, "on web-1, on web-2, v1 (lone)");
    done(&f);
}

static void batches_of(const char *sizes, size_t count, const char *expected)
{
    struct portion portions[4];
    size_t size_count = 0;
    CLEANUP_BUF struct buf got = BUF_INIT;

    for (const char *at = sizes; *at; at += strcspn(at, " "), at += *at == ' ') {
        CLEANUP_FREE char *word = xstrndup(at, strcspn(at, " "));

        assert_int_equal(parse_portion(word, &portions[size_count++], NULL), 0);
    }
    for (size_t i = 0; i < count; i++)
        buf_addf(&got, "%u", plan_hosts_batch(portions, size_count, i, count));
    assert_string_equal(got.data, expected);
}

static void batches_are_cut(void **state)
{
    (void)state;
    batches_of("", 4, "1111");
    batches_of("1", 3, "123");
    batches_of("3", 8, "11122233");
    batches_of("30%", 10, "1112223334");
    batches_of("50%", 3, "123");
    batches_of("10%", 3, "123");
    batches_of("100%", 3, "111");
    batches_of("1 2 50%", 8, "12233334");
    batches_of("9223372036854775807", 3, "111");
    assert_jobs("run_on: [all, '!far'], serial: 40%",
                "j (web-1), j (web-2) | j (db-1), j (db-2) | j (lone)");
    assert_jobs("run_on: [all, '!far'], serial: [1, 3]",
                "j (web-1) | j (web-2), j (db-1), j (db-2) | j (lone)");
}

static void edges_lead_from_batch_to_batch(void **state)
{
    struct fixture f = {0};
    const struct plan_stage *stage;

    (void)state;
    make(&f, "pre: x, jobs: [{name: j, run_on: [web, db], serial: 2,"
             " steps: [{name: t, command: x}]}, {name: k, depends_on: [j],"
             " steps: [{name: t, command: x}]}, {name: l, run_on: web, serial: 1,"
             " depends_on: {job: 'j (db-1)', condition: failed},"
             " steps: [{name: t, command: x}]}]");
    stage = &f.plan->stages[0];
    assert_int_equal(stage->order, PLAN_ORDER_GRAPH);
    assert_int_equal(stage->group_count, 2);
    assert_int_equal(stage->groups[0].batch_count, 2);
    assert_int_equal(stage->jobs[1].flow->edge_count, 1); /* of `pre` */
    assert_int_equal(stage->jobs[3].flow->edge_count, 3);
    assert_int_equal(stage->jobs[3].flow->edges[1].from, 1);
    assert_int_equal(stage->jobs[3].flow->edges[2].from, 2);
    assert_int_equal(stage->jobs[3].flow->edges[2].condition, SPEC_CONDITION_COMPLETED);
    assert_false(stage->jobs[3].flow->edges[2].given);
    assert_int_equal(stage->jobs[5].flow->edge_count, 5);
    assert_int_equal(stage->jobs[6].flow->edge_count, 2);
    assert_int_equal(stage->jobs[7].flow->edge_count, 3);
    assert_int_equal(stage->jobs[7].flow->edges[2].from, 6);
    done(&f);
}

static void the_host_is_the_engine(void **state)
{
    struct fixture f = {0};
    struct plan_settings settings;

    (void)state;
    make_job(&f, "run_on: web, image: app:1, environment: {W: '${W} {{ host.name }}'}");
    assert_int_equal(plan_settings_resolve(f.plan, &f.plan->stages[0].jobs[0].steps[0].scope, NULL,
                                           &settings, NULL, NULL, NULL),
                     0);
    assert_string_equal(settings.engine, "host");
    assert_string_equal(strmap_get(&settings.environment, "A"), "one");
    assert_string_equal(strmap_get(&settings.environment, "W"), "web web-1");
    plan_settings_release(&settings);
    assert_int_equal(plan_settings_resolve(f.plan, &f.plan->stages[0].jobs[1].steps[0].scope, NULL,
                                           &settings, NULL, NULL, NULL),
                     0);
    assert_string_equal(settings.engine, "docker");
    assert_string_equal(settings.image, "app:1");
    assert_string_equal(strmap_get(&settings.environment, "A"), "all");
    plan_settings_release(&settings);
    done(&f);
}

/* The image of a step is one for the daemon of the host, not for the one that is here. */
static void images_go_to_the_daemon_of_the_host(void **state)
{
    struct fixture f = {0};
    struct plan_settings settings;

    (void)state;
    make(&f, "jobs: [{name: j, run_on: far, steps: [{name: t, command: x, image: i},"
             " {name: u, command: x, image: i, engine: docker}]}]");
    assert_int_equal(plan_settings_resolve(f.plan, &f.plan->stages[0].jobs[0].steps[0].scope, NULL,
                                           &settings, NULL, NULL, NULL),
                     0);
    assert_string_equal(settings.engine, "docker://tcp://far:2376");
    assert_string_equal(settings.image, "i");
    plan_settings_release(&settings);
    assert_int_equal(plan_settings_resolve(f.plan, &f.plan->stages[0].jobs[0].steps[1].scope, NULL,
                                           &settings, NULL, NULL, NULL),
                     0);
    assert_string_equal(settings.engine, "docker");
    plan_settings_release(&settings);
    done(&f);
}

static void groups_know_their_limits(void **state)
{
    static const struct {
        const char *stage;
        const char *job;
        struct plan_group expected;
    } cases[] = {
        {"", "", {.batch_count = 1}},
        {"", "max_parallel: 2, ", {.max_parallel = 2, .batch_count = 1}},
        {"",
         "max_parallel: 2, matrix: {v: [1], max_parallel: 1}, ",
         {.max_parallel = 1, .batch_count = 1}},
        {"", "matrix: {v: [1], fail_fast: true}, ", {.fail_fast = true, .batch_count = 1}},
        {"fail_fast: true, ", "", {.fail_fast = true, .batch_count = 1}},
        {"fail_fast: true, ",
         "max_failures: 25%, ignore_errors: true, serial: 1, ",
         {.batch_count = 2,
          .ignore_errors = true,
          .has_max_failures = true,
          .max_failures = {25, true}}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f = {0};
        const struct plan_group *group;
        CLEANUP_FREE char *text =
            xasprintf("%sjobs: [{name: j, run_on: web, %ssteps: [{name: t, command: x}]}]",
                      cases[i].stage, cases[i].job);

        make(&f, text);
        group = &f.plan->stages[0].groups[0];
        assert_int_equal(group->max_parallel, cases[i].expected.max_parallel);
        assert_int_equal(group->fail_fast, cases[i].expected.fail_fast);
        assert_int_equal(group->batch_count, cases[i].expected.batch_count);
        assert_int_equal(group->ignore_errors, cases[i].expected.ignore_errors);
        assert_int_equal(group->has_max_failures, cases[i].expected.has_max_failures);
        assert_int_equal(group->max_failures.value, cases[i].expected.max_failures.value);
        assert_int_equal(group->max_failures.is_percent, cases[i].expected.max_failures.is_percent);
        done(&f);
    }
}

static void names_are_checked(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"host.nam", "there is no \"nam\" in \"host\"; did you mean \"name\"?"},
        {"host.vars.pord", "no host has a variable \"pord\"; did you mean \"port\"?"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_FREE char *keys = xasprintf("run_on: web, if: %s", cases[i].text);

        assert_refused(keys, cases[i].message);
    }
    assert_refused("if: host.name", "\"host.name\" needs a job with \"run_on\"");
    assert_refused("run_on: web, serial: '${N:-x}'",
                   "\"serial\": \"x\" is neither a number nor a percentage such as 30%");
    assert_jobs("run_on: web, if: host.vars.port && toJSON(host)", "j (web-1), j (web-2)");
}

static void too_many_jobs_are_refused(void **state)
{
    CLEANUP_BUF struct buf keys = BUF_INIT;

    (void)state;
    buf_addstr(&keys, "run_on: [all, '!far'], matrix: {v: [0");
    for (int i = 1; i < 201; i++)
        buf_addf(&keys, ", %d", i);
    buf_addstr(&keys, "]}");
    assert_refused(keys.data, "the job would run 1005 times; at most 1000 are allowed");
}

static void credentials_are_not_shown(void **state)
{
    static const char *const cases[][2] = {
        {"ssh://user:password@host:22", "ssh://host:22"},
        {"ssh://host:22", "ssh://host:22"},
        {"ssh://user@host?key=a@b", "ssh://host?key=a@b"},
        {"host", "host"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_FREE char *shown = plan_engine_shown(cases[i][0]);

        assert_string_equal(shown, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_choose),
        cmocka_unit_test(patterns_that_choose_nothing_are_refused),
        cmocka_unit_test(unknown_exceptions_are_warnings),
        cmocka_unit_test(inputs_can_choose),
        cmocka_unit_test(without_an_inventory_it_is_said),
        cmocka_unit_test(a_matrix_multiplies),
        cmocka_unit_test(names_may_say_it_themselves),
        cmocka_unit_test(batches_are_cut),
        cmocka_unit_test(edges_lead_from_batch_to_batch),
        cmocka_unit_test(the_host_is_the_engine),
        cmocka_unit_test(images_go_to_the_daemon_of_the_host),
        cmocka_unit_test(groups_know_their_limits),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(too_many_jobs_are_refused),
        cmocka_unit_test(credentials_are_not_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
