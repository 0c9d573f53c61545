/* The run of `exec` in the history: what is recorded, for how long, and what is said when it cannot
 * be. None of that changes how the run ends. */
#pragma once

#include "cli/runs.h"
#include "history/history.h"
#include "run/run.h"

struct cli_history_args {
    bool none;
    char *dir;
    char *age;
    int64_t *runs;
    char *size;
    char *log;
};

/* Rows of an option table, for an argument struct `of` with a member of that type, `history`. */
/* clang-format off */
#define CLI_HISTORY_OPTIONS(of)                                                                    \
    {"no-history", 0, CLI_FLAG, offsetof(of, history.none), NULL, "do not record the run", NULL,    \
     ((const char *const[]){"RUNNER_NO_HISTORY", NULL})},                                          \
    CLI_HISTORY_KEEP_OPTIONS(of)
/* Without the first: where all runs are recorded. */
#define CLI_HISTORY_KEEP_OPTIONS(of)                                                               \
    CLI_HISTORY_OPTION(offsetof(of, history.dir)),                                                 \
    {"history-age", 0, CLI_STRING, offsetof(of, history.age), "DURATION",                          \
     "remove runs that are older (30d; 0: no limit)", NULL,                                        \
     ((const char *const[]){"RUNNER_HISTORY_AGE", NULL})},                                         \
    {"history-runs", 0, CLI_MAYBE_INT, offsetof(of, history.runs), "N",                            \
     "keep so many, the newest (1000; 0: no limit)", NULL,                                         \
     ((const char *const[]){"RUNNER_HISTORY_RUNS", NULL})},                                        \
    {"history-size", 0, CLI_STRING, offsetof(of, history.size), "SIZE",                            \
     "keep so much of their logs (5g; 0: no limit)", NULL,                                         \
     ((const char *const[]){"RUNNER_HISTORY_SIZE", NULL})},                                        \
    {"history-log", 0, CLI_STRING, offsetof(of, history.log), "SIZE",                              \
     "of the run's log, compressed, keep so much, from its beginning (8m)", NULL,                  \
     ((const char *const[]){"RUNNER_HISTORY_LOG", NULL})}
/* clang-format on */

struct cli_history_options {
    const char *dir;
    int64_t age_ms;              /* 0: no limit */
    int64_t log_bytes;           /* of the log; 0: as much as a record can have */
    struct store_retention keep; /* but for the age */
    const char *source;          /* the pipeline file */
    size_t source_size;
};

/* `dir` is borrowed. */
int cli_history_options(const struct cli_history_args *args, struct cli_history_options *ret,
                        struct err *err) __attribute__((warn_unused_result));

/* Makes the record. */
int cli_recorded_begin(const struct cli_history_options *options, struct run *run, struct err *err)
    __attribute__((warn_unused_result));
/* Ends the run, and its record if it has one. */
void cli_recorded_end(const struct cli_history_options *options, struct run *run, int status);
