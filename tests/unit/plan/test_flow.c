/* Dependencies, matrices and expressions of a plan, and what is found wrong with them before
 * anything runs. Plans are made from the text of pipeline files. */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "load/load.h"
#include "plan/plan.h"
#include "plan/settings.h"

struct fixture {
    struct spec_pipeline *spec;
    struct plan *plan;
    struct diag_list diags;
};

static void make(struct fixture *f, const char *text)
{
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    struct plan_inputs inputs = {.current_dir = "/repo"};

    *f = (struct fixture){0};
    load_source_init(&source, "p.yaml", text, strlen(text));
    f->spec = load_pipeline(&source, NULL, &f->diags);
    if (!f->spec)
        fail_msg("%s", f->diags.items[0].message);
    f->plan = plan_build(f->spec, &inputs, &f->diags);
    diag_sort(&f->diags);
}

static void done(struct fixture *f)
{
    plan_free(f->plan);
    spec_pipeline_free(f->spec);
    diag_list_release(&f->diags);
}

static void expect_plan(const struct fixture *f)
{
    if (!f->plan)
        fail_msg("%s", f->diags.items[0].message);
}

/* --- dependencies --- */

static const char *const steps_head = "name: p\nstages: [{name: s, jobs: [{name: j, steps: [\n";

static char *steps(const char *rows)
{
    return xasprintf("%s%s\n]}]}]\n", steps_head, rows);
}

static void steps_in_order_have_no_edges(void **state)
{
    CLEANUP_FREE char *text = steps("{name: a, command: x}, {name: b, command: x}");
    struct fixture f;

    (void)state;
    make(&f, text);
    expect_plan(&f);
    assert_int_equal(f.plan->stages[0].jobs[0].order, PLAN_ORDER_SERIAL);
    assert_null(f.plan->stages[0].jobs[0].steps[1].flow);
    done(&f);
}

static void ids_slugs_and_names_are_found(void **state)
{
    CLEANUP_FREE char *text =
        steps("{name: Build & Test, command: x}, {name: b, id: two, command: x},"
              "{name: c, command: x, depends_on: [build-test, Build & Test, b, "
              "{step: two, condition: failed}]}");
    const struct plan_flow *flow;
    struct fixture f;

    (void)state;
    make(&f, text);
    expect_plan(&f);
    assert_int_equal(f.plan->stages[0].jobs[0].order, PLAN_ORDER_GRAPH);
    flow = f.plan->stages[0].jobs[0].steps[2].flow;
    assert_int_equal(flow->edge_count, 3);
    assert_int_equal(flow->edges[0].from, 0);
    assert_false(flow->edges[0].given);
    assert_int_equal(flow->edges[1].from, 1);
    assert_int_equal(flow->edges[2].condition, SPEC_CONDITION_FAILED);
    assert_true(flow->edges[2].given);
    done(&f);
}

struct wrong {
    const char *rows;
    uint32_t line, column;
    const char *message;
};

static void assert_wrong(const struct wrong *w, char *(*wrap)(const char *))
{
    CLEANUP_FREE char *text = wrap(w->rows);
    struct fixture f;

    make(&f, text);
    assert_null(f.plan);
    assert_string_equal(f.diags.items[0].message, w->message);
    assert_int_equal(f.diags.items[0].pos.line, w->line);
    assert_int_equal(f.diags.items[0].pos.column, w->column);
    done(&f);
}

