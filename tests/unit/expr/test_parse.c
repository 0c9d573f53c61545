#include "../test.h"

#include "expr/expr.h"

struct error_case {
    const char *text;
    size_t offset;
    const char *message;
};

static const struct error_case error_cases[] = {
    {"", 0, "the expression is empty"},
    {" \n", 0, "the expression is empty"},
    {"a ==", 4, "the expression ends where a value is expected"},
    {"a == )", 5, "expected a value, not \")\""},
    {"a b", 2, "expected an operator or the end, not \"b\""},
    {"$A and $B", 3, "expected an operator or the end, not \"and\"; write && for \"and\""},
    {"a or b", 2, "expected an operator or the end, not \"or\"; write || for \"or\""},
    {"not a", 0, "expected a value, not \"not\"; write ! for \"not\""},
    {"a = b", 2, "\"=\" is no operator; write \"==\" to compare"},
    {"a & b", 2, "\"&\" is no operator; write \"&&\""},
    {"a | b", 2, "\"|\" is no operator; write \"||\""},
    {"a =~ /b/", 5, "\"/\" begins nothing; a pattern stands in quotes: =~ '^v[0-9]'"},
    {"a.*", 2, "\"*\" is no operator; globs stand in quotes"},
    {"a + b", 2, "\"+\" is no operator"},
    {"a - b", 2, "\"-\" is no operator"},
    {"a @", 2, "\"@\" is no operator"},
    {"\xc2\xa0"
     "a",
     0, "the byte 0xc2 can stand in quotes only"},
    {"{{ a }}", 0, "an expression takes no braces around it"},
    {"${A} == 1", 0,
     "an expression takes no braces: write $NAME for ${NAME}, and nothing around the whole"},
    {"$ A", 0, "expected a name behind \"$\""},
    {"$1", 0, "expected a name behind \"$\""},
    {"$A.b", 2, "$A is a text and has no members; fromJSON($A) may have"},
    {"$A[0]", 2, "$A is a text and has no members; fromJSON($A) may have"},
    {"1.2.3 == a", 0, "\"1.2.3\" is not a number; a text stands in quotes"},
    {"1a", 0, "\"1a\" is not a number; a text stands in quotes"},
    {"1.", 0, "\"1.\" is not a number; a text stands in quotes"},
    {"0x10", 0, "\"0x10\" is not a number; a text stands in quotes"},
    {"a == 1e999", 5, "the number is too large"},
    {"a == 'b", 5, "the text that begins here has no closing '"},
    {"\"b\\\"", 0, "the text that begins here has no closing \""},
    {"a =~ \"^v\\d\"", 8,
     "\"\\d\" is no escape; write \"\\\\\" for a backslash, or put the text in single quotes"},
    {"a == b == c", 7,
     "comparisons cannot be chained; put && between two, or parentheses around one"},
    {"a in (b) in (c)", 9,
     "comparisons cannot be chained; put && between two, or parentheses around one"},
    {"a < b in (c)", 6,
     "comparisons cannot be chained; put && between two, or parentheses around one"},
    {"(a", 0, "the \"(\" has no closing \")\""},
    {"(a b)", 3, "expected \")\", not \"b\""},
    {"(a, b)", 2, "a list can stand behind \"in\" only"},
    {"a)", 1, "expected an operator or the end, not \")\""},
    {"a in ()", 6, "expected a value, not \")\""},
    {"a in (b,)", 8, "expected a value, not \")\""},
    {"a in (b", 7, "the expression ends where \",\" or \")\" is expected"},
    {"a in", 4, "the expression ends where a value is expected"},
    {"in == a", 0, "expected a value, not \"in\""},
    {"a.", 2, "the expression ends where a name behind the dot is expected"},
    {"a.'b'", 2, "expected a name behind the dot, not \"'b'\""},
    {"a[", 2, "the expression ends where a value is expected"},
    {"a['b'", 5, "the expression ends where \"]\" is expected"},
    {"a[1", 3, "the expression ends where \"]\" is expected"},
    {"sucess()", 0, "there is no function sucess(); did you mean success()?"},
    {"startswith('a', 'b')", 0, "there is no function startswith(); did you mean startsWith()?"},
    {"x && frobnicate(1)", 5, "there is no function frobnicate()"},
    {"success(1)", 0, "success() takes no arguments, not 1"},
    {"contains('a')", 0, "contains() takes 2 arguments, not 1"},
    {"lower()", 0, "lower() takes 1 argument, not 0"},
    {"hashFiles()", 0, "hashFiles() takes at least 1 argument, not 0"},
    {"join(1, 2, 3)", 0, "join() takes at most 2 arguments, not 3"},
    {"contains('a', 'b'", 17, "the expression ends where \",\" or \")\" is expected"},
    {"a && format('{1}', 1)", 12, "format() has no value for {1}: they are counted from 0"},
    {"format('{a}', 1)", 7, "format() wants a number in braces, as in {0}; write {{ for a brace"},
    {"format('{99999999999999999999}', 1)", 7,
     "format() wants a number in braces, as in {0}; write {{ for a brace"},
    {"format('{0', 1)", 7, "format() wants a number in braces, as in {0}; write {{ for a brace"},
    {"format('a}', 1)", 7, "format() finds a \"}\" without \"{\"; write }} for a brace"},
    {"a =~ 'x(b'", 9, "not a regular expression: missing closing parenthesis"},
    {"a =~ '''(b'", 10, "not a regular expression: missing closing parenthesis"},
    {"a =~ 'a**b'", 8, "not a regular expression: quantifier does not follow a repeatable item"},
    {"a !~ \"\\\"[b\"", 10, "not a regular expression: missing terminating ] for character class"},
    {"a =~ ('(b')", 6, "not a regular expression: missing closing parenthesis"},
    {"a =~ '\\C'", 8, "not a regular expression: using \\C is disabled by the application"},
    {"a =~ '\xff'", 6, "not a regular expression: UTF-8 error: illegal byte (0xfe or 0xff)"},
    {"b == 'x\ny' 'c\nd'", 11, "expected an operator or the end, not \"'c\""},
};

