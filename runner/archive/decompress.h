/* Decompresses an archive in a thread of its own, some pieces ahead of who makes the files: the one
 * is work of this program, the other mostly of the kernel.
 *
 *     decompress_start(ctx, lib, fd, &d, err)
 *     while ((n = decompress_read(d, &data, err)) > 0) ...
 *     decompress_stop(d)
 *
 * Threads: one reads. */
#pragma once

#include <sys/types.h>

#include "archive/libarchive.h"
#include "base/ctx.h"
#include "base/err.h"

struct decompress;

/* Begins with what `fd` gives from where it stands: zstd, or bytes that are not compressed. The
 * context, the library and the descriptor are borrowed until decompress_stop(). */
int decompress_start(const struct ctx *ctx, const struct libarchive *lib, int fd,
                     struct decompress **ret, struct err *err) __attribute__((warn_unused_result));

/* The next piece, borrowed until the next call: its length, 0 at the end, -1 with the error of the
 * descriptor or of the context, or ERR_PROTOCOL for what is damaged. */
ssize_t decompress_read(struct decompress *d, const void **ret_data, struct err *err)
    __attribute__((warn_unused_result));

/* Does not wait for what has not been read. NULL is allowed. */
void decompress_stop(struct decompress *d);
