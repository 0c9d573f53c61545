/* The container that the runner itself may run in, and where its paths are on the Docker host.
 *
 * A runner with the host's docker socket mounted names paths of its own file system, which the
 * daemon would look for on the host's. Its own container's mounts tell where they are. */
#pragma once

#include <stdbool.h>

#include "apis/docker/container.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/vec.h"

enum self_place {
    SELF_ON_HOST,      /* the daemon sees the paths that we see */
    SELF_UNCERTAIN,    /* it may see them; holder.c looks */
    SELF_IN_CONTAINER, /* in a container of this daemon */
    SELF_ELSEWHERE,    /* on another machine */
};

struct self {
    enum self_place place;
    struct docker_container container; /* of SELF_IN_CONTAINER */
};

/* What a path of ours is for the daemon. */
struct self_path {
    enum docker_mount_type type;
    char *source;  /* host path, or volume name */
    char *subpath; /* within the volume; NULL: all of it */
};

#define CLEANUP_SELF_PATH CLEANUP(self_path_release)
void self_path_release(struct self_path *path);

int self_find(const struct ctx *ctx, struct docker_client *client,
              const struct docker_endpoint *endpoint, struct self *ret, struct err *err)
    __attribute__((warn_unused_result));
void self_release(struct self *self);

/* ERR_NOT_FOUND, with both sides named, when the daemon cannot see `path`. api_minor decides
 * whether a part of a volume can be mounted as such. */
int self_translate(const struct self *self, const char *path, int api_minor, struct self_path *ret,
                   struct err *err) __attribute__((warn_unused_result));

/* Where `path` is on the daemon's host, of SELF_IN_CONTAINER; the caller's. NULL: it is in nothing
 * that is mounted from there. */
char *self_host_path(const struct self *self, const char *path);

/* --- parts, apart for tests --- */

/* Container ids that the text of /proc/self/mountinfo and /proc/self/cgroup hint at. */
void self_ids_from_mountinfo(const char *text, struct strvec *ret);
void self_ids_from_cgroup(const char *text, struct strvec *ret);
/* Whether tcp://HOST is this machine as far as its name tells. */
bool self_is_loopback_url(const char *url);
