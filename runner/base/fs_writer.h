/* A file that is written in pieces and appears whole.
 *
 *     CLEANUP_FS_WRITER struct fs_writer out = FS_WRITER_INIT;
 *     if (fs_writer_open(&out, path, 0644, err) < 0) ...
 *     buf_addf(&out.buf, ...); fs_writer_spill(&out);   again and again
 *     return fs_writer_commit(&out, err);
 *
 * What fs_write_file() says about links, pipes and devices holds here, too. */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct fs_writer {
    struct buf buf; /* to be appended to */
    int fd;
    char *target;
    char *temp; /* NULL: what is written goes straight to the target */
    struct err failure;
};

#define FS_WRITER_INIT                                                                             \
    {                                                                                              \
        .buf = BUF_INIT, .fd = -1                                                                  \
    }
#define CLEANUP_FS_WRITER CLEANUP(fs_writer_release)

int fs_writer_open(struct fs_writer *w, const char *path, mode_t mode, struct err *err)
    __attribute__((warn_unused_result));
/* Writes what is in buf when that is much. After a failure, which fs_writer_commit() tells, what
 * comes is dropped. */
void fs_writer_spill(struct fs_writer *w);
/* Writes what is left and puts the file in its place. */
int fs_writer_commit(struct fs_writer *w, struct err *err) __attribute__((warn_unused_result));
/* Removes what has not been committed. */
void fs_writer_release(struct fs_writer *w);
