/* Where a node is in its document, as text: "stages[1].jobs[0].name". Kept as a list of frames on
 * the C stack while a tree is walked, so that it costs nothing until a message needs it. */
#pragma once

#include <stddef.h>

#include "base/buf.h"

struct node_path {
    const struct node_path *up; /* NULL: the document itself */
    const char *key;            /* NULL: `index` counts */
    size_t index;
};

static inline void node_path_add_key(struct buf *out, const char *key)
{
    buf_addf(out, out->len ? ".%s" : "%s", key);
}

static inline void node_path_add_index(struct buf *out, size_t index)
{
    buf_addf(out, "[%zu]", index);
}

static inline void node_path_format(struct buf *out, const struct node_path *path)
{
    if (!path)
        return;
    node_path_format(out, path->up);
    if (path->key)
        node_path_add_key(out, path->key);
    else
        node_path_add_index(out, path->index);
}
