/* The object stores in use: one for each URL, opened when first needed. */
#pragma once

#include "exec/exec.h"
#include "objstore/objstore.h"

struct stores;

/* `open` as in struct exec_options. */
struct stores *stores_new(exec_open_store_fn open, void *arg);
/* `url` NULL: the usual one. *ret stays with the table; a store that cannot be opened is not tried
 * again. Threads: any. */
int stores_get(struct stores *stores, const char *url, struct object_store **ret, struct err *err)
    __attribute__((warn_unused_result));
void stores_free(struct stores *stores);
