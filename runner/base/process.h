/* Starting programs: the one place that forks and executes.
 *
 * Argument vectors only, no shell. The child gets exactly the environment and the three standard
 * descriptors that are given (no other, even if a library left it without CLOEXEC), default signal
 * dispositions and an empty signal mask. A failure between fork and exec comes back as an error of
 * process_spawn(). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "base/err.h"

struct process_options {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH of envp */
    const char *const *envp; /* NULL-terminated "KEY=VALUE" strings */
    const char *cwd;         /* NULL: the caller's */
    int stdin_fd;            /* -1: /dev/null; so for the other two */
    int stdout_fd;
    int stderr_fd;
    bool new_session;                /* setsid(): own session and process group */
    bool controlling_tty;            /* stdout_fd is a terminal: it becomes that of the session */
    const struct process_user *user; /* NULL: the caller's */
    /* When not NULL: set to whether a failure was that of the program itself (not found, not
     * executable) rather than of what surrounds it (working directory, user, resources). */
    bool *ret_exec_failed;
};

/* A user to run as, resolved beforehand by process_user_lookup(). */
struct process_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[64];
    size_t group_count;
};

#define PROCESS_OPTIONS_INIT                                                                       \
    {                                                                                              \
        .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1                                           \
    }

/* Starts the program; *ret_pid is to be waited for by the caller. Errors: ERR_NOT_FOUND when the
 * program or the working directory does not exist, ERR_DENIED when it may not be executed,
 * ERR_SYSTEM otherwise; err->errnum is always the errno. Safe in a threaded process. */
int process_spawn(const struct process_options *options, pid_t *ret_pid, struct err *err)
    __attribute__((warn_unused_result));

/* "name", "uid", "name:group", "uid:gid" as in `docker run --user`. */
int process_user_lookup(const char *text, struct process_user *ret, struct err *err)
    __attribute__((warn_unused_result));

/* Runs a program to its end with `input` as its standard input, collecting at most `max_output`
 * bytes of standard output (ERR_LIMIT beyond). Standard error is collected into err_output when
 * that is not NULL (cut at 4 KiB). Killed with its process group when the context ends.
 * *ret_status is the wait status. */
int process_run(const struct ctx *ctx, const struct process_options *options, const char *input,
                struct buf *output, size_t max_output, struct buf *err_output, int *ret_status,
                struct err *err) __attribute__((warn_unused_result));
