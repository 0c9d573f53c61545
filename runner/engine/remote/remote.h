/* A machine, or a container of one, that an engine reaches only by connections which break: how
 * commands are started there, and how one talks with them. What is built on it, for all engines of
 * that kind:
 *
 *     program.h   a short-lived command, whose end must be seen
 *     files.h     directories and files, by such commands
 *     lane.h      a way to a helper there that outlives connections
 *     session.h   a step, over a lane
 *
 * Threads: a remote may be used by several, a command by one at a time. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "helper/reply.h"

enum remote_read {
    REMOTE_ERROR = -1, /* the command may run on */
    REMOTE_AGAIN,      /* nothing now: wait() */
    REMOTE_OUTPUT,
    REMOTE_ENDED, /* all output has been given; again and again */
};

struct remote_output {
    enum helper_stream stream;
    const char *data; /* until the next call */
    size_t len;
};

struct remote;         /* an engine's own struct begins with one */
struct remote_command; /* likewise with: const struct remote_ops *ops; */

struct remote_ops {
    /* What ends by itself when the runner is not heard of any more, for messages: "pod". */
    const char *what;
    /* Starts argv, which ends with NULL. Errors: ERR_DENIED with errnum 0 when trying again has no
     * use. */
    int (*start)(const struct ctx *ctx, const struct remote *remote, const char *const *argv,
                 bool with_stdin, struct remote_command **ret, struct err *err);
    /* Neither of these two blocks. */
    enum remote_read (*read)(struct remote_command *command, struct remote_output *ret,
                             struct err *err);
    /* How many of the bytes were taken; 0: too many wait to be sent already. -1. */
    ssize_t (*write)(struct remote_command *command, const void *data, size_t len, struct err *err);
    /* Bytes that wait to be sent. */
    size_t (*queued)(const struct remote_command *command);
    /* Waits, after REMOTE_AGAIN, until there is something to do, one of `fds` is ready, whose
     * revents it sets, or timeout_ms are over (< 0: never). */
    int (*wait)(const struct ctx *ctx, struct remote_command *command, struct pollfd *fds,
                size_t count, int timeout_ms, struct err *err);
    /* After REMOTE_ENDED: the exit code; -1: it ended in another way, which err says. */
    int (*exit_code)(const struct remote_command *command, int *ret, struct err *err);
    /* Ends the connection, and not the command, though that finds its standard input ended. */
    void (*free)(struct remote_command *command);
};

struct remote {
    const struct remote_ops *ops;
    const char *name;   /* for messages */
    const char *helper; /* the path of the helper's program there */
};

struct remote_command {
    const struct remote_ops *ops;
};
