/* Running a command in a container, over WebSocket.
 *
 *     if (kube_exec_open(ctx, cluster, &options, &exec, err) < 0)
 *         return -1;
 *     for (;;) {
 *         switch (kube_exec_read(exec, &output, err)) {
 *         case KUBE_EXEC_OUTPUT: ...; continue;       // output.data lives until the next call
 *         case KUBE_EXEC_AGAIN:
 *             if (kube_exec_wait(ctx, exec, NULL, 0, -1, err) < 0) ...
 *             continue;
 *         case KUBE_EXEC_ENDED: ...                   // kube_exec_result()
 *         case KUBE_EXEC_ERROR: ...                   // the command may run on
 *         }
 *     }
 *     kube_exec_free(exec);
 *
 * Reading and writing do not block. Freeing it, or losing it, does not end the command.
 *
 * Threads: one at a time; it has a connection of its own. The cluster is borrowed.
 * Errors: as client.h says for what is refused; ERR_LOST when the connection ended before the
 * server said how the command did; ERR_UNSUPPORTED for a server that knows none of the protocols.
 * Source: k8s.io/apimachinery/pkg/util/remotecommand (v4.channel.k8s.io, v5.channel.k8s.io);
 * RFC 6455. */
#pragma once

#include <poll.h>

#include "apis/kube/client.h"

struct kube_exec_options {
    const char *ns;
    const char *pod;
    const char *container;      /* NULL: the only one */
    const char *const *command; /* NULL-terminated */
    bool with_stdin;
    bool no_stdout;
    bool no_stderr; /* needed with a tty, which has one output only */
    bool tty;
    int64_t ping_interval_ms; /* ws.h; 0: none. Not for commands that may not read their input. */
};

enum kube_exec_channel { KUBE_EXEC_STDOUT = 1, KUBE_EXEC_STDERR = 2 };

struct kube_exec_output {
    enum kube_exec_channel channel;
    const char *data;
    size_t len;
};

/* How it ended: with an exit code, or else not as a command ends (then error says why). */
struct kube_exec_result {
    bool exited;
    int exit_code;
    char reason[64]; /* "InternalError", …; "": not said */
    struct err error;
};

struct kube_exec;

int kube_exec_open(const struct ctx *ctx, struct kube_cluster *cluster,
                   const struct kube_exec_options *options, struct kube_exec **ret, struct err *err)
    __attribute__((warn_unused_result));
void kube_exec_free(struct kube_exec *exec);
static inline void kube_exec_freep(struct kube_exec **exec)
{
    kube_exec_free(*exec);
}
#define CLEANUP_KUBE_EXEC CLEANUP(kube_exec_freep)

enum kube_exec_read {
    KUBE_EXEC_ERROR = -1,
    KUBE_EXEC_AGAIN,
    KUBE_EXEC_OUTPUT,
    KUBE_EXEC_ENDED, /* all output has been given; again and again */
};

enum kube_exec_read kube_exec_read(struct kube_exec *exec, struct kube_exec_output *ret,
                                   struct err *err) __attribute__((warn_unused_result));
/* Takes up to len bytes (> 0) for standard input: how many, 0 when too much waits to be sent (call
 * kube_exec_wait() and kube_exec_read()), or -1. */
ssize_t kube_exec_write(struct kube_exec *exec, const void *data, size_t len, struct err *err)
    __attribute__((warn_unused_result));
/* Ends standard input: ERR_UNSUPPORTED with the older protocol, which cannot. */
int kube_exec_close_stdin(struct kube_exec *exec, struct err *err)
    __attribute__((warn_unused_result));
bool kube_exec_can_close_stdin(const struct kube_exec *exec);
/* Of a tty. */
int kube_exec_resize(struct kube_exec *exec, int columns, int rows, struct err *err)
    __attribute__((warn_unused_result));
/* Bytes that wait to be sent. */
size_t kube_exec_queued(const struct kube_exec *exec);

/* For a poll of the caller's own, after KUBE_EXEC_AGAIN (ws.h). */
int kube_exec_fd(const struct kube_exec *exec);
short kube_exec_events(const struct kube_exec *exec);
int kube_exec_timeout_ms(const struct kube_exec *exec);
int kube_exec_wait(const struct ctx *ctx, struct kube_exec *exec, struct pollfd *fds, size_t count,
                   int timeout_ms, struct err *err) __attribute__((warn_unused_result));

/* Of one that has ended; belongs to it. */
const struct kube_exec_result *kube_exec_result(const struct kube_exec *exec);

/* Reads the Status that the server sends at the end. Pure. */
int kube_exec_parse_status(const char *text, size_t len, struct kube_exec_result *ret,
                           struct err *err) __attribute__((warn_unused_result));
