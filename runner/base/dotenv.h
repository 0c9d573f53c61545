/* Dotenv files: lines NAME=VALUE.
 *
 *     # a comment              blank lines and those that begin with # are nothing
 *     export NAME=value        `export` may stand before the name
 *     NAME=a b c  # comment    white space around the value goes, and so does a # behind some
 *     NAME='as it is'          may go over several lines
 *     NAME="a\tb \"c\""        likewise, with \n \r \t \" \\ \$ as escapes; other backslashes stay
 *
 * Lines end with LF or CR LF; a byte order mark is nothing. What ${…} in a value becomes is the
 * caller's business: in single quotes, and behind \$, it comes as $${, see interpolate.h.
 * Source: docs/secrets.md (Env files). */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* One variable, in the order of the file; -1 with *err filled ends the reading. */
typedef int (*dotenv_fn)(void *arg, const char *name, const char *value, struct err *err);

/* `text` is followed by a NUL that len does not count. -1: ERR_INVALID, or what the callback said;
 * *ret_line is then the line, counted from 1. */
int dotenv_read(const char *text, size_t len, dotenv_fn entry, void *arg, size_t *ret_line,
                struct err *err) __attribute__((warn_unused_result));
