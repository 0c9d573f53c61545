/* The helper on the daemon: an image with nothing else in it, made when it is missing, and a volume
 * of the run that the daemon fills from that image. Every step's container has the volume mounted,
 * read-only: that needs nothing of the step's image, and works with remote daemons. Thread-safe. */
#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "base/gate.h"

#define TOOLS_MOUNT  "/.runner"
#define TOOLS_HELPER TOOLS_MOUNT "/helper"

struct docker_client;
struct docker_instance;

struct tools {
    struct gate busy; /* guards the rest until `ready` */
    bool ready;
    char *image;
    char *volume; /* NULL until it may exist */
};

int tools_init(struct tools *tools, struct err *err) __attribute__((warn_unused_result));
/* Makes image and volume on the first call. ERR_UNSUPPORTED for a daemon of another architecture.
 */
int tools_ensure(const struct ctx *ctx, struct docker_instance *instance,
                 struct docker_client *client, struct err *err) __attribute__((warn_unused_result));
/* Removes the volume. */
void tools_remove(const struct ctx *ctx, struct docker_instance *instance,
                  struct docker_client *client);
void tools_release(struct tools *tools);
