/* Stores by what the pipeline file and the command line call them: "local", or a bucket as in s3.h.
 */
#pragma once

#include "objstore/local.h"
#include "objstore/objstore.h"

#define OBJECT_STORE_LOCAL "local"

/* Whether `url` is of one of these forms; no I/O. */
int object_store_check(const char *url, struct err *err) __attribute__((warn_unused_result));
/* object_store_local_open() as `local` says, or object_store_s3_open() with the environment of this
 * process. */
int object_store_open(const char *url, const struct object_store_local_options *local,
                      struct object_store **ret, struct err *err)
    __attribute__((warn_unused_result));
