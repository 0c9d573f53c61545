/* Asking from here whether something listens. Names are looked up by the C library, which for names
 * that are neither numbers nor in /etc/hosts may take as long as /etc/resolv.conf says. */
#pragma once

#include "base/ctx.h"
#include "base/err.h"

/* A TCP connection; *ret_fd (not blocking) is to be closed by the caller. Messages begin with
 * "HOST:PORT: ". */
int dial_tcp(const struct ctx *ctx, const char *host, unsigned port, int *ret_fd, struct err *err)
    __attribute__((warn_unused_result));
/* The status that an HTTP server answers a GET with. */
int dial_http(const struct ctx *ctx, const char *host, unsigned port, const char *path,
              int *ret_status, struct err *err) __attribute__((warn_unused_result));
