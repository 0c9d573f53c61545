/* A run in a process of its own, which goes on when this one is killed; this one only shows it
 * (cli/follow.h), and ends as it does. */
#pragma once

#include "cli/session.h"

/* In a process of one thread. As cli_session_run(); the run has to be recorded. */
int cli_apart_run(const struct plan *plan, const struct cli_session_options *options);
