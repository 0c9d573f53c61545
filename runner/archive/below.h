/* Directories below another one, opened part by part within the part before and without following
 * links: there is no moment at which a name leads out of it, whatever others do there meanwhile.
 *
 * Threads: one at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct below {
    const char *purpose;  /* for messages: "pack", "unpack" */
    int root_fd;          /* borrowed */
    struct buf directory; /* what directory_fd is open on, relative to the root */
    int directory_fd;     /* -1: none is */
};

#define BELOW_INIT(root, what)                                                                     \
    {                                                                                              \
        .purpose = what, .root_fd = root, .directory = BUF_INIT, .directory_fd = -1                \
    }

void below_release(struct below *below);

/* Opens, and makes if `make` is set, the directory `name` within another; `path` is for messages.
 * ERR_CONFLICT: it is a link or a file; else ERR_SYSTEM with an errnum. The caller closes it, as
 * that of the next. */
int below_enter(const struct below *below, int dir_fd, const char *name, const char *path,
                bool make, struct err *err) __attribute__((warn_unused_result));
/* The directory `path` of `len` bytes; of none it is the root. */
int below_walk(const struct below *below, const char *path, size_t len, bool make, struct err *err)
    __attribute__((warn_unused_result));
/* The directory that `path` is in, and its name there. Borrowed until the next call: the files of a
 * directory come in a row. */
int below_parent(struct below *below, const char *path, bool make, const char **ret_name,
                 struct err *err) __attribute__((warn_unused_result));
