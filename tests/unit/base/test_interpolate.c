#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/interpolate.h"
#include "base/map.h"

static const char *lookup(void *arg, const char *name)
{
    return strmap_get(arg, name);
}

static int refuse_unset(void *arg, const char *name, size_t offset, struct err *err)
{
    (void)arg;
    return err_set(err, ERR_INVALID, "%s is not set (at %zu)", name, offset);
}

struct expansion_case {
    const char *text;
    const char *expected;
};

static const struct expansion_case expansion_cases[] = {
    {"plain", "plain"},
    {"", ""},
    {"${A}", "one"},
    {"<${A}${B}>", "<onetwo words>"},
    {"${NONE}", ""},
    {"${EMPTY}", ""},
    {"${NONE:-d}", "d"},
    {"${EMPTY:-d}", "d"},
    {"${A:-d}", "one"},
    {"${NONE-d}", "d"},
    {"${EMPTY-d}", ""},
    {"${A-d}", "one"},
    {"${A:+alt}", "alt"},
    {"${EMPTY:+alt}", ""},
    {"${EMPTY+alt}", "alt"},
    {"${NONE:+alt}", ""},
    {"${NONE+alt}", ""},
    {"${A:?needed}", "one"},
    {"${EMPTY?needed}", ""},
    {"${NONE:-${A}}", "one"},
    {"${NONE:-x${NONE:-${B}}y}z", "xtwo wordsyz"},
    {"${A:-${NONE:?not looked at}}", "one"},
    {"$A $ $$ $1 a$", "$A $ $$ $1 a$"},
    {"$${A}", "${A}"},
    {"${NONE:-$${A}", "${A"},
    {"${DOLLAR}", "${A}"},
    {"} }", "} }"},
    {"${NONE:-a:-b}", "a:-b"},
};

static void expands(void **state)
{
    CLEANUP_STRMAP struct strmap names = {0};
    struct interpolate_scope scope = {.lookup = lookup, .arg = &names};

    (void)state;
    strmap_set(&names, "A", "one");
    strmap_set(&names, "B", "two words");
    strmap_set(&names, "EMPTY", "");
    strmap_set(&names, "DOLLAR", "${A}");
    for (size_t i = 0; i < sizeof(expansion_cases) / sizeof(*expansion_cases); i++) {
        CLEANUP_BUF struct buf out = BUF_INIT;
        struct err err = ERR_INIT;

        assert_int_equal(interpolate(expansion_cases[i].text, &scope, &out, NULL, &err), 0);
        assert_string_equal(out.data, expansion_cases[i].expected);
        assert_int_equal(interpolate_check(expansion_cases[i].text, NULL, NULL, &err), 0);
    }
}

static const struct expansion_case bare_cases[] = {
    {"$A", "one"},
    {"$A$B", "onetwo words"},
    {"<$A.x>", "<one.x>"},
    {"$AB", ""},
    {"$A_1", ""},
    {"$$A", "$A"},
    {"$$$A", "$one"},
    {"$${A}", "${A}"},
    {"$$$$", "$$"},
    {"$1 $ $. a$", "$1 $ $. a$"},
    {"${NONE:-$A $$}", "one $"},
    {"${A:+[$B]}", "[two words]"},
    {"$DOLLAR", "${A}"},
};

static void expands_names_without_braces(void **state)
{
    CLEANUP_STRMAP struct strmap names = {0};
    struct interpolate_scope scope = {.lookup = lookup, .arg = &names, .bare = true};

    (void)state;
    strmap_set(&names, "A", "one");
    strmap_set(&names, "B", "two words");
    strmap_set(&names, "DOLLAR", "${A}");
    for (size_t i = 0; i < sizeof(bare_cases) / sizeof(*bare_cases); i++) {
        CLEANUP_BUF struct buf out = BUF_INIT;
        struct err err = ERR_INIT;

        assert_int_equal(interpolate(bare_cases[i].text, &scope, &out, NULL, &err), 0);
        assert_string_equal(out.data, bare_cases[i].expected);
    }
}

struct error_case {
    const char *text;
    size_t offset;
    const char *message;
};

static const struct error_case syntax_cases[] = {
    {"ab ${A", 3, "\"${\" has no closing \"}\""},
    {"${NONE:-b", 0, "\"${\" has no closing \"}\""},
    {"x ${}", 2, "expected a name behind \"${\"; write \"$${\" for a literal \"${\""},
    {"${1}", 0, "expected a name behind \"${\"; write \"$${\" for a literal \"${\""},
    {"${A.b}", 3, "expected \"}\", \":-\", \"-\", \":?\" or \":+\" behind the name"},
    {"${A:b}", 3, "expected \"}\", \":-\", \"-\", \":?\" or \":+\" behind the name"},
    {"${A:", 3, "expected \"}\", \":-\", \"-\", \":?\" or \":+\" behind the name"},
    {"${A:-${}}", 5, "expected a name behind \"${\"; write \"$${\" for a literal \"${\""},
};