static void reports_errors_with_positions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(error_cases) / sizeof(*error_cases); i++) {
        const struct error_case *c = &error_cases[i];
        struct expr *expr = NULL;
        struct err err = ERR_INIT;
        size_t offset = 999;

        if (expr_parse(c->text, strlen(c->text), &expr, &offset, &err) == 0)
            fail_msg("%s can be read", c->text);
        if (offset != c->offset || strcmp(err.message, c->message) != 0)
            fail_msg("%s: %zu: %s", c->text, offset, err.message);
        assert_int_equal(err.code, ERR_INVALID);
        assert_null(expr);
        assert_int_equal(expr_parse(c->text, strlen(c->text), &expr, NULL, NULL), -1);
    }
}

static void refuses_the_byte_0(void **state)
{
    struct expr *expr = NULL;
    struct err err = ERR_INIT;
    size_t offset = 999;

    (void)state;
    assert_int_equal(expr_parse("'a\0'", 4, &expr, &offset, &err), -1);
    assert_int_equal(offset, 2);
    assert_string_equal(err.message, "a text cannot hold the byte 0");
    assert_int_equal(expr_parse("a\0", 2, &expr, &offset, &err), -1);
    assert_int_equal(offset, 1);
    assert_string_equal(err.message, "the byte 0x00 can stand in quotes only");
}

/* Parses `count` times `open`, "a", `count` times `close`. */
static int parse_nested(const char *open, const char *close, int count, size_t *offset,
                        struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_EXPR struct expr *expr = NULL;

    for (int i = 0; i < count; i++)
        buf_addstr(&text, open);
    buf_addstr(&text, "a");
    for (int i = 0; i < count; i++)
        buf_addstr(&text, close);
    return expr_parse(text.data, text.len, &expr, offset, err);
}

static void limits_nesting(void **state)
{
    static const char *const nestings[][2] = {
        {"(", ")"}, {"!", ""}, {"lower(", ")"}, {"a[", "]"}, {"b in (", ")"}};

    (void)state;
    for (size_t i = 0; i < sizeof(nestings) / sizeof(*nestings); i++) {
        const char *open = nestings[i][0];
        struct err err = ERR_INIT;
        size_t offset = 0;

        assert_int_equal(parse_nested(open, nestings[i][1], 64, &offset, &err), 0);
        assert_int_equal(parse_nested(open, nestings[i][1], 65, &offset, &err), -1);
        assert_int_equal(err.code, ERR_LIMIT);
        assert_string_equal(err.message, "the expression is nested more than 64 levels deep");
        assert_int_equal(parse_nested(open, nestings[i][1], 9000, &offset, &err), -1);
    }
}

