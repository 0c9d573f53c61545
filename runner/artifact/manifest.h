/* Manifests: what an artifact is, as JSON. Private to artifact/. */
#pragma once

#include <dirent.h>

#include "artifact/artifact.h"
#include "base/buf.h"

/* Files that are regular, and the sum of their sizes; what has vanished does not count. */
void manifest_count(const struct glob_found *found, const char *root, int64_t *ret_files,
                    int64_t *ret_bytes);
void manifest_write(const struct artifact *artifact, const struct glob_found *found,
                    const char *root, struct buf *out);
/* The keys of *ret follow from `key`, the manifest's own. ERR_PROTOCOL: it is no manifest. */
int manifest_read(const char *text, size_t len, const char *key, struct artifact *ret,
                  struct err *err) __attribute__((warn_unused_result));