static void reports_syntax_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(syntax_cases) / sizeof(*syntax_cases); i++) {
        struct err err = ERR_INIT;
        size_t offset = 99;

        assert_int_equal(interpolate_check(syntax_cases[i].text, NULL, &offset, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.message, syntax_cases[i].message);
        assert_int_equal(offset, syntax_cases[i].offset);
    }
}

static void reports_what_a_required_name_says(void **state)
{
    CLEANUP_STRMAP struct strmap names = {0};
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct interpolate_scope scope = {.lookup = lookup, .arg = &names};
    struct err err = ERR_INIT;
    size_t offset = 0;

    (void)state;
    strmap_set(&names, "HELP", "the docs");
    assert_int_equal(interpolate("a ${T:?see ${HELP}}", &scope, &out, &offset, &err), -1);
    assert_string_equal(err.message, "T: see the docs");
    assert_int_equal(offset, 2);
    assert_int_equal(interpolate("${T?}", &scope, &out, &offset, &err), -1);
    assert_string_equal(err.message, "T: it is not set");
}

static void tells_of_unset_names(void **state)
{
    CLEANUP_STRMAP struct strmap names = {0};
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct interpolate_scope scope = {.lookup = lookup, .unset = refuse_unset, .arg = &names};
    struct err err = ERR_INIT;
    size_t offset = 0;

    (void)state;
    assert_int_equal(interpolate("ab ${T}", &scope, &out, &offset, &err), -1);
    assert_string_equal(err.message, "T is not set (at 3)");
    assert_int_equal(offset, 3);
    assert_int_equal(interpolate("${T:-x}${T-y}${T:+z}", &scope, &out, &offset, &err), 0);
}

