/* Completion of the command line by shells, written from the tables of commands and options. */
#pragma once

#include "base/buf.h"
#include "cli/option.h"

/* NULL-terminated: "bash", "zsh", "fish". */
extern const char *const completion_shells[];

/* Appends the script for completion_shells[shell]. */
void completion_write(const struct cli_command *const *commands, size_t shell, struct buf *out);
