/* Which object stores there are, and where the local one is. */
#pragma once

#include "base/err.h"
#include "objstore/objstore.h"

struct cli_store_options {
    const char *dir;   /* of the local store; NULL: $XDG_CACHE_HOME/runner, else ~/.cache/runner */
    int64_t max_bytes; /* of the local store; 0: no limit */
};

#define CLI_STORE_SIZE_DEFAULT "10g"

/* Rows of an option table for two `char *` at these offsets. */
/* clang-format off */
#define CLI_STORE_OPTIONS(dir_offset, size_offset)                                                 \
    {"cache-dir", 0, CLI_STRING, dir_offset, "DIR",                                                \
     "where caches are kept (~/.cache/runner)", NULL,                                              \
     ((const char *const[]){"RUNNER_CACHE_DIR", NULL})},                                           \
    {"cache-size", 0, CLI_STRING, size_offset, "SIZE",                                             \
     "most that they take there; those unused for the longest time go (" CLI_STORE_SIZE_DEFAULT    \
     ", 0: no limit)", NULL, ((const char *const[]){"RUNNER_CACHE_SIZE", NULL})}
/* clang-format on */

/* The directory of the local store; the caller's. NULL when nothing says where it is. */
char *cli_store_dir(const struct cli_store_options *options, struct err *err)
    __attribute__((warn_unused_result));
/* Both may be NULL. `dir` is borrowed. */
int cli_store_options(const char *dir, const char *size, struct cli_store_options *ret,
                      struct err *err) __attribute__((warn_unused_result));
/* `arg` is a const struct cli_store_options; see exec_open_store_fn. */
int cli_store_open(void *arg, const char *url, struct object_store **ret, struct err *err)
    __attribute__((warn_unused_result));