static void bad_dependencies_are_errors(void **state)
{
    static const struct wrong cases[] = {
        {"{name: build, command: x},\n{name: b, command: x, depends_on: [buidl]}", 4, 36,
         "\"depends_on\" names the step \"buidl\", which is not there; did you mean \"build\"?"},
        {"{name: build, command: x},\n{name: b, command: x, depends_on: zzz}", 4, 35,
         "\"depends_on\" names the step \"zzz\", which is not there"},
        {"{name: a, id: x, command: x}, {name: a, id: y, command: x},\n"
         "{name: b, command: x, depends_on: a}",
         4, 35, "\"depends_on\" names \"a\", but several steps are called so; give them an \"id\""},
        {"{name: a, command: x, depends_on: a}", 3, 35,
         "the steps depend on each other in a cycle: \"a\" → \"a\""},
        {"{name: a, command: x, depends_on: b}, {name: b, command: x, depends_on: a}", 3, 73,
         "the steps depend on each other in a cycle: \"a\" → \"b\" → \"a\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_wrong(&cases[i], steps);
}

static void a_long_cycle_is_shown_whole(void **state)
{
    CLEANUP_BUF struct buf rows = BUF_INIT;
    CLEANUP_FREE char *text = NULL;
    struct fixture f;

    (void)state;
    for (int i = 0; i < 50; i++)
        buf_addf(&rows, "{name: s%d, command: x, depends_on: s%d},", i, (i + 1) % 50);
    text = steps(rows.data);
    make(&f, text);
    assert_null(f.plan);
    assert_int_equal(f.diags.error_count, 1);
    assert_non_null(strstr(f.diags.items[0].message, "\"s48\" → \"s49\" → \"s0\""));
    done(&f);
}

static void hooks_are_tied_to_a_graph(void **state)
{
    struct fixture f;
    const struct plan_job *job;

    (void)state;
    make(&f,
         "name: p\nstages: [{name: s, pre: x, post: y, jobs: ["
         "{name: j, pre: x, post: {always: y, failure: z}, steps: [{name: a, command: x}, "
         "{name: b, command: x, depends_on: a}]}, {name: k, steps: [{name: a, command: x}]}]}]");
    expect_plan(&f);
    assert_int_equal(f.plan->stages[0].order, PLAN_ORDER_GRAPH);
    assert_int_equal(f.plan->stages[0].job_count, 4);
    assert_int_equal(f.plan->stages[0].jobs[1].flow->edges[0].from, 0);
    assert_int_equal(f.plan->stages[0].jobs[3].flow->edge_count, 3);
    job = &f.plan->stages[0].jobs[1];
    assert_int_equal(job->step_count, 5);
    assert_int_equal(job->steps[1].flow->edge_count, 1);
    assert_int_equal(job->steps[4].flow->edge_count, 4);
    assert_int_equal(job->steps[4].flow->edges[0].condition, SPEC_CONDITION_COMPLETED);
    assert_int_equal(job->steps[3].post, PLAN_POST_FAILURE);
    done(&f);
}

/* --- matrices --- */

static char *matrix(const char *keys)
{
    return xasprintf(
        "name: p\nenvironment: {V: 3}\nstages: [{name: s, jobs: [{name: j, matrix: {%s}, "
        "steps: [{name: a, command: x}]}, {name: k, depends_on: j, steps: [{name: a, "
        "command: x}]}]}]\n",
        keys);
}

static void assert_names(const char *keys, const char *expected)
{
    CLEANUP_FREE char *text = matrix(keys);
    CLEANUP_BUF struct buf names = BUF_INIT;
    const struct plan_stage *stage;
    struct fixture f;

    make(&f, text);
    expect_plan(&f);
    stage = &f.plan->stages[0];
    for (uint32_t i = 0; i < stage->job_count; i++)
        buf_addf(&names, "%s%s", i ? "; " : "", stage->jobs[i].name);
    assert_string_equal(names.data, expected);
    /* The last job depends on all that the matrix became. */
    assert_int_equal(stage->jobs[stage->job_count - 1].flow->edge_count, stage->job_count - 1);
    done(&f);
}

static void a_matrix_becomes_jobs(void **state)
{
    (void)state;
    assert_names("os: [a, b], n: [1, 2]", "j (a, 1); j (a, 2); j (b, 1); j (b, 2); k");
    assert_names("os: a", "j (a); k");
    assert_names("os: [a, '${V}']", "j (a); j (3); k");
    assert_names("os: [a, b], n: [1, 2], exclude: [{os: a, n: 2}]",
                 "j (a, 1); j (b, 1); j (b, 2); k");
    assert_names("os: [a, b], n: [1, 2], exclude: [{os: b}]", "j (a, 1); j (a, 2); k");
    assert_names("os: [a, b], include: [{os: c}]", "j (a); j (b); j (c); k");
    assert_names("os: [a, b], include: [{os: b, extra: x}]", "j (a); j (b, x); k");
    assert_names("os: [a, b], include: [{color: red}]", "j (a, red); j (b, red); k");
    assert_names("include: [{os: a}, {os: b, n: 1}]", "j (a); j (b, 1); k");
}

static void bad_matrices_are_errors(void **state)
{
    CLEANUP_BUF struct buf ten = BUF_INIT;
    CLEANUP_FREE char *many = NULL;
    struct wrong cases[] = {
        {"os: [a], exclude: [{ox: a}]", 3, 70,
         "\"exclude\" names \"ox\", which is no axis of the matrix"},
        {"os: [a], exclude: [{os: a}]", 3, 45, "\"exclude\" leaves nothing of the matrix"},
        {NULL, 3, 45, "the matrix has 10000 combinations; at most 1000 are allowed"},
    };

    (void)state;
    for (int i = 0; i < 10; i++)
        buf_addf(&ten, "%s%d", i ? ", " : "", i);
    many = xasprintf("a: [%s], b: [%s], c: [%s], d: [%s]", ten.data, ten.data, ten.data, ten.data);
    cases[2].rows = many;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_wrong(&cases[i], matrix);
}

static void a_job_name_can_use_the_matrix(void **state)
{
    struct plan_jobs jobs;
    struct fixture f;

    (void)state;
    make(&f,
         "name: p\nstages: [{name: s, jobs: [{name: \"on {{ matrix.os }}\", matrix: {os: [a, b]}, "
         "environment: {OS: '{{ upper(matrix.os) }}'}, steps: [{name: a, command: x}]}]}]");
    expect_plan(&f);
    assert_string_equal(f.plan->stages[0].jobs[1].name, "on b");
    assert_true(plan_find_jobs(f.plan, "on b", &jobs));
    assert_int_equal(jobs.first, 1);
    assert_int_equal(jobs.count, 1);
    done(&f);
}

/* --- expressions --- */

static void names_in_conditions_are_checked(void **state)
{
    static const struct wrong cases[] = {
        {"{name: a, command: x, if: 'env.A =='}", 3, 36, NULL},
        {"{name: a, command: x, if: \"stepz.a.status == 'x'\"}", 3, 28,
         "unknown name \"stepz\"; did you mean \"steps\"?"},
        {"{name: a, command: x}, {name: b, command: x, if: steps.c.status == 'failed'}", 3, 50,
         "the job has no step \"c\""},
        {"{name: a, command: x, if: jobs.k.status == 'failed'}", 3, 27, "there is no job \"k\""},
        {"{name: a, command: x, if: stages.build.status == 'failed'}", 3, 27,
         "there is no stage \"build\""},
        {"{name: a, command: x, if: steps.a.state == 'failed'}", 3, 27,
         "there is no \"state\" in \"a\"; did you mean \"status\"?"},
        {"{name: a, command: x, if: matrix.os == 'a'}", 3, 27,
         "\"matrix.os\" needs a job with a \"matrix\""},
        {"{name: a, command: x, when: {expr: sucess()}}", 3, 36, NULL},
        {"{name: a, command: x, environment: {A: '{{ steps.zz.status }}'}}", 3, 40,
         "the job has no step \"zz\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_FREE char *text = steps(cases[i].rows);
        struct fixture f;

        make(&f, text);
        assert_null(f.plan);
        if (cases[i].message)
            assert_string_equal(f.diags.items[0].message, cases[i].message);
        assert_int_equal(f.diags.items[0].pos.line, cases[i].line);
        assert_int_equal(f.diags.items[0].pos.column, cases[i].column);
        done(&f);
    }
}

/* What needs a run is empty before it, and makes its step late; all else is known. */
static void strings_are_late_only_for_a_run(void **state)
{
    CLEANUP_FREE char *text =
        steps("{name: a, command: x, environment: {A: \"{{ 'x' == 'x' }}\"}},"
              "{name: b, command: x, environment: {A: \"{{ steps.a.outputs.k < 3 }}\"}},"
              "{name: c, command: x, environment: {A: \"{{ pipeline.name }}\"}}");
    const struct plan_step *step;
    struct fixture f;

    (void)state;
    make(&f, text);
    expect_plan(&f);
    step = f.plan->stages[0].jobs[0].steps;
    assert_false(step[0].scope.late);
    assert_true(step[1].scope.late);
    assert_false(step[2].scope.late);
    for (int i = 0; i < 3; i += 2) {
        CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};

        assert_int_equal(plan_settings_resolve(f.plan, &step[i].scope, NULL, &settings, NULL, NULL,
                                               NULL),
                         0);
        assert_string_equal(strmap_get(&settings.environment, "A"), i ? "p" : "true");
    }
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_in_order_have_no_edges),
        cmocka_unit_test(ids_slugs_and_names_are_found),
        cmocka_unit_test(bad_dependencies_are_errors),
        cmocka_unit_test(a_long_cycle_is_shown_whole),
        cmocka_unit_test(hooks_are_tied_to_a_graph),
        cmocka_unit_test(a_matrix_becomes_jobs),
        cmocka_unit_test(bad_matrices_are_errors),
        cmocka_unit_test(a_job_name_can_use_the_matrix),
        cmocka_unit_test(names_in_conditions_are_checked),
        cmocka_unit_test(strings_are_late_only_for_a_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
