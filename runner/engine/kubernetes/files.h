/* Files between this machine and the workspace of a place: tar archives through the helper. */
#pragma once

#include "engine/kubernetes/place.h"

/* Fills the workspace from the directory of the same name here, by way of a container. */
int files_fill(const struct ctx *ctx, struct kubernetes_place *place, const struct remote *remote,
               struct output *output, struct err *err) __attribute__((warn_unused_result));
/* Puts files at their absolute places in the container's own file system. */
int files_place(const struct ctx *ctx, const struct remote *remote, const struct placed_file *files,
                size_t count, struct err *err) __attribute__((warn_unused_result));

/* As get() and put() of the engine. */
int kubernetes_place_get(const struct ctx *ctx, struct place *place, const char *path,
                         const char *into, struct err *err);
int kubernetes_place_put(const struct ctx *ctx, struct place *place, const char *const *paths,
                         struct err *err);
