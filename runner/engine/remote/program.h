/* A short-lived program on a remote: the helper's pack, unpack, probe and lane, or a command to be
 * looked at. Not for steps, whose verdict must outlive a connection.
 *
 * Threads: any; each call has a command of its own. */
#pragma once

#include "base/buf.h"
#include "engine/remote/remote.h"

struct remote_program {
    const char *const *argv; /* NULL-terminated */
    /* Gives the next of its standard input: bytes, 0 at the end, -1. NULL: it has none. The end
     * cannot be told to the program; what it reads has its own. */
    ssize_t (*read)(void *arg, void *data, size_t size, struct err *err);
    /* Takes its standard output; NULL: thrown away. */
    int (*write)(void *arg, const void *data, size_t len, struct err *err);
    void *arg;
    bool says_done; /* HELPER_DONE is the last of its standard output when it has done its work */
};

/* For `read`, with such an `arg`: all of data, which is borrowed. */
struct remote_text {
    const struct buf *data;
    size_t at; /* what of it has been read */
};
ssize_t remote_read_text(void *arg, void *data, size_t size, struct err *err);

/* Runs it to its end: *ret_code is its exit code, and what it wrote to standard error is added to
 * `messages` (may be NULL; its last line break is cut). -1: it is not known how it ended. ERR_LOST:
 * it is told to have ended with 0, and has not said that it is done. */
int remote_run(const struct ctx *ctx, const struct remote *remote,
               const struct remote_program *program, int *ret_code, struct buf *messages,
               struct err *err) __attribute__((warn_unused_result));
/* The same, where anything but 0 is an error, with what it said. ERR_NOT_FOUND: there is no such
 * program. ERR_LOST: as above. */
int remote_do(const struct ctx *ctx, const struct remote *remote,
              const struct remote_program *program, struct err *err)
    __attribute__((warn_unused_result));
