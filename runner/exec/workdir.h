/* The pipeline's working directory: made if missing, removed after success if this run made it,
 * kept after failure. Source: pipeline file reference, section 3 (workdir). */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* *ret_created: this run made it. */
int workdir_prepare(const char *path, bool *ret_created, struct err *err)
    __attribute__((warn_unused_result));
/* Whether removing it can be right at all: not the root, not the current directory or one above
 * it, not a home directory. */
bool workdir_is_removable(const char *path);
/* Tries a few times, because what a step left running may still be writing. */
int workdir_remove(const char *path, struct err *err) __attribute__((warn_unused_result));
