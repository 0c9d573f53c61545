#include "apis/ssh/io.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"

void ssh_io_init(struct ssh_io *io, int fd)
{
    *io = (struct ssh_io){.fd = fd, .out = BUF_INIT, .heard_ms = clock_monotonic_ms()};
    io->in = xmalloc(SSH_IO_IN_BYTES);
}

void ssh_io_release(struct ssh_io *io)
{
    if (io->fd >= 0)
        close(steal_fd(&io->fd));
    free(steal_ptr(&io->in));
    if (io->out.data)
        buf_release(&io->out);
}

void ssh_io_fill(struct ssh_io *io)
{
    ssize_t got;

    if (io->in_at < io->in_len || io->eof)
        return;
    io->in_at = io->in_len = 0;
    do
        got = recv(io->fd, io->in, SSH_IO_IN_BYTES, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        io->in_len = (size_t)got;
        io->heard_ms = clock_monotonic_ms();
    } else if (got == 0 || errno != EAGAIN) {
        io->eof = true;
        io->errnum = got < 0 ? errno : 0;
    }
}

void ssh_io_flush(struct ssh_io *io)
{
    while (ssh_io_waiting(io)) {
        ssize_t put = send(io->fd, io->out.data + io->out_at, ssh_io_waiting(io),
                           MSG_NOSIGNAL | MSG_DONTWAIT);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN)
            break;
        if (put < 0) {
            /* What came before is still to be read; nothing goes out any more. */
            io->errnum = io->errnum ? io->errnum : errno;
            shutdown(io->fd, SHUT_WR);
            io->out_at = io->out.len;
            break;
        }
        io->out_at += (size_t)put;
    }
    if (!ssh_io_waiting(io)) {
        buf_truncate(&io->out, 0);
        io->out_at = 0;
    } else if (io->out_at > SSH_IO_OUT_BYTES) {
        buf_consume(&io->out, io->out_at);
        io->out_at = 0;
    }
}

ssize_t ssh_io_recv(struct ssh_io *io, void *data, size_t len)
{
    const size_t left = io->in_len - io->in_at;

    if (!left)
        return io->end && io->eof ? 0 : -EAGAIN;
    if (len > left)
        len = left;
    memcpy(data, io->in + io->in_at, len);
    io->in_at += len;
    return (ssize_t)len;
}

ssize_t ssh_io_send(struct ssh_io *io, const void *data, size_t len)
{
    buf_add(&io->out, data, len);
    return (ssize_t)len;
}
