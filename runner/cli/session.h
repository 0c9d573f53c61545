/* One run of a pipeline by this process as `exec` has it, with display and reports: from the plan
 * to the exit status. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/display.h"
#include "cli/engines.h"
#include "cli/recorded.h"
#include "mask/mask.h"
#include "plan/plan.h"
#include "report/report.h"

struct cli_session_options {
    struct display_options display;
    uint32_t jobs;
    bool force_clean;
    bool keep;
    const struct cli_engine_args *engines;
    struct mask *mask;            /* what must not be seen */
    const struct report *reports; /* to be written at the end */
    size_t report_count;
    const struct object_store_places *stores;
    const struct cli_history_options *history; /* NULL: the run is not recorded */

    /* For a process that does nothing else (cli/apart.h). */
    const char *run_id;       /* NULL: a new one */
    bool silent;              /* shows nothing; has to be recorded */
    void (*began)(void *arg); /* the record is there; NULL: nobody wants to know */
    void *began_arg;
};

/* Returns the exit status of the program; says on standard error what went wrong. */
int cli_session_run(const struct plan *plan, const struct cli_session_options *options);
