#include "cli/recorded.h"

#include "base/clock.h"
#include "base/logger.h"
#include "base/parse.h"

#define AGE_DEFAULT_MS (INT64_C(30) * 24 * 60 * 60 * 1000)
#define SIZE_DEFAULT   (INT64_C(5) << 30)
/* Some 25 MiB of output. More was on standard output, and would make its run slower: to compress
 * costs as much as to show. */
#define LOG_DEFAULT (INT64_C(8) << 20)

enum { RUNS_DEFAULT = 1000 };

int cli_history_options(const struct cli_history_args *args, struct cli_history_options *ret,
                        struct err *err)
{
    int64_t runs = args->runs ? *args->runs : RUNS_DEFAULT;
    int64_t size = SIZE_DEFAULT;

    *ret = (struct cli_history_options){.dir = args->dir,
                                        .age_ms = AGE_DEFAULT_MS,
                                        .log_bytes = LOG_DEFAULT};
    if (args->age && parse_duration_ms(args->age, &ret->age_ms, err) < 0)
        return err_wrap(err, "--history-age");
    if (args->size && parse_size_bytes(args->size, &size, err) < 0)
        return err_wrap(err, "--history-size");
    if (args->log && parse_size_bytes(args->log, &ret->log_bytes, err) < 0)
        return err_wrap(err, "--history-log");
    if (!ret->log_bytes)
        return err_set(err, ERR_INVALID,
                       "--history-log 0 would keep no log; --no-history records nothing");
    ret->keep.max_runs = runs ? runs : -1;
    ret->keep.max_log_bytes = size ? size : -1;
    return 0;
}

int cli_recorded_begin(const struct cli_history_options *options, struct run *run, struct err *err)
{
    CLEANUP_FREE char *user = cli_user_name();
    const struct run_record record = {.history = options->dir,
                                      .origin = "exec",
                                      .user = user,
                                      .source = options->source,
                                      .source_size = options->source_size,
                                      .log_bytes = options->log_bytes};

    return run_record(run, &record, err);
}

void cli_recorded_end(const struct cli_history_options *options, struct run *run, int status)
{
    struct store_retention keep = {0};
    struct err err = ERR_INIT;

    if (options) {
        keep = options->keep;
        if (options->age_ms)
            keep.ended_before_ms = clock_wall_ms() - options->age_ms;
    }
    if (run_end(run, status, &keep, &err) < 0)
        log_warn("history", "the run is not all recorded: %s", err.message);
}