static void caps_result_and_nesting(void **state)
{
    CLEANUP_STRMAP struct strmap names = {0};
    CLEANUP_BUF struct buf out = BUF_INIT;
    CLEANUP_BUF struct buf deep = BUF_INIT;
    struct interpolate_scope scope = {.lookup = lookup, .arg = &names, .max_bytes = 7};
    struct err err = ERR_INIT;
    size_t offset = 0;

    (void)state;
    strmap_set(&names, "A", "four");
    assert_int_equal(interpolate("${A}123", &scope, &out, &offset, &err), 0);
    assert_int_equal(interpolate("${A}${A}", &scope, &out, &offset, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message, "the text grows beyond 7 bytes when it is expanded");
    assert_int_equal(offset, 4);
    for (int i = 0; i < 100000; i++)
        buf_addstr(&deep, "${A:-");
    assert_int_equal(interpolate_check(deep.data, NULL, &offset, &err), -1);
    assert_string_equal(err.message, "\"${\" is nested too deeply");
}

/* An expression of these tests is a name, shown as <name>; "bad" is an error at its "d",
 * "late" one that only its evaluation shows. */
static int evaluate(void *arg, const char *text, size_t len, size_t *offset, struct buf *out,
                    struct err *err)
{
    (void)arg;
    if (len >= 3 && memcmp(text, "bad", 3) == 0) {
        *offset += 2;
        return err_set(err, ERR_INVALID, "a bad expression");
    }
    if (len >= 4 && memcmp(text, "fail", 4) == 0)
        return err_set(err, ERR_INVALID, "failed");
    if (out && len >= 4 && memcmp(text, "late", 4) == 0)
        return err_set(err, ERR_INVALID, "failed late");
    if (out)
        buf_addf(out, "<%.*s>", (int)len, text);
    return 0;
}

static const struct expansion_case hook_cases[] = {
    {"{{a}}", "<a>"},
    {"x{{a}}y{{ b }}z", "x<a>y< b >z"},
    {"{{}}", "<>"},
    {"{ {a} }}", "{ {a} }}"},
    {"{{'}}'}}", "<'}}'>"},
    {"{{'it''s }}'}}", "<'it''s }}'>"},
    {"{{\"\\\"}}\"}}", "<\"\\\"}}\">"},
    {"{{ ${A} }}", "< ${A} >"},
    {"${DOLLAR}", "{{a}}"},
    {"${NONE:-{{a}}}", "<a>"},
    {"${A:-{{a}}}", "one"},
    {"${A:+x{{'}'}}y}", "x<'}'>y"},
    {"$${{a}}", "${{a}}"},
    {"$$${A}{{a}}", "$${A}<a>"},
};

static void hands_out_expressions(void **state)
{
    CLEANUP_STRMAP struct strmap names = {0};
    const struct interpolate_scope scope = {.lookup = lookup,
                                            .expression = evaluate,
                                            .arg = &names};
    const struct interpolate_scope plain = {.lookup = lookup, .arg = &names};
    CLEANUP_BUF struct buf as_is = BUF_INIT;
    struct err err = ERR_INIT;

    (void)state;
    strmap_set(&names, "A", "one");
    strmap_set(&names, "DOLLAR", "{{a}}");
    for (size_t i = 0; i < sizeof(hook_cases) / sizeof(*hook_cases); i++) {
        CLEANUP_BUF struct buf out = BUF_INIT;

        assert_int_equal(interpolate(hook_cases[i].text, &scope, &out, NULL, &err), 0);
        assert_string_equal(out.data, hook_cases[i].expected);
        assert_int_equal(interpolate_check(hook_cases[i].text, &scope, NULL, &err), 0);
    }
    assert_int_equal(interpolate("{{bad}} {{ ${A}", &plain, &as_is, NULL, &err), 0);
    assert_string_equal(as_is.data, "{{bad}} {{ one");
}

static const struct error_case hook_errors[] = {
    {"a {{b", 2, "\"{{\" has no closing \"}}\"; write {{ '{{' }} for a literal \"{{\""},
    {"{{ b } }", 0, "\"{{\" has no closing \"}}\"; write {{ '{{' }} for a literal \"{{\""},
    {"{{ 'b", 0, "\"{{\" has no closing \"}}\"; write {{ '{{' }} for a literal \"{{\""},
    {"{{ it's }}", 5, "the quote that begins here has no end before \"}}\""},
    {"{{ \"\\\" }}", 3, "the quote that begins here has no end before \"}}\""},
    {"a {{bad}}", 6, "a bad expression"},
    {"a {{fail}}", 4, "failed"},
    {"${A:-{{bad}}}", 9, "a bad expression"},
    {"${{ a }}", 0, "an expression stands in {{ }} without \"$\" before it"},
};

static void reports_errors_of_expressions(void **state)
{
    CLEANUP_STRMAP struct strmap names = {0};
    struct interpolate_scope scope = {.lookup = lookup, .expression = evaluate, .arg = &names};
    CLEANUP_BUF struct buf unused = BUF_INIT;
    struct err err = ERR_INIT;
    size_t offset = 99;

    (void)state;
    strmap_set(&names, "A", "one");
    for (size_t i = 0; i < sizeof(hook_errors) / sizeof(*hook_errors); i++) {
        CLEANUP_BUF struct buf out = BUF_INIT;

        assert_int_equal(interpolate_check(hook_errors[i].text, &scope, &offset, &err), -1);
        assert_string_equal(err.message, hook_errors[i].message);
        assert_int_equal(offset, hook_errors[i].offset);
        offset = 99;
        assert_int_equal(interpolate(hook_errors[i].text, &scope, &out, &offset, &err), -1);
        assert_string_equal(err.message, hook_errors[i].message);
        assert_int_equal(offset, hook_errors[i].offset);
    }
    assert_int_equal(interpolate_check("{{late}}", &scope, &offset, &err), 0);
    assert_int_equal(interpolate("${A:-{{late}}}", &scope, &unused, &offset, &err), 0);
    assert_int_equal(interpolate("a{{late}}", &scope, &unused, &offset, &err), -1);
    assert_string_equal(err.message, "failed late");
    assert_int_equal(offset, 3);
    scope.max_bytes = 7;
    {
        CLEANUP_BUF struct buf out = BUF_INIT;

        assert_int_equal(interpolate("x{{abcde}}", &scope, &out, &offset, &err), -1);
        assert_int_equal(err.code, ERR_LIMIT);
        assert_int_equal(offset, 1);
    }
}

static void recognises_a_single_name(void **state)
{
    const char *name = NULL;
    size_t len = 0;

    (void)state;
    assert_true(interpolate_is_name("${TOKEN}", &name, &len));
    assert_int_equal(len, 5);
    assert_memory_equal(name, "TOKEN", 5);
    assert_false(interpolate_is_name("${TOKEN:-x}", &name, &len));
    assert_false(interpolate_is_name("${A}b", &name, &len));
    assert_false(interpolate_is_name("${}", &name, &len));
    assert_false(interpolate_is_name("$A", &name, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expands),
        cmocka_unit_test(expands_names_without_braces),
        cmocka_unit_test(reports_syntax_errors),
        cmocka_unit_test(reports_what_a_required_name_says),
        cmocka_unit_test(tells_of_unset_names),
        cmocka_unit_test(caps_result_and_nesting),
        cmocka_unit_test(hands_out_expressions),
        cmocka_unit_test(reports_errors_of_expressions),
        cmocka_unit_test(recognises_a_single_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
