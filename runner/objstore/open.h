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

/* Where the local store is, and how large it may become. */
struct object_store_places {
    const char *dir;   /* NULL: $XDG_CACHE_HOME/runner, else ~/.cache/runner */
    int64_t max_bytes; /* 0: no limit */
};

/* The directory of the local store; the caller's. NULL when nothing says where it is. */
char *object_store_local_dir(const struct object_store_places *places, struct err *err)
    __attribute__((warn_unused_result));
/* `arg` is a const struct object_store_places; see exec_open_store_fn. */
int object_store_open_at(void *arg, const char *url, struct object_store **ret, struct err *err)
    __attribute__((warn_unused_result));
