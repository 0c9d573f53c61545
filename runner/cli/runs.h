/* What the commands on past and present runs share: the history that they look into, and the run
 * that an operand names. */
#pragma once

#include <jansson.h>

#include "cli/option.h"
#include "history/history.h"

#define CLI_RUN_LATEST "latest"

/* One row of an option table, for a `char *`. */
/* clang-format off */
#define CLI_HISTORY_OPTION(offset)                                                                 \
    {"history", 0, CLI_STRING, offset, "DIR",                                                      \
     "where runs are recorded (~/.local/state/runner)", NULL,                                      \
     ((const char *const[]){"RUNNER_HISTORY", NULL})}
/* clang-format on */

/* Opens the history and brings it up to date. */
int cli_runs_open(const struct ctx *ctx, const char *dir, struct history **ret, struct err *err)
    __attribute__((warn_unused_result));
/* The run of an id, of its unique beginning, or "latest", as ret->items[0]. */
int cli_runs_get(const struct ctx *ctx, struct history *history, const char *name,
                 struct store_runs *ret, struct err *err) __attribute__((warn_unused_result));
/* The only operand of a command on one run; NULL, and that has been said: there is not one. */
const char *cli_runs_operand(const char *command, const struct strvec *operands);
/* Who asks, as the environment has it: to ask for the name of a user may go over the network. The
 * caller's. */
char *cli_user_name(void);
/* The row as JSON, as `list` and `show` give it. A new reference. */
json_t *cli_run_to_json(const struct store_run *run);

/* The frame of such a command: `fn` with a context that signals end, and what it says on standard
 * error. It returns an exit status, or -1. */
typedef int (*cli_runs_fn)(const struct ctx *ctx, void *arg, struct err *err);
int cli_runs_run(const char *command, cli_runs_fn fn, void *arg);
