/* Assertions on functions that tell their errors by a struct err: of those, test_err. */
#pragma once

#include "tests/unit/test.h"

#include "base/ctx.h"
#include "base/err.h"

static struct err test_err;
static struct ctx test_ctx __attribute__((unused));

#define assert_ok(expression)                                                                      \
    do {                                                                                           \
        if ((expression) < 0)                                                                      \
            fail_msg("%s: %s (%s, %d)", #expression, test_err.message,                             \
                     err_code_name(test_err.code), test_err.errnum);                               \
    } while (0)
#define assert_error(expression, expected)                                                         \
    do {                                                                                           \
        assert_int_equal((expression), -1);                                                        \
        if (test_err.code != (expected))                                                           \
            fail_msg("%s: %s: %s", #expression, err_code_name(test_err.code), test_err.message);   \
    } while (0)
#define assert_message(text)                                                                       \
    do {                                                                                           \
        if (!strstr(test_err.message, text))                                                       \
            fail_msg("no \"%s\" in: %s (%s)", text, test_err.message,                              \
                     err_code_name(test_err.code));                                                \
    } while (0)
