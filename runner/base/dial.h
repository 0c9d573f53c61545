/* Asking from here whether something listens. */
#pragma once

#include <netdb.h>

#include "base/ctx.h"
#include "base/err.h"

/* A TCP connection; *ret_fd (not blocking) is to be closed by the caller. Messages begin with
 * "HOST:PORT: ". */
int dial_tcp(const struct ctx *ctx, const char *host, unsigned port, int *ret_fd, struct err *err)
    __attribute__((warn_unused_result));
/* Likewise, to whichever of the addresses (at least one) answers first. Each has a head start of a
 * quarter of a second over the next, and goes on beside it, so that one that does not answer costs
 * no more than that; the next begins at once when one fails. Messages have nothing in front.
 * Source: RFC 8305, section 5. */
int dial_first(const struct ctx *ctx, const struct addrinfo *addresses, int *ret_fd,
               struct err *err) __attribute__((warn_unused_result));
/* The status that an HTTP server answers a GET with. */
int dial_http(const struct ctx *ctx, const char *host, unsigned port, const char *path,
              int *ret_status, struct err *err) __attribute__((warn_unused_result));
