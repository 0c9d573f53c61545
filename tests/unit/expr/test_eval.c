#include "../test.h"

#include "scope.h"

/* A value as the tests write it: texts in single quotes. */
static void show(const struct expr_value *value, struct buf *out)
{
    if (value->kind == EXPR_NULL)
        buf_addstr(out, "null");
    else if (value->kind == EXPR_STRING)
        buf_addch(out, '\'');
    expr_value_add_text(value, out);
    if (value->kind == EXPR_STRING)
        buf_addch(out, '\'');
}

struct value_case {
    const char *text;
    const char *expected;
};

static const struct value_case value_cases[] = {
    /* literals */
    {"true", "true"},
    {"false", "false"},
    {"null", "null"},
    {"0", "0"},
    {"-12", "-12"},
    {"1.50", "1.5"},
    {"1.0", "1"},
    {"007", "7"},
    {"1e3", "1000"},
    {"-2.5E-1", "-0.25"},
    {"0.1", "0.1"},
    {"9007199254740993", "9007199254740993"},
    {"-9223372036854775808", "-9223372036854775808"},
    {"9223372036854775808", "9.223372036854776e+18"},
    {"'it''s \\n'", "'it's \\n'"},
    {"\"a \\\"b\\\" \\\\ c\"", "'a \"b\" \\ c'"},
    {"\"x\\ty\\nz\\r\"", "'x\ty\nz\r'"},
    {"''", "''"},
    {"\"\"", "''"},
    {" \n\t( 'a' )\r\n", "'a'"},
    /* names */
    {"env.BRANCH", "'main'"},
    {"$BRANCH", "'main'"},
    {"env('BRANCH')", "'main'"},
    {"env(\"BRANCH\")", "'main'"},
    {"env($NAME)", "'main'"},
    {"env['BRANCH']", "'main'"},
    {"env . BRANCH", "'main'"},
    {"$NONE", "null"},
    {"env.NONE", "null"},
    {"env(env.NONE)", "null"},
    {"steps['my step'].outputs.KEY", "'v'"},
    {"steps[\"my step\"]['outputs'].KEY", "'v'"},
    {"steps.unit-tests.status", "'failed'"},
    {"jobs.2nd.status", "'skipped'"},
    {"steps[lower('BUILD')].status", "'succeeded'"},
    {"steps['build'][lower('STATUS')]", "null"},
    {"matrix[\"os\"]", "'linux'"},
    {"count", "3"},
    {"big", "9007199254740993"},
    {"half", "0.5"},
    /* members of values */
    {"matrix.list[0]", "'a'"},
    {"matrix.list[1]", "2"},
    {"matrix.list['1']", "null"},
    {"matrix.list[count]", "null"},
    {"matrix.list[4][0]", "1"},
    {"matrix.list[5]", "null"},
    {"matrix.list[-1]", "null"},
    {"matrix.list[0.5]", "null"},
    {"matrix.list[matrix.list]", "null"},
    {"matrix.map[lower('K')]", "'v'"},
    {"matrix.map[1]", "'one'"},
    {"matrix.map[lower('z')]", "null"},
    {"matrix.map", "{\"k\":\"v\",\"1\":\"one\"}"},
    {"fromJSON($JSON).a", "[1,\"two\",{\"b\":null}]"},
    {"fromJSON($JSON).a[1]", "'two'"},
    {"fromJSON($JSON)['a'][2].b", "null"},
    {"fromJSON($JSON).a[0].b.c", "null"},
    {"fromJSON($JSON).n", "1.5"},
    {"fromJSON('[10,20]')[1] == 20", "true"},
    {"fromJSON('[10,20]')[env.EMPTY]", "null"},
    {"(fromJSON('{\"a-b\":1}')).a-b", "1"},
    {"'text'.member", "null"},
    /* not, and, or */
    {"!true", "false"},
    {"!!1", "true"},
    {"!''", "true"},
    {"!null", "true"},
    {"!0", "true"},
    {"!0.0", "true"},
    {"!0.5", "false"},
    {"!$F", "false"},
    {"!fromJSON('[]')", "false"},
    {"!matrix.map", "false"},
    {"'a' && 'b'", "'b'"},
    {"'' && 'b'", "''"},
    {"$NONE || 'default'", "'default'"},
    {"$EMPTY || $NONE || 0", "0"},
    {"'a' || broken", "'a'"},
    {"false && broken", "false"},
    {"1 && 2 && 3", "3"},
    {"1 && null && broken", "null"},
    {"true || false && false", "true"},
    {"(true || false) && false", "false"},
    {"false && false || 'x'", "'x'"},
    {"!true == false", "true"},
    {"!(true == false)", "true"},
    {"!flag || 1 == 1 && 'yes'", "'yes'"},
    /* texts */
    {"$BRANCH == 'main'", "true"},
    {"$BRANCH == 'Main'", "false"},
    {"$BRANCH != 'main'", "false"},
    {"'a' < 'b'", "true"},
    {"'a' < 'a'", "false"},
    {"'a' <= 'a'", "true"},
    {"'B' < 'a'", "true"},
    {"'a' < 'aa'", "true"},
    {"'aa' > 'a'", "true"},
    {"'b' >= 'c'", "false"},
    {"'\xc3\xa4' > 'z'", "true"},
    {"'10' < '9'", "true"},
    {"$N < '9'", "true"},
    {"$V == '1.5'", "false"},
    {"flag == 'true'", "true"},
    {"flag == true", "true"},
    {"$F == false", "true"},
    {"off == $F", "true"},
    {"flag == 'True'", "false"},
    {"$NONE == null", "true"},
    {"$EMPTY == null", "true"},
    {"$NONE == ''", "true"},
    {"$NONE != 'x'", "true"},
    {"null == false", "false"},
    {"half == '0.5'", "true"},
    /* numbers */
    {"$N > 9", "true"},
    {"9 < $N", "true"},
    {"$N == 10.0", "true"},
    {"$N >= 10", "true"},
    {"$N <= 9.5", "false"},
    {"$V == 1.5", "true"},
    {"(1.5) == $V", "true"},
    {"$BRANCH == 0", "false"},
    {"$BRANCH != 0", "true"},
    {"$EMPTY == 0", "false"},
    {"$NONE == 0", "false"},
    {"false == 0", "false"},
    {"' 10' == 10", "false"},
    {"'0x0a' == 10", "false"},
    {"'+1' == 1", "false"},
    {"'-0' == 0", "true"},
    {"'1e400' == 1", "false"},
    {"'010' == 10", "true"},
    {"big == 9007199254740992", "false"},
    {"big > 9007199254740992", "true"},
    {"count < fromJSON('20')", "true"},
    {"count < '20'", "false"},
    {"2 < 10", "true"},
    {"-1 < 0.5", "true"},
    /* lists and maps */
    {"fromJSON('[1,2]') == fromJSON('[1, 2]')", "true"},
    {"fromJSON('{\"a\":1}') == fromJSON('{\"a\":2}')", "false"},
    {"fromJSON('[1]') == '[1]'", "false"},
    {"fromJSON('[1]') != 1", "true"},
    {"fromJSON('[]') == null", "false"},
    /* in */
    {"$BRANCH in ('main', 'dev')", "true"},
    {"$BRANCH in ('dev')", "false"},
    {"$N in (1, 10)", "true"},
    {"$V in (1.5)", "true"},
    {"1.5 in ($V)", "true"},
    {"$V in ('1.5')", "false"},
    {"'a' in matrix.list", "true"},
    {"'2' in matrix.list", "true"},
    {"2.0 in matrix.list", "true"},
    {"'b' in matrix.list", "false"},
    {"'b' in ('b', broken)", "true"},
    {"'a' in ('x', matrix.list)", "true"},
    {"fromJSON('[1]') in matrix.list", "true"},
    {"'x' in env.NONE", "false"},
    {"null in matrix.list", "true"},
    {"!('a' in ('b'))", "true"},
    {"$BRANCH in ('main') && $N == 10", "true"},
    {"matrix.map in (matrix.map)", "true"},
    /* patterns */
    {"$T =~ '^v[0-9]+\\.[0-9]+$'", "true"},
    {"$T !~ '^v\\d+$'", "true"},
    {"$T =~ \"^v\\\\d\"", "true"},
    {"$T =~ '1.2'", "true"},
    {"$BRANCH =~ ('^MA')", "false"},
    {"$BRANCH =~ '(?i)^MA'", "true"},
    {"$BRANCH =~ $BRANCH", "true"},
    {"\"main\\n\" =~ '^main$'", "false"},
    {"$NONE =~ '^$'", "true"},
    {"$N =~ '^1'", "true"},
    {"12 =~ '^12$'", "true"},
    {"'\xc3\xa4' =~ '^.$'", "true"},
    {"'\xff' =~ '^.'", "false"},
    {"'a\xff' =~ '^a'", "true"},
    {"'x' =~ ''", "true"},
    /* functions */
    {"success()", "true"},
    {"always( )", "true"},
    {"failure() || cancelled()", "false"},
    {"hashFiles('a', 'b')", "2"},
    {"exists('Makefile')", "true"},
    {"exists(1)", "false"},
    {"contains('abc', 'bc')", "true"},
    {"contains('abc', 'C')", "false"},
    {"contains('abc', '')", "true"},
    {"contains('', 'a')", "false"},
    {"contains($NONE, 'a')", "false"},
    {"contains(101, 0)", "true"},
    {"contains(matrix.list, 'a')", "true"},
    {"contains(matrix.list, 2)", "true"},
    {"contains(matrix.list, 'aa')", "false"},
    {"startsWith('refs/tags/v1', 'refs/tags/')", "true"},
    {"startsWith('a', 'aa')", "false"},
    {"endsWith('main.c', '.c')", "true"},
    {"endsWith('c', '.c')", "false"},
    {"format('{0}-{1}-{0}', 'a', 1)", "'a-1-a'"},
    {"format('{{{0}}}', true)", "'{true}'"},
    {"format('x')", "'x'"},
    {"format(lower('{0}|{1}'), null, matrix.map)", "'|{\"k\":\"v\",\"1\":\"one\"}'"},
    {"format('{0}{1}{2}{3}{4}{5}', 0, 1, 2, 3, 4, 5)", "'012345'"},
    {"join(matrix.list, ', ')", "'a, 2, true, , [1]'"},
    {"join(matrix.list)", "'a,2,true,,[1]'"},
    {"join('a', '-')", "'a'"},
    {"join(fromJSON('[]'), '-')", "''"},
    {"lower('ABC-\xc3\x84')", "'abc-\xc3\x84'"},
    {"upper('abz-1{')", "'ABZ-1{'"},
    {"upper(true)", "'TRUE'"},
    {"toJSON('a\"b\xc3\xa4')", "'\"a\\\"b\xc3\xa4\"'"},
    {"toJSON(null)", "'null'"},
    {"toJSON(1.5)", "'1.5'"},
    {"toJSON(flag)", "'true'"},
    {"toJSON(matrix.list)", "'[\"a\",2,true,null,[1]]'"},
    {"toJSON(fromJSON('[1.1]'))", "'[1.1]'"},
    {"fromJSON('\"x\"')", "'x'"},
    {"fromJSON('12')", "12"},
    {"fromJSON('1e3')", "1000"},
    {"fromJSON('null')", "null"},
    {"fromJSON(toJSON(matrix.map)) == matrix.map", "true"},
    {"default($NONE, 'x')", "'x'"},
    {"default($EMPTY, 'x')", "'x'"},
    {"default($BRANCH, 'x')", "'main'"},
    {"default(false, 'x')", "false"},
    {"default(0, 'x')", "0"},
    {"default(matrix.map, 1).k", "'v'"},
};

