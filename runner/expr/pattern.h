/* Regular expressions of `=~` and `!~`: PCRE2 with bounds on time and memory.
 *
 * The work of a match is counted, in characters gone over; what needs more than
 * EXPR_PATTERN_WORK is an error instead of a hang, whatever the pattern. A pattern is immutable and
 * may be used by several threads.
 *
 * Source: pcre2api(3), pcre2callout(3). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define EXPR_PATTERN_MAX_BYTES 8192
#define EXPR_PATTERN_WORK      20000000

struct expr_pattern;

/* ERR_INVALID: not a regular expression; *ret_offset is the byte of it that is wrong. */
int expr_pattern_compile(const char *text, size_t len, struct expr_pattern **ret,
                         size_t *ret_offset, struct err *err) __attribute__((warn_unused_result));
void expr_pattern_free(struct expr_pattern *pattern);
/* Whether it matches somewhere in the text. ERR_LIMIT: finding out takes too much time or memory.
 */
int expr_pattern_match(const struct expr_pattern *pattern, const char *text, size_t len, bool *ret,
                       struct err *err) __attribute__((warn_unused_result));
