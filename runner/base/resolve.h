/* Looking up the addresses of a name, as long as a context lasts.
 *
 * The C library asks for as long as /etc/resolv.conf says, and hears nothing meanwhile: its
 * getaddrinfo() runs in a thread, as in libcurl. Whoever does not wait any more leaves it behind;
 * it frees what it has found when it is through. getaddrinfo_a() would need a thread as well, and
 * calls back one that is gone. Numeric addresses take no thread. */
#pragma once

#include <netdb.h>

#include "base/ctx.h"
#include "base/err.h"

/* *ret, of stream sockets, is to be freed by freeaddrinfo(). `service` is a number, or NULL.
 * ERR_NOT_FOUND: the name has no address, or nobody answers who would know. */
int resolve_host(const struct ctx *ctx, const char *host, const char *service,
                 struct addrinfo **ret, struct err *err) __attribute__((warn_unused_result));
