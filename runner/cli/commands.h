/* The commands; with the engines and step kinds that they use. */
#pragma once

#include "cli/option.h"
#include "library/rows.h"

/* NULL-terminated, in main.c. */
extern const struct cli_command *const runner_commands[];

/* In cmd_NAME.c, except the last two, which are in main.c. */
extern const struct cli_command cmd_exec;
extern const struct cli_command cmd_validate;
extern const struct cli_command cmd_plan;
extern const struct cli_command cmd_init;
extern const struct cli_command cmd_schema;
extern const struct cli_command cmd_completion;
extern const struct cli_command cmd_cache;
extern const struct cli_command cmd_artifacts;
extern const struct cli_command cmd_list;
extern const struct cli_command cmd_show;
extern const struct cli_command cmd_logs;
extern const struct cli_command cmd_cancel;
extern const struct cli_command cmd_client;
extern const struct cli_command cmd_compose;
extern const struct cli_command cmd_apply;
extern const struct cli_command cmd_delete;
extern const struct cli_command cmd_diff;
extern const struct cli_command cmd_reap;
extern const struct cli_command cmd_doctor;
extern const struct cli_command cmd_server;
extern const struct cli_command cmd_stack;
extern const struct cli_command cmd_watchdog;
extern const struct cli_command cmd_version;
extern const struct cli_command cmd_help;
