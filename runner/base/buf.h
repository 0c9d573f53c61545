/* Growing byte string. `data` is always NUL-terminated behind `len`, and never NULL.
 *
 *     CLEANUP_BUF struct buf b = BUF_INIT;
 *     buf_addf(&b, "%s:%d", host, port);
 *     return buf_steal(&b);
 *
 * Growth does not fail (see alloc.h); cap what a peer or a user sizes before adding it. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/cleanup.h"

struct buf {
    char *data;
    size_t len;
    size_t cap; /* 0: data is not allocated */
};

extern char buf_empty[];

#define BUF_INIT                                                                                   \
    {                                                                                              \
        .data = buf_empty                                                                          \
    }
#define CLEANUP_BUF CLEANUP(buf_release)

void buf_release(struct buf *b);
/* Makes room for `more` bytes behind len; the caller writes there and then raises len itself. */
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_addstr(struct buf *b, const char *s);
void buf_addch(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
/* Drops the first `len` bytes. */
void buf_consume(struct buf *b, size_t len);
/* Cuts to `len` bytes, which must not be more than there are. */
void buf_truncate(struct buf *b, size_t len);
void buf_reset(struct buf *b);
/* Gives the allocated string to the caller and leaves an empty buf. */
char *buf_steal(struct buf *b) __attribute__((returns_nonnull, warn_unused_result));
