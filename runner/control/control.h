/* The control socket of a run: `control` in its record, for whoever may enter that directory.
 *
 * One side is the process that runs the run; it serves the socket from the thread that waits for
 * signals (control/signals.h), so that being asked costs no thread:
 *
 *     control_server_new(dir_fd, &handler, &server, err)   before the record can be found
 *     poll(control_server_fd(server)); control_server_serve(server)
 *     control_server_free(server)                          when the record has its end
 *
 * The other side is anybody else:
 *
 *     control_cancel(ctx, runs_dir, run_id, "wrong branch", "alice", err)
 *
 * One packet (SOCK_SEQPACKET) is one JSON object: {"do":"cancel","reason":TEXT,"by":TEXT} or
 * {"do":"hurry"}, answered with {"ok":true} or {"error":TEXT}. The socket is reached by the
 * descriptor of its directory, so that no path is too long for it. What clients say is not trusted:
 * texts become one line of limited length, and of clients that only sit there the oldest goes when
 * there are too many.
 *
 * Threads: the server belongs to one at a time; the other functions may be called from any. */
#pragma once

#include "base/ctx.h"

#define CONTROL_NAME "control"

enum {
    CONTROL_REASON_MAX = 1000, /* bytes of a reason that are kept */
    CONTROL_BY_MAX = 100,
    CONTROL_ANSWER_MS = 10000, /* how long a run may take to answer */
};

/* Called by control_server_serve(). Texts are one line of UTF-8, "" where nothing was said. */
struct control_handler {
    void (*cancel)(void *arg, const char *reason, const char *by);
    void (*hurry)(void *arg);
    void *arg;
};

struct control_server;

/* Makes the socket in the directory, which may be renamed later; the handler is copied. */
int control_server_new(int dir_fd, const struct control_handler *handler,
                       struct control_server **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Readable when there is something to serve. */
int control_server_fd(const struct control_server *server);
/* Serves what has come, and never waits. */
void control_server_serve(struct control_server *server);
/* Removes the socket; who still waits for an answer sees it close. NULL is fine. */
void control_server_free(struct control_server *server);

/* Ends a run as its user would (SIGTERM). Returns when the run has taken note, which is before it
 * has ended; asking again changes nothing. `runs_dir` NULL: any of record_dirs(). `reason` and `by`
 * may be NULL.
 * ERR_NOT_FOUND: there is no such record. ERR_CONFLICT: the run has ended. ERR_UNSUPPORTED: it
 * goes on but cannot be asked: its runner is of a version without such sockets, or on another
 * machine. ERR_TIMEOUT: it does not answer within CONTROL_ANSWER_MS. */
int control_cancel(const struct ctx *ctx, const char *runs_dir, const char *run_id,
                   const char *reason, const char *by, struct err *err)
    __attribute__((warn_unused_result));
/* Ends the grace periods of a run that is being cancelled: what has not ended by then is killed.
 * The same errors. */
int control_hurry(const struct ctx *ctx, const char *runs_dir, const char *run_id, struct err *err)
    __attribute__((warn_unused_result));
