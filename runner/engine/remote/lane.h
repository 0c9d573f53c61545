/* A lane: the way to one helper on a remote, and what keeps it alive.
 *
 * Behind it a `helper relay` does what is asked; in front of it is a channel that delivers every
 * byte once (helper/channel.h); between them are connections of `helper attach`, one at a time,
 * made again whenever they break. The relay ends everything that it has started when it has heard
 * nothing for LANE_LEASE_MS, which is how nothing survives its runner.
 *
 *     while (!over) {
 *         switch (lane_move(ctx, lane, true, err)) {
 *         case LANE_MOVED: continue;
 *         case LANE_IDLE: lane_wait(ctx, lane, fds, count, err); continue;
 *         case LANE_AWAY: ...                  // no connection; lane_wait() until the next attempt
 *         case LANE_FAILED: ...                // and there will be none
 *         }
 *     }
 *
 * Threads: one at a time, the one that is in `busy`. */
#pragma once

#include <poll.h>
#include <stdatomic.h>

#include "base/gate.h"
#include "engine/remote/remote.h"
#include "helper/channel.h"

/* Long enough for a control plane to be restarted or a node's kubelet to be updated. */
#define LANE_LEASE_MS 120000
#define LANE_RENEW_MS 20000

/* Takes the output of what runs; NULL sink: nobody wants it. */
typedef int lane_sink_fn(void *arg, enum helper_stream stream, const char *data, size_t len,
                         struct err *err);

struct lane {
    const struct remote *remote; /* borrowed */
    char *directory;             /* of its relay */
    struct gate busy;            /* held by who moves it */
    bool used;     /* by a step; guarded, as the next two and `next`, by its pool (lane_pool.h) */
    bool broken;   /* not to be used any more */
    bool quitting; /* told to end, which may not have been sent; set by who gives it back */
    struct channel channel;
    lane_sink_fn *sink;
    void *sink_arg;
    struct remote_command *command; /* the connection; NULL: there is none */
    atomic_bool met;                /* the relay has answered, once */
    bool unreachable;               /* the last connection reached the remote, and not its relay */
    int64_t heard_ms;   /* monotonic: when it said something last, or could not be heard */
    int64_t renewed_ms; /* when it was asked for more time last */
    int64_t untold_ms;  /* since when it does not know what has been received; 0: it does */
    int64_t attempt_ms; /* when to connect again */
    unsigned failures;  /* attempts in a row */
    unsigned faults;    /* times in a row that what came made no sense */
    uint64_t faults_at; /* how far the output had come */
    struct err why;     /* of the last attempt */
    struct lane *next;
};

enum lane_move { LANE_FAILED = -1, LANE_IDLE, LANE_MOVED, LANE_AWAY };

/* No I/O. */
int lane_new(const struct remote *remote, const char *directory, struct lane **ret, struct err *err)
    __attribute__((warn_unused_result));
void lane_free(struct lane *lane);

/* Connects if need be, and moves what can be moved without waiting; asks for more time when that is
 * due. Without `read` nothing is taken from the connection. LANE_AWAY: lane->why says why.
 * LANE_FAILED: ctx has ended, the relay is another runner's or has ended, or what it says makes no
 * sense again and again, or nothing has been heard for so long (ERR_LOST) that it must have. */
enum lane_move lane_move(const struct ctx *ctx, struct lane *lane, bool read, struct err *err)
    __attribute__((warn_unused_result));
/* Waits until lane_move() may have something to do, or one of `fds` is ready. */
int lane_wait(const struct ctx *ctx, struct lane *lane, bool read, struct pollfd *fds, size_t count,
              struct err *err) __attribute__((warn_unused_result));
/* Gives up a connection; the next lane_move() makes another. */
void lane_disconnect(struct lane *lane);
/* Tells the relay to end everything, and waits until that has been sent, if there is a connection.
 */
void lane_quit(const struct ctx *ctx, struct lane *lane);
/* Behind lane_quit(): waits for the end of the connection, by which the relay tells that nothing of
 * it is left. False: there was none, or ctx has ended. */
bool lane_await_end(const struct ctx *ctx, struct lane *lane);
