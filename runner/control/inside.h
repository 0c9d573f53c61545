/* What both sides of a control socket share; internal to control/. */
#pragma once

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "control/control.h"

/* That of the record whose directory is open as dir_fd. */
static inline void control_address(int dir_fd, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" CONTROL_NAME, dir_fd);
}

/* A text as one line of at most max bytes; the caller's. */
char *control_line(const char *text, size_t max);
