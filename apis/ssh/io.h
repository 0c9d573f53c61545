/* The bytes of a connection, between the socket and libssh2, which reads and writes here only.
 *
 * What libssh2 sends is always taken, so that it never has to repeat a call that was cut short in
 * the middle of a packet, with the same arguments and before any other; it is held back where data
 * enter (ssh_io_full()). What it receives was read in large pieces before, so that it never blocks.
 *
 * Threads: one at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

enum { SSH_IO_IN_BYTES = 256 << 10, SSH_IO_OUT_BYTES = 256 << 10 };

struct ssh_io {
    int fd; /* -1: none. Owned. */
    char *in;
    size_t in_at;
    size_t in_len;
    struct buf out;
    size_t out_at;
    bool eof;   /* nothing more comes */
    int errnum; /* why, of the socket; 0: the other side ended it */
    bool end;   /* tell libssh2 so once `in` is empty; else it is told to wait */
    int64_t heard_ms;
};

void ssh_io_init(struct ssh_io *io, int fd);
void ssh_io_release(struct ssh_io *io);
/* Reads from the socket if all that was read is used up. */
void ssh_io_fill(struct ssh_io *io);
/* Writes to the socket what it takes. */
void ssh_io_flush(struct ssh_io *io);
static inline size_t ssh_io_waiting(const struct ssh_io *io)
{
    return io->out.len - io->out_at;
}
static inline bool ssh_io_full(const struct ssh_io *io)
{
    return ssh_io_waiting(io) >= SSH_IO_OUT_BYTES;
}
/* As libssh2's callbacks: bytes, 0 at the end, -EAGAIN. */
ssize_t ssh_io_recv(struct ssh_io *io, void *data, size_t len);
ssize_t ssh_io_send(struct ssh_io *io, const void *data, size_t len);
