/* Unix sockets that have an absolute path. */
#pragma once

#include "base/err.h"

/* Listens there, for this user alone; the descriptor does not block. A socket that nobody listens
 * on any more, as of a process that was killed, is replaced; of several processes that find it at
 * the same time one gets it. ERR_CONFLICT: somebody listens on it, or it is something else.
 * ERR_INVALID: the path is too long. `type` is that of socket(2). */
int local_socket_listen(const char *path, int type, int backlog, struct err *err)
    __attribute__((warn_unused_result));
/* A descriptor that does not block. -1: errno says why; ENOTSOCK: there is something else. */
int local_socket_connect(const char *path, int type);
