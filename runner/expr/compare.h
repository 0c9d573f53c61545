/* Comparing values.
 *
 * Texts are compared byte by byte, and so is whatever has a text: null is the empty text, true is
 * 'true', 5 is '5'. `numeric` compares numbers instead: texts that are numbers count as these.
 * Lists and maps are equal to their likes only, and have no order.
 * Source: docs/expressions.md (Comparing). */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "expr/value.h"

/* Two numbers are compared as such, beside what the text of the expression asks for. */
bool expr_values_numeric(const struct expr_value *a, const struct expr_value *b);
bool expr_values_equal(const struct expr_value *a, const struct expr_value *b, bool numeric);
/* *ret is below, at or above 0 as a is below, at or above b. ERR_INVALID: there is no order, and
 * *ret_wrong is the side (0 or 1) that is why; `op` is the operator for the message. */
int expr_values_order(const struct expr_value *a, const struct expr_value *b, bool numeric,
                      const char *op, int *ret, unsigned *ret_wrong, struct err *err)
    __attribute__((warn_unused_result));
/* Whether a list holds the value; literal: the value was written as a number. */
bool expr_list_contains(json_t *list, const struct expr_value *value, bool literal);
