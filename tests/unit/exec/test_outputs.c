/* The files in which steps tell others something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "exec/outputs.h"

static void assert_map(const struct strmap *map, const char *const *pairs)
{
    uint32_t count = 0;

    for (; pairs[0]; pairs += 2, count++) {
        const char *value = strmap_get(map, pairs[0]);

        if (!value)
            fail_msg("%s is not set", pairs[0]);
        assert_string_equal(value, pairs[1]);
    }
    assert_int_equal(map->len, count);
}

static void assert_parsed(const char *text, const char *const *pairs)
{
    for (int kind = 0; kind < OUTPUTS_KINDS; kind++) {
        CLEANUP_STRMAP struct strmap map = {0};
        struct err err = ERR_INIT;

        if (outputs_parse((enum outputs_kind)kind, text, strlen(text), &map, &err) < 0)
            fail_msg("%s: %s", text, err.message);
        assert_map(&map, pairs);
    }
}

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void lines(void **state)
{
    (void)state;
    assert_parsed("", (const char *const[]){NULL});
    assert_parsed("\n\r\n\n", (const char *const[]){NULL});
    assert_parsed("A=1\nB_2=two words \n", PAIRS("A", "1", "B_2", "two words "));
    assert_parsed("a=1\na=2", PAIRS("a", "2"));
    assert_parsed("A=\r\nB=x\r\n", PAIRS("A", "", "B", "x"));
    assert_parsed("A==<<b=\nC=\"q\" 'r' $D\\n", PAIRS("A", "=<<b=", "C", "\"q\" 'r' $D\\n"));
    assert_parsed("\xef\xbb\xbf_=\xc3\xa4\xff", PAIRS("_", "\xc3\xa4\xff"));
    assert_parsed("A=1\r\r\n", PAIRS("A", "1\r"));
}

static void blocks(void **state)
{
    (void)state;
    assert_parsed("A<<EOF\none\n\n two\nEOF\nB=1\n", PAIRS("A", "one\n\n two", "B", "1"));
    assert_parsed("A<<EOF\nEOF\nB<<EOF\n\nEOF", PAIRS("A", "", "B", ""));
    assert_parsed("A<<EOF\n\n\nEOF\n", PAIRS("A", "\n"));
    assert_parsed("A<<E O\r\nx\r\nE O \r\nB=1\r\nE O\r\n", PAIRS("A", "x\nE O \nB=1"));
    assert_parsed("A<<=\nx=1\n=\n", PAIRS("A", "x=1"));
    assert_parsed("A<<E\nx\nE\nA<<E\ny\nE", PAIRS("A", "y"));
}

static void assert_refused(enum outputs_kind kind, const char *text, size_t size,
                           const char *message)
{
    CLEANUP_STRMAP struct strmap map = {0};
    struct err err = ERR_INIT;

    assert_int_equal(-1, outputs_parse(kind, text, size, &map, &err));
    assert_string_equal(err.message, message);
    assert_int_equal(map.len, 0);
}

static void refused(const char *text, const char *message)
{
    assert_refused(OUTPUTS_OUTPUT, text, strlen(text), message);
}

#define NEITHER " is neither KEY=VALUE nor the KEY<<END that a value of several lines needs"

/* The messages hold nothing of the lines: they may be secret. */
static void malformed(void **state)
{
    (void)state;
    refused("A=1\n\nsecret\n", "line 3 of $PIPELINE_OUTPUT" NEITHER);
    refused("=1", "line 1 of $PIPELINE_OUTPUT" NEITHER);
    refused("A =1", "line 1 of $PIPELINE_OUTPUT" NEITHER);
    refused(" A=1", "line 1 of $PIPELINE_OUTPUT" NEITHER);
    refused("1A=1", "line 1 of $PIPELINE_OUTPUT" NEITHER);
    refused("-A=1", "line 1 of $PIPELINE_OUTPUT" NEITHER);
    refused("export A=1", "line 1 of $PIPELINE_OUTPUT" NEITHER);
    refused("# A=1", "line 1 of $PIPELINE_OUTPUT" NEITHER);
    refused("\xc3\xa4=1", "line 1 of $PIPELINE_OUTPUT" NEITHER);
    refused("A", "line 1 of $PIPELINE_OUTPUT" NEITHER);
    refused("A<<\nx\n", "line 1 of $PIPELINE_OUTPUT" NEITHER);
    refused("A<<\r\nx\n", "line 1 of $PIPELINE_OUTPUT" NEITHER);
    refused("A<EOF\n", "line 1 of $PIPELINE_OUTPUT" NEITHER);
    refused("A<<E\nx\nE\nx\n", "line 4 of $PIPELINE_OUTPUT" NEITHER);
    refused("B=1\nA<<E\nsecret\nE \n",
            "line 2 of $PIPELINE_OUTPUT: no line ends the value of \"A\" that begins there");
    refused("A<<E",
            "line 1 of $PIPELINE_OUTPUT: no line ends the value of \"A\" that begins there");
    assert_refused(OUTPUTS_OUTPUT, "B=1\nA=x\0y\n", 10,
                   "line 2 of $PIPELINE_OUTPUT: the value of \"A\" holds a NUL byte");
    assert_refused(OUTPUTS_OUTPUT, "A\0=x\n", 5, "line 1 of $PIPELINE_OUTPUT" NEITHER);
    assert_refused(OUTPUTS_ENV, "A<<E\n\0\nE\n", 9,
                   "line 1 of $PIPELINE_ENV: the value of \"A\" holds a NUL byte");
}

