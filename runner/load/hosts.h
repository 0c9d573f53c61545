/* What inventories in the pipeline file and beside it have in common. Private to load/. */
#pragma once

#include "base/err.h"

/* Whether a host or a role can be called so. ERR_INVALID. */
int host_name_check(const char *name, struct err *err) __attribute__((warn_unused_result));
