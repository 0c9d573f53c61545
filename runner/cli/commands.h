/* The commands and the composition root: the only place that names engines and step kinds. */
#pragma once

#include "cli/option.h"
#include "engine/engine.h"
#include "step/kind.h"

/* NULL-terminated tables, in main.c. */
extern const struct engine *const runner_engines[];
extern const struct step_kind *const runner_step_kinds[];
extern const struct cli_command runner_commands[];

/* One row of runner_commands each, in cmd_NAME.c. */
extern const struct cli_option cmd_exec_options[];
extern const size_t cmd_exec_args_size;
int cmd_exec(void *args, const struct strvec *operands);
extern const struct cli_option cmd_validate_options[];
extern const size_t cmd_validate_args_size;
int cmd_validate(void *args, const struct strvec *operands);
extern const struct cli_option cmd_reap_options[];
extern const size_t cmd_reap_args_size;
int cmd_reap(void *args, const struct strvec *operands);
