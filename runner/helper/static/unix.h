/* The little of sockets that no header of the kernel gives to user space. */
#pragma once

#include <stddef.h>

#define AF_UNIX          1
#define SOCK_STREAM      1
#define SOCK_NONBLOCK    04000
#define SOCK_CLOEXEC     02000000
#define MSG_NOSIGNAL     0x4000
#define MSG_CMSG_CLOEXEC 0x40000000
#define SOL_SOCKET       1
#define SCM_RIGHTS       1

#define UNIX_PATH_MAX 108

struct unix_address {
    unsigned short family;
    char path[UNIX_PATH_MAX];
};

/* That of a socket in a directory; ends the helper when the path is too long. */
void unix_address_of(const char *directory, const char *name, struct unix_address *ret);
