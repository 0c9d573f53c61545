/* Files of a directory as an archive (tar, pax format, zstd) and back.
 *
 *     archive_pack(ctx, "/repo", glob, write, arg, &stats, err)
 *     archive_unpack(ctx, fd, "/repo", &stats, err)
 *
 * Regular files with their holes, directories, symbolic and hard links with their permissions and
 * times to the nanosecond; owners as numbers, given back only to root. Sockets, pipes and devices
 * are left out. Names are bytes, of whatever encoding.
 *
 * Unpacking writes nothing outside of the directory, whatever the archive says: names are relative
 * and have no "..", and no symbolic link is followed on the way to one, be it from the archive or
 * there before. Files that are there are replaced, directories are filled up.
 *
 * Threads: any. Further ones are used for the compression, both ways. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/glob.h"
#include "base/vec.h"

struct archive_stats {
    uint64_t entries;
    int64_t bytes; /* of the files' contents */
};

/* Takes the next bytes of the archive. */
typedef int (*archive_write_fn)(void *arg, const void *data, size_t len, struct err *err);

/* Whether archives can be made and read here: ERR_UNSUPPORTED without the library for it. */
int archive_check(struct err *err) __attribute__((warn_unused_result));

/* Packs what the glob finds below `root`. A file that shrinks meanwhile is filled up with zeros,
 * one that vanishes is left out; one that cannot be read is an error. Without any file the archive
 * is empty, but whole. */
int archive_pack(const struct ctx *ctx, const char *root, const struct glob *glob,
                 archive_write_fn write, void *arg, struct archive_stats *ret, struct err *err)
    __attribute__((warn_unused_result));

/* Unpacks what `fd` gives from where it stands. Files that are whole before an error stay.
 * ERR_PROTOCOL: it is no such archive, or damaged; ERR_DENIED: it has a name that would lead out of
 * the directory; ERR_CONFLICT: something of another kind is in the way. */
int archive_unpack(const struct ctx *ctx, int fd, const char *root, struct archive_stats *ret,
                   struct err *err) __attribute__((warn_unused_result));
/* The same, and adds the paths of what it has made, in the order of the archive, those of
 * directories with a slash behind; also before an error. */
int archive_unpack_names(const struct ctx *ctx, int fd, const char *root, struct strvec *ret_names,
                         struct archive_stats *ret, struct err *err)
    __attribute__((warn_unused_result));
