/* Files of variables in the dialect of Compose: .env, env_file, label_file. Private to this folder.
 *
 *     # a comment               NAME: value               export NAME=value
 *     NAME=a $OTHER # comment   variables are expanded, a # behind a space ends it
 *     NAME='as it is'           may go over several lines; \' is a quote
 *     NAME="a\tb ${OTHER:-x}"   likewise, with escapes and variables
 *     NAME                      the value that the caller has for it, else nothing
 *
 * It differs from base/dotenv.h in the names (also ".", "-", "[" and "]"), in the escapes, and in
 * that a $NAME without braces is a variable.
 * Source: Compose Specification, env_file; Docker documentation, Env file syntax. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/map.h"

#define COMPOSE_ENV_FILE_MAX ((size_t)16 * 1024 * 1024)

struct compose_env_lookup {
    /* Of variables in values, before those of the file itself, and of NAMEs without value. */
    const struct strmap *first;
    const struct strmap *second; /* asked when the first has none; may be NULL */
};

/* Adds the variables to `out`. raw: lines of NAME=VALUE, taken as they are. Errors begin with
 * "PATH:LINE: "; ERR_NOT_FOUND: there is no such file. */
int compose_env_file_read(const char *path, bool raw, const struct compose_env_lookup *lookup,
                          struct strmap *out, struct err *err) __attribute__((warn_unused_result));
/* The same of a text that is followed by a NUL. */
int compose_env_file_parse(const char *name, const char *text, size_t len, bool raw,
                           const struct compose_env_lookup *lookup, struct strmap *out,
                           struct err *err) __attribute__((warn_unused_result));
