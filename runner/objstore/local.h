/* Objects as files of a directory.
 *
 *     ROOT/lock           held for an instant by who makes, publishes or removes a file
 *     ROOT/objects/KEY~   a header, then the content
 *     ROOT/tmp/           objects that are being written; each is locked by its writer, so that
 *                         what a dead one has left is known, and removed by the next put()
 *
 * An object becomes visible by rename() when all of it, header included, is on the disk. Reading
 * needs no permission to write: a store that is read-only gives what it has. */
#pragma once

#include "objstore/objstore.h"

struct object_store_local_options {
    const char *root;  /* made by the first put(), with mode 0700 */
    int64_t max_bytes; /* of all objects; those unused for the longest time go first; 0: no limit */
};

/* Touches nothing. */
void object_store_local_open(const struct object_store_local_options *options,
                             struct object_store **ret);
