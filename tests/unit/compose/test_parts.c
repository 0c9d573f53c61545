/* Commands, durations and files of variables as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "compose/dockerfile.h"
#include "compose/env_file.h"
#include "compose/output.h"
#include "compose/reader.h"

struct command_case {
    const char *text;
    const char *words; /* JSON; NULL: an error */
    const char *rest;  /* or its message */
};

static const struct command_case command_cases[] = {
    {"", "[]", NULL},
    {"  a   b ", "[\"a\", \"b\"]", NULL},
    {"a 'b c' \"d e\"", "[\"a\", \"b c\", \"d e\"]", NULL},
    {"a'b'\"c\"d", "[\"abcd\"]", NULL},
    {"'' \"\"", "[\"\", \"\"]", NULL},
    {"a\\ b \\'c\\'", "[\"a b\", \"'c'\"]", NULL},
    {"'a\\b' \"c\\\"d\"", "[\"a\\\\b\", \"c\\\"d\"]", NULL},
    {"a\\tb\\nc", "[\"a\\tb\\nc\"]", NULL},
    {"sh -c \"a && b\"", "[\"sh\", \"-c\", \"a && b\"]", NULL},
    {"a $(b c) `d e`", "[\"a\", \"$(b c)\", \"`d e`\"]", NULL},
    {"a;b", "[\"a\"]", ";b"},
    {"a | b", "[\"a\"]", "| b"},
    {"a 2>b", "[\"a\"]", ">b"},
    {"a b>c", "[\"a\", \"b\"]", ">c"},
    {"a 'b", NULL, "the command has a quote without end"},
    {"a $(b", NULL, "the command has a \"$(\" without end"},
    {"a (b)", NULL, "the command has an unquoted \"(\"; quote it, or write a list"},
    {"a b)", NULL, "the command has an unquoted \")\"; quote it, or write a list"},
    {"a\\", NULL, "the command ends with a backslash"},
};

static void splits_commands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(command_cases) / sizeof(*command_cases); i++) {
        const struct command_case *c = &command_cases[i];
        json_t *expected = c->words ? json_loads(c->words, 0, NULL) : NULL;
        json_t *words = json_array();
        struct err err = ERR_INIT;
        const char *rest = NULL;
        int result = compose_split_command(c->text, words, &rest, &err);

        assert_int_equal(result, c->words ? 0 : -1);
        if (!c->words)
            assert_string_equal(err.message, c->rest);
        else if (!json_equal(words, expected))
            fail_msg("%s", c->text);
        if (c->words && c->rest)
            assert_string_equal(rest, c->rest);
        else if (c->words)
            assert_null(rest);
        json_decref(words);
        json_decref(expected);
    }
}

struct dockerfile_case {
    const char *text;
    size_t line;
    const char *what; /* NULL: nothing */
};

static const struct dockerfile_case dockerfile_cases[] = {
    {"", 0, NULL},
    {"FROM a\nRUN true --mount\nCOPY --from=x --chown=1 a b\nFROM --platform=linux/arm64 b\n", 0,
     NULL},
    {"FROM a\n\n# RUN --mount=x\nrun --mount=type=cache,target=/x true\n", 4, "RUN --mount"},
    {"FROM a\nRUN \\\n  # why\n\n  --network=none \\\n true\nADD --link a b", 2, "RUN --network"},
    {"# syntax=x\n# escape=`\nFROM a\nRUN a \\\nCOPY --from=b `\r\n --chmod=755 a b", 5,
     "COPY --chmod"},
    {"FROM a\nCOPY --linked a b\nONBUILD ADD --checksum=sha256:1 a b", 3, "ADD --checksum"},
    {"FROM a\nRUN cat <<<x && echo $((1 << 2))\nRUN <<-'EOF' cat\nRUN\nEOF\n", 3, "RUN <<-'EOF'"},
    {"FROM --platform=${BUILDPLATFORM:-x} a", 1, "FROM --platform=${BUILDPLATFORM:-x}"},
    {"FROM a\nCMD cat <<EOF\\", 0, NULL},
};

static void finds_what_is_for_buildkit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(dockerfile_cases) / sizeof(*dockerfile_cases); i++) {
        const struct dockerfile_case *c = &dockerfile_cases[i];
        char *what = NULL;
        size_t line = 0;

        assert_int_equal(compose_dockerfile_find_buildkit(c->text, &line, &what), c->what != NULL);
        assert_int_equal(line, c->line);
        if (c->what)
            assert_string_equal(what, c->what);
        free(what);
    }
}

struct duration_case {
    const char *text;
    int64_t ns;
    const char *shown;
};

static const struct duration_case duration_cases[] = {
    {"0", 0, "0s"},
    {"10s", 10000000000, "10s"},
    {"90s", 90000000000, "1m30s"},
    {"1.5h", 5400000000000, "1h30m0s"},
    {"1d", 86400000000000, "24h0m0s"},
    {"1w", 604800000000000, "168h0m0s"},
    {"1h0.5s", 3600500000000, "1h0m0.5s"},
    {"100ms", 100000000, "100ms"},
    {"1.5ms", 1500000, "1.5ms"},
    {"7us", 7000, "7\xc2\xb5s"},
    {"7\xc2\xb5s", 7000, "7\xc2\xb5s"},
    {"3ns", 3, "3ns"},
    {"-5s", -5000000000, "-5s"},
};

