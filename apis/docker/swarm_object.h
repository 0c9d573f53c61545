/* Secrets and configs of a swarm: two collections of one shape, differing in that the swarm never
 * gives the data of a secret back. See client.h for lifecycle, threads, errors.
 * Source: Docker Engine API, /secrets and /configs. */
#pragma once

#include "apis/docker/client.h"

/* The swarm's limits. */
#define DOCKER_SWARM_NAME_MAX   64
#define DOCKER_SECRET_MAX_BYTES ((size_t)500 << 10)
#define DOCKER_CONFIG_MAX_BYTES ((size_t)1000 << 10)

enum docker_swarm_kind { DOCKER_SECRET, DOCKER_CONFIG };

/* Everything is borrowed. */
struct docker_swarm_object_spec {
    const char *name;
    const struct strmap *labels;
    const char *data; /* bytes */
    size_t data_len;
    const char *driver; /* of a secret that a plugin knows, which has no data; NULL: none */
    const struct strmap *driver_options;
    const char *template_driver; /* NULL: the data is taken as it is */
};

struct docker_swarm_object {
    char *id;
    char *name;
    int64_t version;
    struct strmap labels;
    char *data; /* of a config, else NULL; bytes with a NUL behind them */
    size_t data_len;
};

struct docker_swarm_object_list {
    struct docker_swarm_object *items;
    size_t len;
};

#define CLEANUP_DOCKER_SWARM_OBJECT_LIST CLEANUP(docker_swarm_object_list_release)
/* ERR_CONFLICT: there is one of that name. *ret_id is for the caller to free. */
int docker_swarm_object_create(const struct ctx *ctx, struct docker_client *docker,
                               enum docker_swarm_kind kind,
                               const struct docker_swarm_object_spec *spec, char **ret_id,
                               struct err *err) __attribute__((warn_unused_result));
/* Only labels can change: ERR_INVALID "only updates to Labels are allowed" means that the data is
 * another than that of the object, and nothing has happened. */
int docker_swarm_object_update(const struct ctx *ctx, struct docker_client *docker,
                               enum docker_swarm_kind kind, const char *id, int64_t version,
                               const struct docker_swarm_object_spec *spec, struct err *err)
    __attribute__((warn_unused_result));
int docker_swarm_object_list(const struct ctx *ctx, struct docker_client *docker,
                             enum docker_swarm_kind kind, const struct docker_filter *filters,
                             size_t filter_count, struct docker_swarm_object_list *ret,
                             struct err *err) __attribute__((warn_unused_result));
/* ERR_INVALID (HTTP 400) while a service uses it. */
int docker_swarm_object_remove(const struct ctx *ctx, struct docker_client *docker,
                               enum docker_swarm_kind kind, const char *id, struct err *err)
    __attribute__((warn_unused_result));
void docker_swarm_object_list_release(struct docker_swarm_object_list *list);
