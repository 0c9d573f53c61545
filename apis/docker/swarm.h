/* Swarm mode and its nodes. See client.h for lifecycle, threads, errors; docker_system_info() tells
 * whether a daemon is part of a swarm and manages it.
 * Source: Docker Engine API, /swarm and /nodes. */
#pragma once

#include "apis/docker/client.h"

struct docker_swarm_init {
    const char *listen_address;    /* "127.0.0.1:2377"; NULL: all addresses */
    const char *advertise_address; /* NULL: the one that the daemon finds */
    bool force_new_cluster;
};
/* Makes a swarm of one node, a manager. ERR_UNAVAILABLE (HTTP 503): it is part of one already.
 * *ret_node_id (may be NULL) is for the caller to free. */
int docker_swarm_init(const struct ctx *ctx, struct docker_client *docker,
                      const struct docker_swarm_init *options, char **ret_node_id, struct err *err)
    __attribute__((warn_unused_result));
/* force: also the last manager, which ends the swarm with all that is in it. */
int docker_swarm_leave(const struct ctx *ctx, struct docker_client *docker, bool force,
                       struct err *err) __attribute__((warn_unused_result));

/* 0, or -1 if the daemon is no manager of a swarm: ERR_UNAVAILABLE with what to do about it. */
int docker_swarm_check_manager(const struct ctx *ctx, struct docker_client *docker, struct err *err)
    __attribute__((warn_unused_result));

struct docker_node {
    char *id;
    char *hostname;
    char *role;         /* "manager", "worker" */
    char *availability; /* "active", "pause", "drain" */
    char *state;        /* "ready", "down", "disconnected", "unknown" */
    char *message;
    char *address;
    char *os;
    char *architecture;
    struct strmap labels;
    int64_t nano_cpus;
    int64_t memory_bytes;
    bool leader;
};

struct docker_node_list {
    struct docker_node *items;
    size_t len;
};

#define CLEANUP_DOCKER_NODE_LIST CLEANUP(docker_node_list_release)
int docker_node_list(const struct ctx *ctx, struct docker_client *docker,
                     const struct docker_filter *filters, size_t filter_count,
                     struct docker_node_list *ret, struct err *err)
    __attribute__((warn_unused_result));
void docker_node_list_release(struct docker_node_list *list);
