#include "cli/recorded.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/logger.h"
#include "base/parse.h"

#define AGE_DEFAULT_MS (INT64_C(30) * 24 * 60 * 60 * 1000)
#define SIZE_DEFAULT   (INT64_C(5) << 30)
/* Some 25 MiB of output. More was on standard output, and would make its run slower: to compress
 * costs as much as to show. */
#define LOG_DEFAULT (INT64_C(8) << 20)

enum {
    RUNS_DEFAULT = 1000,
    END_MS = 2000, /* for all that is to be done with the store */
};

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

/* As the environment has it: to ask for the name of a user may go over the network. */
static char *user_name(void)
{
    const char *name = getenv("LOGNAME");

    if (!name || !*name)
        name = getenv("USER");
    return name && *name ? xstrdup(name) : xasprintf("%ld", (long)geteuid());
}

struct recording *cli_recorded_begin(const struct cli_history_options *options,
                                     const struct own_run *run, struct mask *mask)
{
    CLEANUP_FREE char *user = user_name();
    CLEANUP_FREE char *text =
        xstrndup(options->source ? options->source : "", options->source_size);
    CLEANUP_FREE char *masked = mask_text(mask, text);
    char directory[PATH_MAX];
    struct record_options record = {
        .run_id = own_run_id(run),
        .origin = "exec",
        .owner = strmap_get(own_run_labels(run), OWN_LABEL_OWNER),
        .user = user,
        .directory = getcwd(directory, sizeof(directory)),
        .source = masked ? masked : text,
        .log_limit_bytes = options->log_bytes,
    };
    struct recording *recording = NULL;
    struct err err = ERR_INIT;

    record.source_size = strlen(record.source);
    if (recording_begin(options->dir, &record, &recording, &err) < 0) {
        /* Where nothing can be written, nobody expects it unless they asked. */
        if (options->dir)
            log_warn("history", "the run is not recorded: %s", err.message);
        else
            log_info("history", "the run is not recorded: %s", err.message);
        return NULL;
    }
    return recording;
}

void cli_recorded_end(const struct cli_history_options *options, struct recording *recording,
                      const struct node *root, int status)
{
    struct store_retention keep;
    struct err err = ERR_INIT;
    struct ctx ctx;

    if (!recording)
        return;
    keep = options->keep;
    if (options->age_ms)
        keep.ended_before_ms = clock_wall_ms() - options->age_ms;
    ctx_init_cleanup(&ctx, END_MS);
    if (recording_end(
            &ctx, recording,
            &(struct record_end){.root = root, .has_exit_code = true, .exit_code = status}, &keep,
            &err) < 0)
        log_warn("history", "the run is not all recorded: %s", err.message);
    ctx_release(&ctx);
}
