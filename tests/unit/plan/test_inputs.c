/* Inputs of the pipeline, and the variables that come from outside of the file. */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "load/load.h"
#include "plan/plan.h"
#include "plan/settings.h"

struct fixture {
    struct spec_pipeline *spec;
    struct plan *plan;
    struct diag_list diags;
    struct plan_inputs inputs;
    struct strmap parameters;
    struct strmap variables;
    struct strmap overrides;
};

static void make(struct fixture *f, const char *head, const char *step)
{
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    CLEANUP_FREE char *text = xasprintf("%s\nname: p\nstages: [{name: s, jobs: [{name: j, steps: "
                                        "[{name: a, command: x, %s}]}]}]\n",
                                        head, step);

    load_source_init(&source, "p.yaml", text, strlen(text));
    f->spec = load_pipeline(&source, NULL, &f->diags);
    if (!f->spec)
        fail_msg("%s", f->diags.items[0].message);
    f->inputs.current_dir = "/repo";
    f->inputs.parameters = &f->parameters;
    f->inputs.variables = &f->variables;
    f->inputs.overrides = &f->overrides;
    f->plan = plan_build(f->spec, &f->inputs, &f->diags);
}

static void done(struct fixture *f)
{
    plan_free(f->plan);
    spec_pipeline_free(f->spec);
    diag_list_release(&f->diags);
    strmap_release(&f->parameters);
    strmap_release(&f->variables);
    strmap_release(&f->overrides);
}

static void assert_variable(const struct fixture *f, const char *name, const char *expected)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};

    assert_non_null(f->plan);
    assert_int_equal(plan_settings_resolve(f->plan, &f->plan->stages[0].jobs[0].steps[0].scope,
                                           NULL, &settings, NULL, NULL, NULL),
                     0);
    assert_string_equal(strmap_get(&settings.environment, name), expected);
}

/* The value of an expression about the inputs, as {{ }} shows it. */
static void assert_value(const char *inputs, const char *given, const char *expression,
                         const char *expected)
{
    struct fixture f = {0};
    CLEANUP_FREE char *head = xasprintf("inputs: %s", inputs);
    CLEANUP_FREE char *step = xasprintf("environment: {V: \"{{ %s }}\"}", expression);

    if (given)
        strmap_set(&f.parameters, "a", given);
    make(&f, head, step);
    if (!f.plan)
        fail_msg("%s", f.diags.items[0].message);
    assert_variable(&f, "V", expected);
    done(&f);
}

static void values_have_their_types(void **state)
{
    (void)state;
    assert_value("{a: 1.20}", NULL, "inputs.a", "1.20");
    assert_value("{a: {type: number, default: 1.20}}", NULL, "inputs.a", "1.2");
    assert_value("{a: {type: number}}", "10", "inputs.a > 9", "true");
    assert_value("{a: {type: number}}", "10", "inputs['a'] == '10'", "true");
    assert_value("{a: {type: boolean, default: false}}", NULL, "inputs.a && 'yes' || 'no'", "no");
    assert_value("{a: {type: boolean}}", "true", "inputs.a && 'yes' || 'no'", "yes");
    assert_value("{a: {type: string}}", "false", "inputs.a && 'yes' || 'no'", "yes");
    assert_value("{a: {options: [x, y]}}", "y", "inputs.a", "y");
    assert_value("{a: }", NULL, "default(inputs.a, 'none')", "none");
    assert_value("{a: }", "", "default(inputs.a, 'none')", "none");
    assert_value("{a: {default: x}}", "given", "inputs.a", "given");
    /* Nothing in a value is expanded. */
    assert_value("{a: '${HOME} {{ x }}'}", NULL, "inputs.a", "${HOME} {{ x }}");
    assert_value("{a: }", "${HOME} {{ x }}", "inputs.a", "${HOME} {{ x }}");
}

static void assert_diag(const struct fixture *f, size_t index, unsigned line, const char *expected)
{
    assert_true(f->diags.len > index);
    assert_string_equal(f->diags.items[index].message, expected);
    assert_int_equal(f->diags.items[index].pos.line, line);
}

static void all_errors_are_said_at_once(void **state)
{
    struct fixture f = {0};

    (void)state;
    strmap_set(&f.parameters, "count", "many");
    strmap_set(&f.parameters, "flag", "yes");
    strmap_set(&f.parameters, "color", "bleu");
    strmap_set(&f.parameters, "versoin", "1");
    strmap_set(&f.parameters, "other", "1");
    make(&f,
         "inputs:\n  count: {type: number}\n  flag: {type: boolean}\n"
         "  color: {options: [red, green, blue]}\n  version: {required: true}\n"
         "  preset: {type: number, default: x, required: true}",
         "if: inputs.vesrion == '1'");
    assert_null(f.plan);
    assert_int_equal(f.diags.error_count, 8);
    diag_sort(&f.diags);
    assert_diag(&f, 0, 0, "the pipeline has no input \"versoin\"; did you mean \"version\"?");
    assert_diag(&f, 1, 0, "the pipeline has no input \"other\"");
    assert_diag(&f, 2, 0, "the input \"count\" must be a number, not \"many\"");
    assert_diag(&f, 3, 0, "the input \"flag\" must be true or false, not \"yes\"");
    assert_diag(&f, 4, 0,
                "the input \"color\" must be red, green or blue, not \"bleu\"; did you mean "
                "\"blue\"?");
    assert_diag(&f, 5, 5, "the input \"version\" is required; give it with --input version=VALUE");
    assert_diag(&f, 6, 6, "the input \"preset\" must be a number, not \"x\"");
    assert_diag(&f, 7, 8, "the pipeline has no input \"vesrion\"; did you mean \"version\"?");
    done(&f);
}

static void what_will_not_run_needs_no_values(void **state)
{
    struct fixture f = {.inputs = {.incomplete = true}};

    (void)state;
    make(&f, "inputs: {a: {required: true}}", "environment: {V: \"x{{ inputs.a }}\"}");
    assert_int_equal(f.diags.error_count, 0);
    assert_variable(&f, "V", "x");
    done(&f);
}

static void variables_are_under_the_file(void **state)
{
    struct fixture f = {0};

    (void)state;
    strmap_set(&f.variables, "BELOW", "below");
    strmap_set(&f.variables, "BOTH", "below");
    strmap_set(&f.variables, "OVER", "below");
    strmap_set(&f.overrides, "OVER", "above");
    make(&f, "environment: {BOTH: \"file and ${BELOW}\", A: \"${OVER}\"}",
         "environment: {C: \"{{ env.BELOW }}\"}");
    assert_int_equal(f.diags.len, 0);
    assert_variable(&f, "BELOW", "below");
    assert_variable(&f, "BOTH", "file and below");
    assert_variable(&f, "OVER", "above");
    assert_variable(&f, "A", "above");
    assert_variable(&f, "C", "below");
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_have_their_types),
        cmocka_unit_test(all_errors_are_said_at_once),
        cmocka_unit_test(what_will_not_run_needs_no_values),
        cmocka_unit_test(variables_are_under_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
