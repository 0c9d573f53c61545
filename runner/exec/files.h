/* What conditions and expressions ask about the files of the workdir and their history.
 *
 * Globs are those of base/glob.h with GLOB_TREE, relative to the workdir. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/sha256.h"

/* A hash of the paths and contents of all files that match, of symbolic links their targets. It
 * depends on nothing else: not on times, owners, permissions or the order of the globs. Empty if
 * there are none. */
int files_hash(const struct ctx *ctx, const char *root, const char *const *globs, size_t count,
               char ret[SHA256_HEX_SIZE], struct err *err) __attribute__((warn_unused_result));
/* Whether one exists, be it a directory or a symbolic link. */
int files_exist(const struct ctx *ctx, const char *root, const char *const *globs, size_t count,
                bool *ret, struct err *err) __attribute__((warn_unused_result));
/* Whether a tracked file that matches differs between the commit before the one that is checked out
 * and the working tree; in a first commit every file does. ERR_NOT_FOUND: no git, or no repository;
 * ERR_UNSUPPORTED: the commit before is not there, as the clone is shallow. */
int files_changed(const struct ctx *ctx, const char *root, const char *const *globs, size_t count,
                  bool *ret, struct err *err) __attribute__((warn_unused_result));
/* Appends the branch that is checked out; nothing where there is none or no repository. */
void files_branch(const char *root, struct buf *ret);
