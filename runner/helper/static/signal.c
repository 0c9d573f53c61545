/* `helper signal`: a signal to a process of the container, which the runner can only reach so. */
#include <linux/fcntl.h>

#include "../request.h"
#include "program.h"
#include "rt.h"
#include "sys.h"

#define STATUS_MAX 4096

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The mask of signals that a process has handlers for: "SigCgt:\t0000000180000001". */
static unsigned long caught_by(const char *status)
{
    static const char key[] = "SigCgt:";
    unsigned long mask = 0;

    while (status && !has_prefix(status, key)) {
        status = find_char(status, '\n');
        status = status ? status + 1 : NULL;
    }
    if (!status)
        return ~0UL;
    for (status += sizeof(key); hex_digit(*status) >= 0; status++)
        mask = mask << 4 | (unsigned long)hex_digit(*status);
    return mask;
}

/* The kernel drops what process 1 has no handler for. */
static bool is_dropped(const char *pid, unsigned long signal)
{
    static char status[STATUS_MAX + 1];
    long fd, n;

    if (!str_equal(pid, "1"))
        return false;
    fd = SYS4(openat, AT_FDCWD, "/proc/1/status", O_RDONLY | O_CLOEXEC, 0);
    n = fd < 0 ? fd : SYS3(read, fd, status, STATUS_MAX);
    return n > 0 && !(caught_by(status) >> (signal - 1) & 1);
}

int command_signal(char *const *args)
{
    unsigned long pid, signal;
    long error;

    if (!args[0] || !args[1] || args[2] || !parse_number(args[0], &pid) ||
        !parse_number(args[1], &signal) || signal < 1 || signal > 64)
        fail(HELPER_EXIT_CANNOT, "signal", "", "usage: signal PID SIGNAL");
    if (is_dropped(args[0], signal))
        fail(HELPER_EXIT_NOT_READY, "signal", args[0], "it does not handle that signal");
    error = SYS2(kill, (int)pid, (int)signal);
    if (error < 0)
        fail(HELPER_EXIT_CANNOT, "signal", args[0], error_text(error));
    return 0;
}
