#include "base/forked.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/logger.h"

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same on every architecture; Linux 5.9 */
#endif

static void close_from_to(unsigned first, unsigned last)
{
    long limit;

    if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
        return;
    limit = sysconf(_SC_OPEN_MAX);
    for (unsigned fd = first; fd <= last && fd < (unsigned long)limit; fd++)
        close((int)fd);
}

/* Closes all descriptors from 3 on except those in keep and the log file. */
void forked_close_others(const int *keep, size_t keep_count)
{
    const int log_fd = logger_file_fd();
    unsigned first = 3;

    for (;;) {
        unsigned next = log_fd >= (int)first ? (unsigned)log_fd : ~0U;

        for (size_t i = 0; i < keep_count; i++) {
            if (keep[i] >= (int)first && (unsigned)keep[i] < next)
                next = (unsigned)keep[i];
        }
        if (next == ~0U)
            break;
        close_from_to(first, next - 1);
        first = next + 1;
    }
    close_from_to(first, ~0U);
}

static void ignore_signals(void)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2};
    static const int restored[] = {SIGCHLD, SIGALRM, SIGTTOU, SIGTTIN, SIGTSTP};
    sigset_t none;

    for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
        signal(ignored[i], SIG_IGN);
    for (size_t i = 0; i < sizeof(restored) / sizeof(*restored); i++)
        signal(restored[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void forked_isolate(const char *name, const int *keep, size_t keep_count)
{
    int null_fd;

    ignore_signals();
    setsid();
    prctl(PR_SET_NAME, name);
    forked_close_others(keep, keep_count);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null_fd >= 0 && fd < 3; fd++)
        dup2(null_fd, fd);
    if (null_fd > 2)
        close(null_fd);
    if (chdir("/") < 0)
        return; /* the old one stays: no harm but a busy mount */
}

void forked_exit(int code)
{
#ifdef RUNNER_COVERAGE
    extern void __gcov_dump(void);

    __gcov_dump();
#endif
    _exit(code);
}
