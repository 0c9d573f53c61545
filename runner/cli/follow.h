/* Shows a run that another process runs, from its first event to its end, as `exec` shows its own,
 * and ends as it does. Signals are for the run: the first one cancels it, the second cuts grace
 * periods short. SIGHUP only ends the showing. */
#pragma once

#include "cli/display.h"

struct cli_follow_options {
    const char *runs_dir;
    const char *run_id; /* whole; its record is there */
    struct display_options display;
};

/* In a process of one thread. Returns the exit status of the program; says on standard error what
 * went wrong. *ret_goes_on (NULL: does not matter): the run has not ended. */
int cli_follow_run(const struct cli_follow_options *options, bool *ret_goes_on);
