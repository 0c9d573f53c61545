/* Descriptors over a unix stream socket (SCM_RIGHTS).
 *
 * They travel with the first byte of what is sent together with them, so the receiver has to ask
 * for them in the read that takes that byte. */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#define FDPASS_MAX 4

/* One sendmsg() with MSG_NOSIGNAL and `flags`; returns what it returns (it may send less). */
ssize_t fdpass_send(int socket, const struct iovec *parts, size_t part_count, const int *fds,
                    size_t fd_count, int flags);
/* One recvmsg(); the descriptors come CLOEXEC and belong to the caller, *ret_count says how many
 * (more than FDPASS_MAX are never kept). Returns bytes, 0 at the end, -1 with errno. */
ssize_t fdpass_recv(int socket, void *data, size_t size, int fds[FDPASS_MAX], size_t *ret_count);
