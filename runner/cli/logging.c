#include "cli/logging.h"

#include "base/logger.h"

/* The first is what holds without the option. */
const char *const cli_logging_levels[] = {"warn", "debug", "info", "error", NULL};
const char *const cli_logging_formats[] = {"text", "json", NULL};

int cli_logging_configure(const struct cli_logging_args *args, struct err *err)
{
    static const enum logger_level levels[] = {LOGGER_WARN, LOGGER_DEBUG, LOGGER_INFO,
                                               LOGGER_ERROR};

    return logger_configure(&(struct logger_options){.level = levels[args->level],
                                                     .json = args->format == 1,
                                                     .file = args->file},
                            err);
}