static void evaluates(void **state)
{
    struct test_scope names = test_scope_new();
    const struct expr_scope scope = {.name = test_name, .call = test_call, .arg = &names};

    (void)state;
    for (size_t i = 0; i < sizeof(value_cases) / sizeof(*value_cases); i++) {
        const char *text = value_cases[i].text;
        CLEANUP_EXPR struct expr *expr = NULL;
        CLEANUP_EXPR_VALUE struct expr_value value = EXPR_VALUE_NULL;
        CLEANUP_BUF struct buf shown = BUF_INIT;
        struct err err = ERR_INIT;
        bool truth = false;

        if (expr_parse(text, strlen(text), &expr, NULL, &err) < 0 ||
            expr_eval(expr, &scope, &value, NULL, &err) < 0)
            fail_msg("%s: %s", text, err.message);
        show(&value, &shown);
        if (strcmp(shown.data, value_cases[i].expected) != 0)
            fail_msg("%s is %s, not %s", text, shown.data, value_cases[i].expected);
        assert_int_equal(expr_eval_bool(expr, &scope, &truth, NULL, &err), 0);
        assert_int_equal(truth, expr_value_truth(&value));
    }
    json_decref(names.names);
}

struct error_case {
    const char *text;
    size_t offset;
    enum err_code code;
    const char *message;
};

