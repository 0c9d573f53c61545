/* A pipeline that is a text and no file, with what is said beside it, seen from a directory that is
 * not the current one. */
#include "tests/unit/assert_err.h"

#include <unistd.h>

#include "base/fs.h"
#include "prepare/prepare.h"

struct test {
    char dir[64];
    struct prepare_args args;
    struct prepared p;
};

static const struct step_kind *const kinds[] = {&step_kind_plugin,  &step_kind_language,
                                                &step_kind_type,    &step_kind_deployment,
                                                &step_kind_command, NULL};

static int setup(void **state)
{
    struct test *t = xcalloc(1, sizeof(*t));

    snprintf(t->dir, sizeof(t->dir), "/tmp/runner-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    t->args.directory = t->dir;
    t->p = (struct prepared)PREPARED_INIT;
    err_clear(&test_err);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct test *t = *state;

    prepared_release(&t->p);
    strmap_release(&t->args.env);
    strmap_release(&t->args.inputs);
    strvec_release(&t->args.env_files);
    assert_int_equal(0, fs_remove_tree(t->dir, NULL));
    free(t);
    return 0;
}

static void put(const struct test *t, const char *name, const char *text)
{
    CLEANUP_FREE char *path = fs_join(t->dir, name);

    assert_int_equal(0, fs_write_file(path, text, strlen(text), 0600, NULL));
}

static int prepare(struct test *t, const char *text)
{
    if (prepared_text(&t->p, &t->args, "submission", text, strlen(text)) < 0)
        return -1;
    return prepared_plan(&t->p, &t->args, kinds, &test_err);
}

static void assert_diagnostic(struct test *t, const char *line)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    prepared_diagnostics(&t->p, &out);
    if (!strstr(out.data, line))
        fail_msg("no \"%s\" in: %s", line, out.data);
}

static void assert_prepared(struct test *t, const char *text)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    int result = prepare(t, text);

    prepared_diagnostics(&t->p, &out);
    if (result < 0)
        fail_msg("%s%s", out.data, test_err.message);
}

#define STAGES(step) "stages:\n  - {name: s, jobs: [{name: j, steps: [" step "]}]}\n"

static void test_files_are_seen_from_the_directory(void **state)
{
    struct test *t = *state;

    put(t, "of-the-file.env", "COLOUR=green\n");
    put(t, "beside.env", "SHAPE=round\n");
    strvec_push(&t->args.env_files, "beside.env");
    assert_prepared(t, "name: here\n"
                       "env_files: [of-the-file.env]\n" STAGES(
                           "{name: a, command: 'echo ${COLOUR}'}"));
    assert_string_equal("green", strmap_get(&t->p.variables.below, "COLOUR"));
    assert_string_equal("round", strmap_get(&t->p.variables.above, "SHAPE"));
    assert_string_equal(t->dir, t->p.plan->workdir);
    assert_string_equal(t->dir, strmap_get(&t->p.plan->automatic, "PIPELINE_RUNNER_WORKDIR"));
}

static void test_what_is_wrong_has_the_name_of_the_text(void **state)
{
    struct test *t = *state;

    assert_int_equal(-1, prepare(t, "name: here\n" STAGES("{name: a, command: b, nope: 1}")));
    assert_int_equal(ERR_NONE, test_err.code);
    assert_diagnostic(t, "submission:3:");
}

static void test_the_time_limit_is_over_the_files(void **state)
{
    struct test *t = *state;

    t->args.timeout_ms = 1234;
    assert_prepared(t, "name: here\ntimeout: 1h\n" STAGES("{name: a, command: 'true'}"));
    assert_int_equal(1234, plan_timeout_ms(&t->p.plan->scope));
}

static void test_nested_runs_are_refused(void **state)
{
    struct test *t = *state;
    static const char text[] = "name: here\n" STAGES("{name: a, command: 'true'}");

    strmap_set(&t->args.env, "PIPELINE_RUNNER", "pipeline");
    assert_prepared(t, text);
    prepared_release(&t->p);
    t->args.refuse_nested = true;
    assert_error(prepare(t, text), ERR_CONFLICT);
    assert_message("you are already in a pipeline");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files_are_seen_from_the_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_wrong_has_the_name_of_the_text, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_time_limit_is_over_the_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nested_runs_are_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
