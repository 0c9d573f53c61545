/* Files between this machine and a remote, as tar archives through the helper there. What has been
 * done once may be done again, when a connection broke. ERR_NOT_FOUND of the remote: there is no
 * helper any more. */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"
#include "engine/remote/remote.h"

/* The directory `from` of this machine becomes `directory` there, without what .runnerignore names;
 * the output is told how far it is. */
int remote_fill(const struct ctx *ctx, const struct remote *remote, const char *from,
                const char *directory, struct output *output, struct err *err)
    __attribute__((warn_unused_result));
/* Only these files and directories of it, by their relative paths, which end with NULL. */
int remote_put(const struct ctx *ctx, const struct remote *remote, const char *from,
               const char *const *paths, const char *directory, struct err *err)
    __attribute__((warn_unused_result));
/* The other way, for one, to the directory `into` of this machine; "": all that is in `directory`.
 * What is not there is not brought, and no error; nor is a part of anything. */
int remote_get(const struct ctx *ctx, const struct remote *remote, const char *directory,
               const char *path, const char *into, struct err *err)
    __attribute__((warn_unused_result));
/* An archive that is complete, with its end. */
int remote_unpack(const struct ctx *ctx, const struct remote *remote, const char *directory,
                  const struct buf *tar, struct err *err) __attribute__((warn_unused_result));
