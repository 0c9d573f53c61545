/* Writing tar archives (POSIX pax interchange format; ustar where that suffices).
 *
 * Either from memory, entry by entry,
 *
 *     tar_add_file(&out, "dir/name", 0755, data, size); tar_add_end(&out);
 *
 * or as a stream of a directory tree, pulled piece by piece, in constant memory:
 *
 *     tar_tree_open(&tree, "/repo", err)
 *     while ((n = tar_tree_read(tree, data, sizeof(data), err)) > 0) ...
 *     tar_tree_close(tree);
 *
 * Regular files, directories and symbolic links with mode, owner and time; other kinds (sockets,
 * pipes, devices) are left out, further links to a file become copies.
 * Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header". */
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ignore.h"

void tar_add_directory(struct buf *out, const char *name, mode_t mode);
void tar_add_file(struct buf *out, const char *name, mode_t mode, const void *data, size_t size);
/* The others belong to root. */
void tar_add_file_owned(struct buf *out, const char *name, mode_t mode, uid_t uid, gid_t gid,
                        const void *data, size_t size);
/* The two empty blocks behind the last entry. */
void tar_add_end(struct buf *out);

struct tar_tree;

/* Names in the archive are relative to `path`, which itself is not in it and may be a symbolic link
 * to the directory. */
int tar_tree_open(const char *path, struct tar_tree **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Only of these paths, relative to `path`; a directory with all that is in it. `paths` ends with
 * NULL; what is not there is left out. */
int tar_tree_open_paths(const char *path, const char *const *paths, struct tar_tree **ret,
                        struct err *err) __attribute__((warn_unused_result));
/* Leaves out what that says (borrowed), by paths relative to the root. Before the first read. */
void tar_tree_ignore(struct tar_tree *tree, const struct ignore *ignore);
/* Bytes read, 0 at the end, -1. A file that shrinks while it is read is filled up with zeros; one
 * that vanishes before its turn is left out; one that may not be read is an error. */
ssize_t tar_tree_read(struct tar_tree *tree, void *data, size_t size, struct err *err)
    __attribute__((warn_unused_result));
void tar_tree_close(struct tar_tree *tree);