static const struct error_case error_cases[] = {
    {"1 < $BRANCH", 4, ERR_INVALID, "\"<\" needs a number here, and this text is none"},
    {"$EMPTY >= 1", 0, ERR_INVALID, "\">=\" needs a number here, and this text is none"},
    {"$NONE > 1", 0, ERR_INVALID,
     "\">\" needs a number here, and this is not set; default(…, 0) gives it a value"},
    {"1 <= (true)", 6, ERR_INVALID, "\"<=\" needs a number here, not a boolean"},
    {"matrix.list > 1", 0, ERR_INVALID, "\">\" needs a number here, not a list"},
    {"'a' < matrix.map", 6, ERR_INVALID, "\"<\" cannot order a map"},
    {"'a' in $BRANCH", 7, ERR_INVALID,
     "\"in\" takes a list, not a text; contains() looks for a part of a text"},
    {"'a' in matrix.map", 7, ERR_INVALID,
     "\"in\" takes a list, not a map; contains() looks for a part of a text"},
    {"matrix.list =~ 'a'", 0, ERR_INVALID, "\"=~\" takes a text, not a list"},
    {"'a' !~ matrix.map", 7, ERR_INVALID, "\"!~\" takes a text, not a map"},
    {"'a' =~ lower('(A')", 7, ERR_INVALID,
     "at byte 2 of the pattern: not a regular expression: missing closing parenthesis"},
    {"true && broken", 8, ERR_UNAVAILABLE, "broken is broken"},
    {"true && (exists('/broken'))", 9, ERR_SYSTEM, "cannot look at /broken"},
    {"exists(matrix.list)", 7, ERR_INVALID, "exists() takes a text here, not a list"},
    {"contains(matrix.map, 'k')", 9, ERR_INVALID,
     "contains() looks into a text or a list, not a map"},
    {"contains('a', matrix.map)", 14, ERR_INVALID, "contains() takes a text here, not a map"},
    {"startsWith('a', matrix.list)", 16, ERR_INVALID, "startsWith() takes a text here, not a list"},
    {"lower(matrix.list)", 6, ERR_INVALID, "lower() takes a text here, not a list"},
    {"join(matrix.list, matrix.list)", 18, ERR_INVALID, "join() takes a text here, not a list"},
    {"format(lower('{1}'), 1)", 7, ERR_INVALID,
     "format() has no value for {1}: they are counted from 0"},
    {"fromJSON('[1,')", 9, ERR_INVALID, "fromJSON() reads no JSON: line 1, column 3: ']' expected"},
    {"fromJSON($BAD)", 9, ERR_INVALID,
     "fromJSON() reads no JSON: line 1, column 9: end of file expected"},
    {"fromJSON($NONE)", 9, ERR_INVALID, "fromJSON() reads no JSON: the text is empty"},
    {"toJSON('\xff')", 7, ERR_INVALID, "a text that is not UTF-8 cannot become JSON"},
};

