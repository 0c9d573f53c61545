/* What a plugin's schema says about settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "step/plugin_schema.h"

static void add_line(void *arg, const char *text)
{
    buf_addf(arg, "%s\n", text);
}

/* Settings are "KEY=VALUE" strings, ended by NULL. */
static void assert_problems(const char *schema_text, const char *const *settings,
                            const char *expected, struct strmap *defaults)
{
    CLEANUP_PLUGIN_SCHEMA struct plugin_schema *schema = NULL;
    CLEANUP_STRMAP struct strmap given = {0};
    CLEANUP_STRMAP struct strmap own = {0};
    CLEANUP_BUF struct buf problems = BUF_INIT;
    struct err err = ERR_INIT;

    if (plugin_schema_parse(schema_text, &schema, &err) < 0)
        fail_msg("%s", err.message);
    for (; *settings; settings++) {
        CLEANUP_FREE char *key = strndup(*settings, strcspn(*settings, "="));

        strmap_set(&given, key, strchr(*settings, '=') + 1);
    }
    plugin_schema_check(schema, &given, defaults ? defaults : &own, add_line, &problems);
    assert_string_equal(problems.len ? problems.data : "", expected);
}

#define SETTINGS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void takes_what_fits(void **state)
{
    static const char schema[] =
        "{\"type\": \"object\", \"properties\": {"
        "\"s\": {\"type\": \"string\", \"maxLength\": 3}, \"i\": {\"type\": \"integer\"},"
        "\"n\": {\"type\": \"number\", \"minimum\": -1.5}, \"b\": {\"type\": \"boolean\"},"
        "\"l\": {\"type\": \"array\"}, \"m\": {\"type\": \"object\"},"
        "\"e\": {\"enum\": [\"a\", 2, true]}, \"t\": {\"type\": [\"integer\", \"boolean\"]}},"
        "\"required\": [\"s\"]}";

    (void)state;
    assert_problems(schema, SETTINGS("s=äöü", "i=-12", "n=-1.5", "b=true", "l=[1]", "m={}", "e=2"),
                    "", NULL);
    assert_problems(schema, SETTINGS("s=1", "n=1e3", "e=true", "t=false"), "", NULL);
    /* Empty counts as not given where it could not be a value. */
    assert_problems(schema, SETTINGS("s=x", "i=", "b="), "", NULL);
}

static void tells_each_problem(void **state)
{
    static const char schema[] =
        "{\"properties\": {"
        "\"url\": {\"type\": \"string\", \"description\": \"where to send it\"},"
        "\"name\": {\"minLength\": 2}, \"count\": {\"type\": \"integer\", \"maximum\": 9},"
        "\"level\": {\"enum\": [\"low\", \"high\"]}, \"list\": {\"type\": [\"array\", \"number\"]},"
        "\"password\": {\"type\": \"integer\", \"writeOnly\": true}},"
        "\"required\": [\"url\", \"level\"]}";

    (void)state;
    assert_problems(schema,
                    SETTINGS("ulr=x", "name=a", "count=10", "list={}", "password=secret",
                             "zzzzzz=1"),
                    "the setting \"url\" is missing: where to send it\n"
                    "the setting \"name\" must be at least 2 characters long, not \"a\"\n"
                    "the setting \"count\" must be at most 9, not \"10\"\n"
                    "the setting \"level\" is missing\n"
                    "the setting \"list\" must be a number or a list, not \"{}\"\n"
                    "the setting \"password\" must be an integer\n"
                    "the plugin has no setting \"ulr\"; did you mean \"url\"?\n"
                    "the plugin has no setting \"zzzzzz\"; it has url, name, count, level, list, "
                    "password\n",
                    NULL);
    assert_problems(schema, SETTINGS("url=", "level=mid", "count=1.0"),
                    "the setting \"url\" is missing: where to send it\n"
                    "the setting \"count\" must be an integer, not \"1.0\"\n"
                    "the setting \"level\" must be one of low, high, not \"mid\"\n",
                    NULL);
    assert_problems("{}", SETTINGS("a=b"), "the plugin has no setting \"a\", nor any other\n",
                    NULL);
    assert_problems("{\"additionalProperties\": true}", SETTINGS("a=b"), "", NULL);
}

static void gives_defaults(void **state)
{
    static const char schema[] =
        "{\"properties\": {\"a\": {\"default\": \"x\"}, \"b\": {\"default\": [1, \"y\"]},"
        "\"c\": {\"type\": \"integer\", \"default\": 3}, \"d\": {\"default\": 1.5}, \"e\": {}},"
        "\"required\": [\"c\"]}";
    CLEANUP_STRMAP struct strmap defaults = {0};

    (void)state;
    assert_problems(schema, SETTINGS("a=given", "c="), "", &defaults);
    assert_int_equal(defaults.len, 3);
    assert_string_equal(strmap_get(&defaults, "b"), "[1,\"y\"]");
    assert_string_equal(strmap_get(&defaults, "c"), "3");
    assert_string_equal(strmap_get(&defaults, "d"), "1.5");
}

static void refuses_what_it_does_not_know(void **state)
{
    static const struct {
        const char *schema;
        const char *message;
    } cases[] = {
        {"{", "it is not JSON: string or '}' expected near end of file (line 1, column 1)"},
        {"[]", "it must be a map"},
        {"{\"oneOf\": []}", "the schema: \"oneOf\" is not supported"},
        {"{\"type\": \"array\"}", "the schema: \"type\" must be \"object\""},
        {"{\"properties\": {\"a\": 1}}", "setting \"a\" must be a map"},
        {"{\"properties\": {\"a\": {\"pattern\": \"x\"}}}",
         "setting \"a\": \"pattern\" is not supported"},
        {"{\"properties\": {\"a\": {\"type\": \"text\"}}}",
         "setting \"a\": \"type\" must be string, integer, number, boolean, array, object, or a "
         "list of these"},
        {"{\"properties\": {\"a\": {\"type\": []}}}",
         "setting \"a\": \"type\" must be string, integer, number, boolean, array, object, or a "
         "list of these"},
        {"{\"properties\": {\"a\": {\"enum\": [[]]}}}",
         "setting \"a\": \"enum\" must be a list of strings, numbers or booleans"},
        {"{\"required\": [\"a\"]}", "\"required\" names \"a\", which is no setting"},
        {"{\"required\": \"a\"}", "the schema: \"required\" must be a list of names"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_PLUGIN_SCHEMA struct plugin_schema *schema = NULL;
        struct err err = ERR_INIT;

        assert_int_equal(-1, plugin_schema_parse(cases[i].schema, &schema, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.message, cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_fits),
        cmocka_unit_test(tells_each_problem),
        cmocka_unit_test(gives_defaults),
        cmocka_unit_test(refuses_what_it_does_not_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
