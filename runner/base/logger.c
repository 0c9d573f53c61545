#include "base/logger.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static struct {
    enum logger_level level;
    bool json;
    int fd;
    char *(*filter)(void *arg, const char *message);
    void *filter_arg;
    pthread_mutex_t mu; /* guards the two below, held while calling: nobody is gone from under it */
    void (*line)(void *arg, const char *line, size_t size);
    void *arg;
} logger = {.level = LOGGER_WARN, .fd = STDERR_FILENO, .mu = PTHREAD_MUTEX_INITIALIZER};

int logger_configure(const struct logger_options *options, struct err *err)
{
    if (options->file) {
        int fd = open(options->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

        if (fd < 0)
            return err_errno(err, "cannot open the log file %s", options->file);
        logger.fd = fd;
    }
    logger.level = options->level;
    logger.json = options->json;
    return 0;
}

void logger_set_filter(char *(*filter)(void *arg, const char *message), void *arg)
{
    logger.filter = filter;
    logger.filter_arg = arg;
}

void logger_set_outlet(void (*line)(void *arg, const char *line, size_t size), void *arg)
{
    pthread_mutex_lock(&logger.mu);
    logger.line = line;
    logger.arg = arg;
    pthread_mutex_unlock(&logger.mu);
}

/* Whether somebody has taken it. */
static bool give_to_outlet(const struct buf *line)
{
    bool taken;

    if (logger_file_fd() >= 0)
        return false;
    pthread_mutex_lock(&logger.mu);
    taken = logger.line != NULL;
    if (taken)
        logger.line(logger.arg, line->data, line->len);
    pthread_mutex_unlock(&logger.mu);
    return taken;
}

int logger_file_fd(void)
{
    return logger.fd == STDERR_FILENO ? -1 : logger.fd;
}

bool logger_enabled(enum logger_level level)
{
    return level >= logger.level;
}

static void format_json(struct buf *line, const char *time, enum logger_level level,
                        const char *area, const char *message)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "time", time, "level", level_names[level],
                               "area", area, "message", message);
    CLEANUP_FREE char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

    buf_addf(line, "%s\n", text ? text : "{}");
    json_decref(object);
}

void logger_write(enum logger_level level, const char *area, const char *fmt, ...)
{
    CLEANUP_BUF struct buf message = BUF_INIT;
    CLEANUP_FREE char *filtered = NULL;
    CLEANUP_BUF struct buf line = BUF_INIT;
    char time[CLOCK_RFC3339_SIZE];
    va_list args;

    if (!logger_enabled(level))
        return;
    va_start(args, fmt);
    buf_vaddf(&message, fmt, args);
    va_end(args);
    if (logger.filter)
        filtered = logger.filter(logger.filter_arg, message.data);
    clock_rfc3339(clock_wall_ms(), time);
    if (logger.json)
        format_json(&line, time, level, area, filtered ? filtered : message.data);
    else
        buf_addf(&line, "%s %-5s %s: %s\n", time, level_names[level], area,
                 filtered ? filtered : message.data);
    if (give_to_outlet(&line))
        return;
    if (fs_write_all(logger.fd, line.data, line.len, NULL) < 0)
        return; /* there is nowhere to say so */
}
