/* The options of the local store. */
#pragma once

#include "base/err.h"
#include "objstore/open.h"

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

/* Both may be NULL. `dir` is borrowed. */
int cli_store_options(const char *dir, const char *size, struct object_store_places *ret,
                      struct err *err) __attribute__((warn_unused_result));