static void reads_durations(void **state)
{
    static const char *const wrong[] = {"",
                                        "5",
                                        "s",
                                        "5x",
                                        "1m5",
                                        "-",
                                        "1..5s",
                                        ".s",
                                        "5 s",
                                        "99999999999999999999s",
                                        "9999999999h",
                                        "1mm"};

    (void)state;
    for (size_t i = 0; i < sizeof(duration_cases) / sizeof(*duration_cases); i++) {
        CLEANUP_BUF struct buf shown = BUF_INIT;
        int64_t ns = -1;

        assert_int_equal(compose_parse_duration(duration_cases[i].text, &ns, NULL), 0);
        assert_int_equal(ns, duration_cases[i].ns);
        compose_add_duration(&shown, ns);
        assert_string_equal(shown.data, duration_cases[i].shown);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        int64_t ns;

        if (compose_parse_duration(wrong[i], &ns, NULL) == 0)
            fail_msg("\"%s\"", wrong[i]);
    }
}

static void prints_numbers_as_go_does(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {{1, "1"},
                 {1.5, "1.5"},
                 {0.1, "0.1"},
                 {-2.25, "-2.25"},
                 {1e3, "1000"},
                 {1e5, "100000"},
                 {1e6, "1e+06"},
                 {1e21, "1e+21"},
                 {1e-4, "0.0001"},
                 {1.5e-5, "1.5e-05"},
                 {123456.5, "123456.5"},
                 {1234567.125, "1.234567125e+06"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_BUF struct buf text = BUF_INIT;

        compose_add_number(&text, cases[i].number);
        assert_string_equal(text.data, cases[i].text);
    }
}

static void numbers_keep_their_value_in_yaml(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {{0.1, "x: 0.1\n"},
                 {2.5, "x: 2.5\n"},
                 {200000000000000090000.0, "x: 2.000000000000001e20\n"},
                 {123456789012345678901.0, "x: 1.2345678901234568e20\n"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_BUF struct buf text = BUF_INIT;
        json_t *value = json_pack("{sf}", "x", cases[i].number);

        compose_add_yaml(value, &text);
        assert_string_equal(text.data, cases[i].text);
        json_decref(value);
    }
}

static void reads_files_of_variables(void **state)
{
    static const char text[] = "\xef\xbb\xbf# comment\r\n"
                               "A=1\r\n"
                               "  export B = two words # comment\n"
                               "C: colon\n"
                               "D='single $A \\n it\\'s'\n"
                               "E=\"double $A\\t\\\"q\\\" \\$A $$A \\x\"\n"
                               "F=${A}${OUT}${NONE:-d}\n"
                               "G=a#b\n"
                               "OUT\n"
                               "NONE\n"
                               "H=\"two\n"
                               "lines\" # behind\n"
                               "I=\n"
                               "a.b-c=dotted\n"
                               "J=\"\\0101\"";
    CLEANUP_STRMAP struct strmap outside = {0};
    CLEANUP_STRMAP struct strmap found = {0};
    const struct compose_env_lookup lookup = {.first = &outside};
    struct err err = ERR_INIT;

    (void)state;
    strmap_set(&outside, "OUT", "outside");
    assert_int_equal(compose_env_file_parse("f", text, sizeof(text) - 1, false, &lookup, &found,
                                            &err),
                     0);
    assert_string_equal(strmap_get(&found, "A"), "1");
    assert_string_equal(strmap_get(&found, "B"), "two words");
    assert_string_equal(strmap_get(&found, "C"), "colon");
    assert_string_equal(strmap_get(&found, "D"), "single $A \\n it's");
    assert_string_equal(strmap_get(&found, "E"), "double 1\t\"q\" $A $A \\x");
    assert_string_equal(strmap_get(&found, "F"), "1outsided");
    assert_string_equal(strmap_get(&found, "G"), "a#b");
    assert_string_equal(strmap_get(&found, "OUT"), "outside");
    assert_null(strmap_get(&found, "NONE"));
    assert_string_equal(strmap_get(&found, "H"), "two\nlines");
    assert_string_equal(strmap_get(&found, "I"), "");
    assert_string_equal(strmap_get(&found, "a.b-c"), "dotted");
    assert_string_equal(strmap_get(&found, "J"), "A");
}

static void says_which_line_is_wrong(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"A=1\n=2\n", "f:2: this is not NAME=VALUE"},
        {"A=1\n\nA B=2\n",
         "f:3: a name has only letters, digits, \".\", \"_\" and \"-\", and \"=\" behind it"},
        {"A='a\nb\n", "f:1: the quote is not closed"},
        {"\nA=${\n", "f:2: expected a name behind \"${\"; write \"$${\" for a literal \"${\""},
        {"A=\xff\n", "f: this is not text in UTF-8"},
    };
    const struct compose_env_lookup lookup = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_STRMAP struct strmap found = {0};
        struct err err = ERR_INIT;

        assert_int_equal(compose_env_file_parse("f", cases[i].text, strlen(cases[i].text), false,
                                                &lookup, &found, &err),
                         -1);
        assert_string_equal(err.message, cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_for_buildkit),
        cmocka_unit_test(splits_commands),
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(prints_numbers_as_go_does),
        cmocka_unit_test(numbers_keep_their_value_in_yaml),
        cmocka_unit_test(reads_files_of_variables),
        cmocka_unit_test(says_which_line_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
