/* One run of a pipeline by this process, from the plan to the exit status: ownership, keeper,
 * signals, display, execution, report. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "plan/plan.h"

enum session_progress { SESSION_AUTO, SESSION_PLAIN, SESSION_JSON };

struct session_options {
    enum session_progress progress;
    bool no_color;
    bool timestamps;
    uint32_t jobs;
    bool force_clean;
    bool keep;
    const char *docker_host;
    const char *report_json; /* file to write the final states to; NULL: none */
};

/* Returns the exit status of the program; says on standard error what went wrong. */
int session_run(const struct plan *plan, const struct session_options *options);
