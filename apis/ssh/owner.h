/* Whose file it is that says how to log in.
 *
 * Only apis/ssh/config.c includes this header. */
#pragma once

#include "base/err.h"

/* Of an open file, as ssh does it (with Debian's exception for a group of the owner's own): what
 * others can write to, or may have written, is not followed. ERR_DENIED. */
int ssh_check_owner(int fd, const char *path, struct err *err) __attribute__((warn_unused_result));
