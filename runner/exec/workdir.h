/* The pipeline's working directory: made if missing, removed after success if this run made it,
 * kept after failure. Source: pipeline file reference, section 3 (workdir). */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* *ret_made: the topmost directory that had to be made, NULL if all were there; the caller frees.
 */
int workdir_prepare(const char *path, char **ret_made, struct err *err)
    __attribute__((warn_unused_result));
/* Whether removing it can be right at all: not the root, not the current directory or a home, and
 * none that holds one of them. */
bool workdir_is_removable(const char *path);
/* Tries a few times, because what a step left running may still be writing. The directories above
 * it that were made, down from `made` (may be NULL), go too if nothing else is in them. */
int workdir_remove(const char *path, const char *made, struct err *err)
    __attribute__((warn_unused_result));