static void reports_errors_with_positions(void **state)
{
    struct test_scope names = test_scope_new();
    const struct expr_scope scope = {.name = test_name, .call = test_call, .arg = &names};

    (void)state;
    for (size_t i = 0; i < sizeof(error_cases) / sizeof(*error_cases); i++) {
        const struct error_case *c = &error_cases[i];
        CLEANUP_EXPR struct expr *expr = NULL;
        struct expr_value value = EXPR_VALUE_NULL;
        struct err err = ERR_INIT;
        size_t offset = 999;
        bool truth = true;

        if (expr_parse(c->text, strlen(c->text), &expr, NULL, &err) < 0)
            fail_msg("%s: %s", c->text, err.message);
        if (expr_eval(expr, &scope, &value, &offset, &err) == 0)
            fail_msg("%s has a value", c->text);
        if (offset != c->offset || strcmp(err.message, c->message) != 0)
            fail_msg("%s: %zu: %s", c->text, offset, err.message);
        assert_int_equal(err.code, c->code);
        assert_int_equal(value.kind, EXPR_NULL);
        assert_int_equal(expr_eval_bool(expr, &scope, &truth, NULL, NULL), -1);
        assert_true(truth);
    }
    json_decref(names.names);
}

static int eval_text(const char *text, const struct expr_scope *scope, struct expr_value *ret,
                     struct err *err)
{
    CLEANUP_EXPR struct expr *expr = NULL;

