/* Running a command on the host of a session.
 *
 *     if (ssh_exec_open(ctx, session, &options, &exec, err) < 0)
 *         return -1;
 *     for (;;) {
 *         switch (ssh_exec_read(exec, &output, err)) {
 *         case SSH_EXEC_OUTPUT: ...; continue;        // output.data lives until the next call
 *         case SSH_EXEC_AGAIN:
 *             if (ssh_exec_wait(ctx, exec, NULL, 0, -1, err) < 0) ...
 *             continue;
 *         case SSH_EXEC_ENDED: ...                    // ssh_exec_result()
 *         case SSH_EXEC_ERROR: ...                    // the command may run on
 *         }
 *     }
 *     ssh_exec_free(exec);
 *
 * Reading and writing do not block. Freeing it, or losing it, does not end the command: it gets the
 * end of its input, and SIGPIPE when it writes. Output of the two streams comes in order within
 * each. Output that is not read holds the command up, after some 3 MiB.
 *
 * The server hands the command to the user's login shell. It ends when all processes that hold its
 * output have ended or closed it, as with ssh(1).
 *
 * Threads: one at a time for each; those of one session do not hold each other up.
 * Errors: ERR_LIMIT when the server opens no more channels on this connection (MaxSessions; wait
 * until a command has ended, or open another session), ERR_DENIED when it runs no commands,
 * ERR_LOST when the connection ended before the command did. Source: RFC 4254, sections 5 and 6. */
#pragma once

#include <poll.h>

#include "apis/ssh/session.h"

struct ssh_exec_options {
    const char *command;
    bool with_stdin; /* else standard input is at its end */
    bool tty;        /* one output only, and signals by typing them */
    int columns;     /* of the tty; 0: 80 */
    int rows;        /* 0: 24 */
};

enum ssh_exec_stream { SSH_EXEC_STDOUT = 1, SSH_EXEC_STDERR = 2 };

struct ssh_exec_output {
    enum ssh_exec_stream stream;
    const char *data;
    size_t len;
};

/* How it ended: with an exit code, or else by a signal. A server that ends a command without saying
 * how cannot be told from an exit with 0 (libssh2 does not say): what must be certain has to be
 * said by the command itself. */
struct ssh_exec_result {
    bool exited;
    int exit_code;
    char signal[32];   /* "KILL", "TERM", …; "" when it exited */
    int signal_number; /* 0: one that RFC 4254 does not name */
};

struct ssh_exec;

int ssh_exec_open(const struct ctx *ctx, struct ssh_session *session,
                  const struct ssh_exec_options *options, struct ssh_exec **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Never blocks. */
void ssh_exec_free(struct ssh_exec *exec);
static inline void ssh_exec_freep(struct ssh_exec **exec)
{
    ssh_exec_free(*exec);
}
#define CLEANUP_SSH_EXEC CLEANUP(ssh_exec_freep)

enum ssh_exec_read {
    SSH_EXEC_ERROR = -1,
    SSH_EXEC_AGAIN,
    SSH_EXEC_OUTPUT,
    SSH_EXEC_ENDED, /* all output has been given; again and again */
};

enum ssh_exec_read ssh_exec_read(struct ssh_exec *exec, struct ssh_exec_output *ret,
                                 struct err *err) __attribute__((warn_unused_result));
/* Takes up to len bytes (> 0) for standard input: how many, 0 when too much waits to be sent (call
 * ssh_exec_wait() and ssh_exec_read()), or -1. Bytes that the command does not read before it ends
 * are dropped. */
ssize_t ssh_exec_write(struct ssh_exec *exec, const void *data, size_t len, struct err *err)
    __attribute__((warn_unused_result));
/* Ends standard input, behind what was written. */
int ssh_exec_close_stdin(struct ssh_exec *exec, struct err *err)
    __attribute__((warn_unused_result));
/* Of a tty; done soon. */
void ssh_exec_resize(struct ssh_exec *exec, int columns, int rows);
/* Bytes that wait to be sent. */
size_t ssh_exec_queued(struct ssh_exec *exec);

/* For a poll of the caller's own, for POLLIN, after SSH_EXEC_AGAIN or a write that took nothing. */
int ssh_exec_fd(const struct ssh_exec *exec);
/* That poll, with up to 15 descriptors of the caller's, whose revents it sets. Returns 1 when
 * something is ready, 0 after timeout_ms (< 0: never), -1. */
int ssh_exec_wait(const struct ctx *ctx, struct ssh_exec *exec, struct pollfd *fds, size_t count,
                  int timeout_ms, struct err *err) __attribute__((warn_unused_result));

/* Of one that has ended; belongs to it. */
const struct ssh_exec_result *ssh_exec_result(const struct ssh_exec *exec);
