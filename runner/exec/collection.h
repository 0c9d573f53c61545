/* Where the files are that steps have left: in the workdir of the run, or, when places have had
 * workspaces of their own, in a temporary directory to which they are brought from there.
 *
 *     collection_begin(&collection, run, &places, NULL, ctx)
 *     collection_bring(&collection, ctx, glob, err)      for each glob
 *     … glob_find(ctx, collection.root, glob, …)
 *     collection_end(&collection)
 *
 * Of several places, in the order in which they were opened, the later one's files replace the
 * earlier one's. Threads: one. */
#pragma once

#include "base/glob.h"
#include "exec/places.h"

struct collection {
    const struct run *run;
    const char *root;
    const char *unable; /* name of an engine from whose workspaces nothing comes; NULL: none */
    VEC(struct open_place)
    from;              /* empty: `root` is the workdir */
    char *directory;   /* to be removed; NULL: none */
    struct strvec has; /* paths that have been brought */
};

/* Of the place of a step, or (NULL) of all that are open; they stay open until the last
 * collection_bring(). `ctx` must not have ended. */
void collection_begin(struct collection *ret, const struct run *run, struct places *places,
                      const struct open_place *only, const struct ctx *ctx);
/* Brings what the glob may match below collection->root. ERR_UNSUPPORTED: `unable` is set. After a
 * failure some of it may be there. */
int collection_bring(struct collection *collection, const struct ctx *ctx, const struct glob *glob,
                     struct err *err) __attribute__((warn_unused_result));
/* Also of one that is zeroed. */
void collection_end(struct collection *collection);
