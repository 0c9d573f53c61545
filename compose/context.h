/* The context of a build as the tar stream that the builder reads, without what .dockerignore
 * names. A Dockerfile that is not in the context, or is given inline, comes first under a name of
 * its own. One thread. */
#pragma once

#include "apis/docker/container.h"
#include "base/ignore.h"
#include "base/tar.h"
#include "compose/model.h"

struct compose_context {
    struct buf first; /* what comes before the tree */
    struct tar_tree *tree;
    struct ignore *ignore;
    char *dockerfile;   /* its path in the context */
    struct buf text;    /* its own; empty: with the remote */
    const char *remote; /* a URL: there is no stream */
};

#define CLEANUP_COMPOSE_CONTEXT CLEANUP(compose_context_close)
/* build: of a service. ERR_INVALID: there is no such directory or Dockerfile. */
int compose_context_open(const json_t *build, struct compose_context *ret, struct err *err)
    __attribute__((warn_unused_result));
/* An http_read_fn. */
ssize_t compose_context_read(void *context, char *data, size_t size, struct err *err);
void compose_context_close(struct compose_context *context);