    assert_int_equal(expr_parse(text, strlen(text), &expr, NULL, err), 0);
    if (expr_eval(expr, scope, ret, NULL, err) < 0)
        return -1;
    expr_value_own(ret);
    return 0;
}

static void bounds_what_is_made(void **state)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_BUF struct buf deep = BUF_INIT;
    struct expr_value value = EXPR_VALUE_NULL;
    struct err err = ERR_INIT;

    (void)state;
    for (int i = 0; i < 30; i++)
        buf_addstr(&text, "format('{0}{0}', ");
    buf_addstr(&text, "'x'");
    for (int i = 0; i < 30; i++)
        buf_addch(&text, ')');
    assert_int_equal(eval_text(text.data, NULL, &value, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message, "the text that format() makes is longer than 1048576 bytes");

    buf_addstr(&deep, "fromJSON('");
    for (int i = 0; i < 65; i++)
        buf_addch(&deep, '[');
    for (int i = 0; i < 65; i++)
        buf_addch(&deep, ']');
    buf_addstr(&deep, "')");
    assert_int_equal(eval_text(deep.data, NULL, &value, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message, "fromJSON() reads lists and maps 64 levels deep, not more");

    buf_reset(&deep);
    buf_addstr(&deep, "fromJSON('\"\\\"");
    for (int i = 0; i < 65; i++)
        buf_addch(&deep, '[');
    buf_addstr(&deep, "\"')");
    assert_int_equal(eval_text(deep.data, NULL, &value, &err), 0);
    assert_int_equal(value.len, 66);
    expr_value_release(&value);
}

static void needs_no_scope_for_constants(void **state)
{
    const struct expr_scope empty = {0};
    struct expr_value value = EXPR_VALUE_NULL;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(eval_text("format('{0}', 1 < 2)", NULL, &value, &err), 0);
    assert_string_equal(value.text, "true");
    expr_value_release(&value);
    assert_int_equal(eval_text("$X || env(lower('X'))", NULL, &value, &err), 0);
    assert_int_equal(value.kind, EXPR_NULL);
    assert_int_equal(eval_text("x.y", &empty, &value, &err), 0);
    assert_int_equal(value.kind, EXPR_NULL);
    assert_int_equal(eval_text("success()", &empty, &value, &err), -1);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_string_equal(err.message, "success() cannot be used here");
}

static void asks_for_what_it_needs_only(void **state)
{
    struct test_scope names = test_scope_new();
    const struct expr_scope scope = {.name = test_name, .call = test_call, .arg = &names};
    struct expr_value value = EXPR_VALUE_NULL;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(eval_text("$BRANCH == 'dev' && $N || $V && false", &scope, &value, &err), 0);
    assert_int_equal(names.asked, 2);
    json_decref(names.names);
}

static void borrows_until_owned(void **state)
{
    static const char text[] = "main";
    struct expr_value value = expr_string(text);

    (void)state;
    assert_ptr_equal(value.text, text);
    expr_value_own(&value);
    assert_ptr_not_equal(value.text, text);
    assert_string_equal(value.text, "main");
    expr_value_release(&value);
    assert_int_equal(value.kind, EXPR_NULL);
    assert_int_equal(expr_string(NULL).kind, EXPR_NULL);
    assert_int_equal(expr_number(1.0 / 3).kind, EXPR_REAL);
    assert_int_equal(expr_number(-4.0).kind, EXPR_INTEGER);
    assert_int_equal(expr_number(1e300 * 1e300).kind, EXPR_NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluates),
        cmocka_unit_test(reports_errors_with_positions),
        cmocka_unit_test(bounds_what_is_made),
        cmocka_unit_test(needs_no_scope_for_constants),
        cmocka_unit_test(asks_for_what_it_needs_only),
        cmocka_unit_test(borrows_until_owned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
