/* Files and directories. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Reads a whole regular file (or what a pipe gives until its end) of at most max bytes; ERR_LIMIT
 * beyond that, ERR_INVALID for a directory. */
int fs_read_file(const char *path, size_t max, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));
int fs_read_fd(int fd, const char *name, size_t max, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));
/* Writes a temporary file beside `path`, or beside what that links to, and renames it: readers see
 * the old or the new content. What is no regular file is written to as it is. */
int fs_write_file(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
    __attribute__((warn_unused_result));
/* Whether fs_write_file() could write there now; leaves nothing. Whether a pipe has a reader is not
 * asked. */
int fs_check_writable(const char *path, struct err *err) __attribute__((warn_unused_result));
/* Writes all of it; resumes after short writes and EINTR. */
int fs_write_all(int fd, const void *data, size_t len, struct err *err)
    __attribute__((warn_unused_result));
/* Creates the directory and what is missing above it. */
int fs_mkdir_p(const char *path, mode_t mode, struct err *err) __attribute__((warn_unused_result));
/* Removes a tree without following symbolic links and without crossing into another file system.
 * A path that does not exist is no error. Directories without write permission are opened up. */
int fs_remove_tree(const char *path, struct err *err) __attribute__((warn_unused_result));
/* The same for what `name` is in the directory that is open. */
int fs_remove_tree_at(int dir_fd, const char *name, struct err *err);
bool fs_is_directory(const char *path);
bool fs_exists(const char *path);
/* Absolute form of path (from the current directory) with "." and ".." folded, links untouched. */
char *fs_absolute(const char *path);
/* "DIR/NAME"; a NAME that is absolute is returned alone. */
char *fs_join(const char *dir, const char *name);