static void keys_of_outputs_and_variables(void **state)
{
    CLEANUP_STRMAP struct strmap map = {0};

    (void)state;
    assert_int_equal(0, outputs_parse(OUTPUTS_OUTPUT, "a-b=1\nPIPELINE_X=2", 18, &map, NULL));
    assert_map(&map, PAIRS("a-b", "1", "PIPELINE_X", "2"));
    assert_refused(OUTPUTS_ENV, "a-b=1", 5, "line 1 of $PIPELINE_ENV" NEITHER);
    assert_refused(OUTPUTS_ENV, "A=1\nPIPELINE_X=2", 16,
                   "line 2 of $PIPELINE_ENV: \"PIPELINE_X\" cannot be set: names that begin with "
                   "PIPELINE_ belong to the runner");
    assert_refused(OUTPUTS_ENV, "PIPELINE_ENV<<E\nx\nE", 19,
                   "line 1 of $PIPELINE_ENV: \"PIPELINE_ENV\" cannot be set: names that begin with "
                   "PIPELINE_ belong to the runner");
}

static void sized(enum outputs_kind kind, const char *head, size_t size, const char *tail,
                  const char *message)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_STRMAP struct strmap map = {0};
    struct err err = ERR_INIT;
    int result;

    buf_addstr(&text, head);
    for (size_t i = 0; i < size; i++)
        buf_addch(&text, i % 80 == 79 && *tail ? '\n' : 'x');
    buf_addstr(&text, tail);
    result = outputs_parse(kind, text.data, text.len, &map, &err);
    assert_string_equal(err.message, message);
    assert_int_equal(result, *message ? -1 : 0);
    assert_int_equal(map.len, *message ? 0 : 1);
    if (!*message)
        assert_int_equal(strlen(map.entries[0].value), size);
}

static void limits(void **state)
{
    static const char large[] =
        "line 1 of $PIPELINE_OUTPUT: the value of \"A\" has more than 1 MiB";
    static const char variable[] =
        "line 1 of $PIPELINE_ENV: \"ABC\" has more than the 128 KiB that a variable can have";

    (void)state;
    sized(OUTPUTS_OUTPUT, "A=", 1 << 20, "", "");
    sized(OUTPUTS_OUTPUT, "A=", (1 << 20) + 1, "", large);
    sized(OUTPUTS_OUTPUT, "A<<E\n", 1 << 20, "\nE\n", "");
    sized(OUTPUTS_OUTPUT, "A<<E\n", (1 << 20) + 1, "\nE\n", large);
    sized(OUTPUTS_ENV, "ABC=", 131072 - 5, "", "");
    sized(OUTPUTS_ENV, "ABC=", 131072 - 4, "", variable);
}

static void limit_of_keys(void **state)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_STRMAP struct strmap map = {0};

    (void)state;
    for (int i = 0; i < OUTPUTS_KEYS_MAX; i++)
        buf_addf(&text, "K%d=\n", i);
    assert_int_equal(0, outputs_parse(OUTPUTS_OUTPUT, text.data, text.len, &map, NULL));
    assert_int_equal(map.len, OUTPUTS_KEYS_MAX);
    buf_addstr(&text, "\nA=1\n");
    assert_refused(OUTPUTS_OUTPUT, text.data, text.len,
                   "line 10002 of $PIPELINE_OUTPUT is beyond the 10000 that can be set");
}

static void takes_what_engines_give_back(void **state)
{
    struct outputs outputs = {0};
    const struct runnable_return other = {.name = "x", .variable = "X"};
    const struct runnable_return output = outputs_files[OUTPUTS_OUTPUT]; /* a copy is as good */

    (void)state;
    outputs_take(&outputs, &output, RETURNED_WHOLE, "A=1\n", 4);
    outputs_take(&outputs, &outputs_files[OUTPUTS_ENV], RETURNED_WHOLE, "B=2\n", 4);
    outputs_take(&outputs, &other, RETURNED_WHOLE, "bad", 3);
    assert_int_equal(outputs.err.code, ERR_NONE);
    assert_map(&outputs.maps[OUTPUTS_OUTPUT], PAIRS("A", "1"));
    assert_map(&outputs.maps[OUTPUTS_ENV], PAIRS("B", "2"));
    outputs_release(&outputs);
    outputs_take(&outputs, &output, RETURNED_TRUNCATED, "A=1\n", 4);
    outputs_take(&outputs, &outputs_files[OUTPUTS_ENV], RETURNED_WHOLE, "bad", 3);
    assert_int_equal(outputs.err.code, ERR_LIMIT);
    assert_string_equal(outputs.err.message,
                        "$PIPELINE_OUTPUT holds more than 4 MiB; what is larger belongs in a file");
    assert_int_equal(outputs.maps[OUTPUTS_OUTPUT].len, 0);
    outputs_release(&outputs);
    outputs_take(&outputs, &outputs_files[OUTPUTS_ENV], RETURNED_UNREADABLE, "", 0);
    assert_string_equal(outputs.err.message, "$PIPELINE_ENV is no regular file any more");
    outputs_release(&outputs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(blocks),
        cmocka_unit_test(malformed),
        cmocka_unit_test(keys_of_outputs_and_variables),
        cmocka_unit_test(limits),
        cmocka_unit_test(limit_of_keys),
        cmocka_unit_test(takes_what_engines_give_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
