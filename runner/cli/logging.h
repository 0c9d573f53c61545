/* Options of commands that say where their diagnostic messages go. */
#pragma once

#include "base/err.h"

struct cli_logging_args {
    int level;
    int format;
    char *file;
};

extern const char *const cli_logging_levels[];
extern const char *const cli_logging_formats[];

/* Rows of an option table, for an argument struct `of` with a member of that type, `logging`. */
/* clang-format off */
#define CLI_LOGGING_OPTIONS(of)                                                                    \
    {"log-level", 0, CLI_CHOICE, offsetof(of, logging.level), NULL, "diagnostic messages",         \
     cli_logging_levels, NULL},                                                                    \
    {"log-format", 0, CLI_CHOICE, offsetof(of, logging.format), NULL, "their form",                \
     cli_logging_formats, NULL},                                                                   \
    {"log-file", 0, CLI_STRING, offsetof(of, logging.file), "FILE", "write them to a file", NULL,  \
     NULL}
/* clang-format on */

int cli_logging_configure(const struct cli_logging_args *args, struct err *err)
    __attribute__((warn_unused_result));
