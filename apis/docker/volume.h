/* Volumes. See client.h for lifecycle, threads, errors. */
#pragma once

#include "apis/docker/client.h"

struct docker_volume_create {
    const char *name;   /* NULL: the daemon invents one */
    const char *driver; /* NULL: "local" */
    const struct strmap *options;
    const struct strmap *labels;
};

struct docker_volume {
    char *name;
    char *driver;
    char *mountpoint; /* on the daemon's host */
    char *created;    /* RFC 3339 */
    struct strmap labels;
};

struct docker_volume_list {
    struct docker_volume *items;
    size_t len;
};

#define CLEANUP_DOCKER_VOLUME      CLEANUP(docker_volume_release)
#define CLEANUP_DOCKER_VOLUME_LIST CLEANUP(docker_volume_list_release)
/* See docker_call_create(). A volume that exists is returned as it is: its labels tell whose it is.
 */
int docker_volume_create(const struct ctx *ctx, struct docker_client *docker,
                         const struct docker_volume_create *options, struct docker_volume *ret,
                         struct err *err) __attribute__((warn_unused_result));
int docker_volume_inspect(const struct ctx *ctx, struct docker_client *docker, const char *volume,
                          struct docker_volume *ret, struct err *err)
    __attribute__((warn_unused_result));
/* In two parts, so that other calls can run beside it: see docker_call_begin(). */
int docker_volume_list_begin(const struct ctx *ctx, struct docker_client *docker,
                             const struct docker_filter *filters, size_t filter_count,
                             struct docker_pending **ret, struct err *err)
    __attribute__((warn_unused_result));
int docker_volume_list_end(const struct ctx *ctx, struct docker_pending *pending,
                           struct docker_volume_list *ret, struct err *err)
    __attribute__((warn_unused_result));
int docker_volume_list(const struct ctx *ctx, struct docker_client *docker,
                       const struct docker_filter *filters, size_t filter_count,
                       struct docker_volume_list *ret, struct err *err)
    __attribute__((warn_unused_result));
/* ERR_CONFLICT while a container uses it. */
int docker_volume_remove(const struct ctx *ctx, struct docker_client *docker, const char *volume,
                         bool force, struct err *err) __attribute__((warn_unused_result));
void docker_volume_release(struct docker_volume *volume);
void docker_volume_list_release(struct docker_volume_list *list);
