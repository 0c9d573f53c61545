/* Diagnostic messages of the program itself (not the output of steps), to standard error or a
 * file, as text or JSON lines. Libraries log at debug level only; errors travel as struct err. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

enum logger_level { LOGGER_DEBUG, LOGGER_INFO, LOGGER_WARN, LOGGER_ERROR };

struct logger_options {
    enum logger_level level;
    bool json;
    const char *file; /* appended to; NULL: standard error */
};

/* Called once by main before threads exist; the default is text, warnings and up, stderr. */
int logger_configure(const struct logger_options *options, struct err *err)
    __attribute__((warn_unused_result));
/* What messages go through: returns a message as it may be written, which is freed, or NULL when it
 * may be written as it is. Set while there is one thread; NULL: nothing. */
void logger_set_filter(char *(*filter)(void *arg, const char *message), void *arg);
/* Where the lines go instead of standard error, from any thread, until it is NULL again. A log file
 * stays where they go. */
void logger_set_outlet(void (*line)(void *arg, const char *line, size_t size), void *arg);
/* The descriptor of the log file; -1: standard error is used. */
int logger_file_fd(void);
bool logger_enabled(enum logger_level level);
/* `area` is the part of the program, e.g. "docker". One call, one line. Thread-safe. */
void logger_write(enum logger_level level, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(area, ...)                                                                       \
    do {                                                                                           \
        if (logger_enabled(LOGGER_DEBUG))                                                          \
            logger_write(LOGGER_DEBUG, area, __VA_ARGS__);                                         \
    } while (0)
#define log_info(area, ...)  logger_write(LOGGER_INFO, area, __VA_ARGS__)
#define log_warn(area, ...)  logger_write(LOGGER_WARN, area, __VA_ARGS__)
#define log_error(area, ...) logger_write(LOGGER_ERROR, area, __VA_ARGS__)