static void limits_length(void **state)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_EXPR struct expr *expr = NULL;
    CLEANUP_EXPR struct expr *none = NULL;
    struct err err = ERR_INIT;
    size_t offset = 0;

    (void)state;
    buf_addch(&text, 'a');
    while (text.len + 4 <= EXPR_MAX_BYTES)
        buf_addstr(&text, text.len % 8 == 1 ? "&&!b" : "||!c");
    assert_int_equal(expr_parse(text.data, text.len, &expr, &offset, &err), 0);
    buf_addstr(&text, "    ");
    assert_int_equal(expr_parse(text.data, text.len, &none, &offset, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message, "an expression may have 65536 bytes, this has 65537");

    buf_reset(&text);
    buf_addstr(&text, "hashFiles('a'");
    for (int i = 0; i < 64; i++)
        buf_addstr(&text, ", 'a'");
    buf_addch(&text, ')');
    assert_int_equal(expr_parse(text.data, text.len, &none, &offset, &err), -1);
    assert_string_equal(err.message, "at most 64 values can stand in parentheses");

    assert_int_equal(expr_parse("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q", 33, &none, &offset, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message, "a name has at most 16 parts");
    assert_int_equal(offset, 31);

    buf_reset(&text);
    buf_addstr(&text, "a =~ '");
    for (int i = 0; i < 8193; i++)
        buf_addch(&text, 'x');
    buf_addch(&text, '\'');
    assert_int_equal(expr_parse(text.data, text.len, &none, &offset, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message, "a regular expression may have 8192 bytes, this has 8193");
    assert_int_equal(offset, 6);
}

static int note(void *arg, const char *const *path, size_t len, size_t offset, struct err *err)
{
    for (size_t i = 0; i < len; i++)
        buf_addf(arg, "%s%s", i ? "/" : "", path[i]);
    buf_addf(arg, "@%zu ", offset);
    assert_null(path[len]);
    if (strcmp(path[0], "unknown") == 0)
        return err_set(err, ERR_INVALID, "unknown name");
    return 0;
}

struct names_case {
    const char *text;
    const char *names;
    bool status;
    bool constant;
};

static const struct names_case names_cases[] = {
    {"1 < 2 && format('{0}', 'a') != ''", "", false, true},
    {"$A == env.B || env('C')", "env/A@0 env/B@6 env/C@15 ", false, false},
    {"env((\"C\"))", "env/C@0 ", false, false},
    {"env(lower('a'))", "env@0 ", false, false},
    {"env($A)", "env/A@4 env@0 ", false, false},
    {"steps['my step'].outputs.KEY in (matrix[\"os\"], true)",
     "steps/my step/outputs/KEY@0 matrix/os@33 ", false, false},
    {"steps[env.X].status", "steps@0 env/X@6 ", false, false},
    {"matrix.list[0].a", "matrix/list@0 ", false, false},
    {"steps.a-b.true.in.null", "steps/a-b/true/in/null@0 ", false, false},
    {"steps['']", "steps/@0 ", false, false},
    {"trueish || inner", "trueish@0 inner@11 ", false, false},
    {"success", "success@0 ", false, false},
    {"always()", "", true, false},
    {"!(failure() && $A)", "env/A@15 ", true, false},
    {"cancelled() || success()", "", true, false},
    {"exists('a')", "", false, false},
    {"hashFiles('a')", "", false, false},
};

static void shows_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names_cases) / sizeof(*names_cases); i++) {
        const struct names_case *c = &names_cases[i];
        CLEANUP_EXPR struct expr *expr = NULL;
        CLEANUP_BUF struct buf names = BUF_INIT;
        struct err err = ERR_INIT;

        assert_int_equal(expr_parse(c->text, strlen(c->text), &expr, NULL, &err), 0);
        assert_int_equal(expr_check(expr, note, &names, NULL, &err), 0);
        assert_string_equal(names.data, c->names);
        assert_int_equal(expr_uses_status(expr), c->status);
        assert_int_equal(expr_is_constant(expr), c->constant);
    }
}

static void stops_at_a_name_that_is_refused(void **state)
{
    static const char text[] = "a && unknown.b && c";
    CLEANUP_EXPR struct expr *expr = NULL;
    CLEANUP_BUF struct buf names = BUF_INIT;
    struct err err = ERR_INIT;
    size_t offset = 0;

    (void)state;
    assert_int_equal(expr_parse(text, strlen(text), &expr, NULL, &err), 0);
    assert_int_equal(expr_check(expr, note, &names, &offset, &err), -1);
    assert_string_equal(err.message, "unknown name");
    assert_int_equal(offset, 5);
    assert_string_equal(names.data, "a@0 unknown/b@5 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_errors_with_positions),
        cmocka_unit_test(refuses_the_byte_0),
        cmocka_unit_test(limits_nesting),
        cmocka_unit_test(limits_length),
        cmocka_unit_test(shows_names),
        cmocka_unit_test(stops_at_a_name_that_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
