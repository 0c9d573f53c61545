#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const code_names[] = {
    [ERR_NONE] = "none",
    [ERR_INVALID] = "invalid",
    [ERR_NOT_FOUND] = "not_found",
    [ERR_CONFLICT] = "conflict",
    [ERR_DENIED] = "denied",
    [ERR_UNAVAILABLE] = "unavailable",
    [ERR_TIMEOUT] = "timeout",
    [ERR_CANCELLED] = "cancelled",
    [ERR_LIMIT] = "limit",
    [ERR_LOST] = "lost",
    [ERR_IMAGE_PULL] = "image_pull",
    [ERR_PROTOCOL] = "protocol",
    [ERR_SYSTEM] = "system",
    [ERR_UNSUPPORTED] = "unsupported",
};

/* Names of files and what peers say may hold line ends and a terminal's commands, which also begin
 * with the controls of C1, of two bytes in UTF-8. */
static void make_one_line(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < ' ' || *c == 127)
            *c = '?';
        else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
            c[0] = c[1] = '?';
    }
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    va_list args;

    if (!err)
        return -1;
    err->code = code;
    err->errnum = 0;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    make_one_line(err->message);
    return -1;
}

int err_errno(struct err *err, const char *fmt, ...)
{
    int saved = errno;
    size_t len;
    va_list args;

    if (!err)
        return -1;
    err->code = ERR_SYSTEM;
    err->errnum = saved;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    len = strlen(err->message);
    snprintf(err->message + len, sizeof(err->message) - len, ": %s", strerror(saved));
    make_one_line(err->message);
    return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    char inner[ERR_MESSAGE_SIZE];
    size_t len;
    va_list args;

    if (!err)
        return -1;
    memcpy(inner, err->message, sizeof(inner));
    va_start(args, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    len = strlen(err->message);
    snprintf(err->message + len, sizeof(err->message) - len, ": %s", inner);
    make_one_line(err->message);
    return -1;
}

void err_clear(struct err *err)
{
    err->code = ERR_NONE;
    err->errnum = 0;
    err->message[0] = '\0';
}

const char *err_code_name(enum err_code code)
{
    return code_names[code];
}

bool err_is_short(const struct err *err)
{
    return err->code == ERR_SYSTEM && (err->errnum == EMFILE || err->errnum == ENFILE ||
                                       err->errnum == ENOMEM || err->errnum == EAGAIN);
}
