#include "../test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "expr/pattern.h"

struct hang_case {
    const char *pattern;
    char byte; /* of which the text consists */
    size_t len;
};

/* Exponential, quadratic and cubic: each would take minutes or years. */
static const struct hang_case hang_cases[] = {
    {"^(a+)+[bc]", 'a', 64},
    {"(a|a)*[bc]", 'a', 64},
    {"^(a?){40}a{40}[bc]", 'a', 60},
    {"(\\w+\\s*)+[!?]", 'a', 100000},
    {"\\s+[xy]", ' ', 100000},
    {"a*a*a*[bc]", 'a', 5000},
    {"(?=(a+))a*[bc]\\1", 'a', 100000},
    {"a*+[bc]", 'a', 200000},
    {"(?:[a-z]*+)[0-9]", 'a', 200000},
};

static void ends_what_would_hang(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(hang_cases) / sizeof(*hang_cases); i++) {
        const struct hang_case *c = &hang_cases[i];
        struct expr_pattern *pattern = NULL;
        struct err err = ERR_INIT;
        char *text = xmalloc(c->len);
        CLEANUP_BUF struct buf message = BUF_INIT;
        size_t offset;
        bool matches;

        memset(text, c->byte, c->len);
        assert_int_equal(expr_pattern_compile(c->pattern, strlen(c->pattern), &pattern, &offset,
                                              &err),
                         0);
        if (expr_pattern_match(pattern, text, c->len, &matches, &err) == 0)
            fail_msg("%s comes to an end", c->pattern);
        assert_int_equal(err.code, ERR_LIMIT);
        buf_addf(&message, "matching a text of %zu bytes takes too long; make the pattern simpler",
                 c->len);
        assert_string_equal(err.message, message.data);
        expr_pattern_free(pattern);
        free(text);
    }
}

/* A log of a megabyte is no reason to give up on a pattern that is no trouble. */
static void reads_long_texts(void **state)
{
    static const char *const patterns[] = {"needle", "[0-9]+", "^x.*needle$", "(?i)NEEDLE"};
    size_t len = 1024 * 1024;
    char *text = xmalloc(len);

    (void)state;
    memset(text, 'x', len);
    memcpy(text + len - 7, "7needle", 7);
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
        struct expr_pattern *pattern = NULL;
        struct err err = ERR_INIT;
        bool matches = false;
        size_t offset;

        assert_int_equal(expr_pattern_compile(patterns[i], strlen(patterns[i]), &pattern, &offset,
                                              &err),
                         0);
        if (expr_pattern_match(pattern, text, len, &matches, &err) < 0)
            fail_msg("%s: %s", patterns[i], err.message);
        assert_true(matches);
        expr_pattern_free(pattern);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_what_would_hang),
        cmocka_unit_test(reads_long_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
