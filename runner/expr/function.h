/* The functions of expressions. One table: the parser checks names and counts against it, the
 * evaluator calls through it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "expr/value.h"

struct expr_function;
struct expr_scope;

struct expr_call {
    const struct expr_function *function;
    const struct expr_scope *scope; /* NULL: a constant is evaluated */
    struct expr_value *args;        /* may be taken, leaving null */
    size_t count;
    size_t wrong; /* set on failure: the argument it is about; count: the call as a whole */
};

enum expr_function_class {
    FUNCTION_PURE,    /* of its arguments alone */
    FUNCTION_STATUS,  /* asks the scope how the run is going */
    FUNCTION_OUTSIDE, /* asks the scope for something else */
};

struct expr_function {
    const char *name;
    uint8_t least; /* arguments */
    uint8_t most;
    uint8_t class;
    /* *ret is null to begin with. */
    int (*run)(struct expr_call *call, struct expr_value *ret, struct err *err);
};

/* NULL: there is none of that name; *ret_nearest is then one that may be meant, or NULL. */
const struct expr_function *expr_function_find(const char *name, const char **ret_nearest);

/* Checks a text for format() with that many values. ERR_INVALID: it is malformed, or asks for a
 * value that is not there. */
int expr_format_check(const char *text, size_t len, size_t values, struct err *err)
    __attribute__((warn_unused_result));
