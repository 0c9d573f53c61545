/* Networks. See client.h for lifecycle, threads, errors. */
#pragma once

#include "apis/docker/client.h"
#include "apis/docker/create.h"

struct docker_ipam_config {
    const char *subnet;
    const char *gateway; /* NULL: none, as the next */
    const char *ip_range;
    const struct strmap *aux_addresses; /* host name → address */
};

struct docker_network_create {
    const char *name;
    const char *driver; /* NULL: "bridge" */
    const struct strmap *options;
    const struct strmap *labels;
    bool internal;
    bool attachable;
    bool enable_ipv6;
    bool disable_ipv4; /* API 1.48 */
    const char *scope; /* NULL, "swarm" */
    const char *ipam_driver;
    const struct strmap *ipam_options;
    const struct docker_ipam_config *ipam;
    size_t ipam_count;
};
/* Two networks of one name are refused (ERR_CONFLICT). */
int docker_network_create(const struct ctx *ctx, struct docker_client *docker,
                          const struct docker_network_create *options, char **ret_id,
                          struct err *err) __attribute__((warn_unused_result));

struct docker_network {
    char *id;
    char *name;
    char *driver;
    char *scope;
    char *created; /* RFC 3339 */
    bool internal;
    struct strmap labels;
    struct strmap containers; /* id → name of those connected; empty in lists */
};

struct docker_network_list {
    struct docker_network *items;
    size_t len;
};

#define CLEANUP_DOCKER_NETWORK      CLEANUP(docker_network_release)
#define CLEANUP_DOCKER_NETWORK_LIST CLEANUP(docker_network_list_release)
int docker_network_inspect(const struct ctx *ctx, struct docker_client *docker, const char *network,
                           struct docker_network *ret, struct err *err)
    __attribute__((warn_unused_result));
/* In two parts, so that other calls can run beside it: see docker_call_begin(). */
int docker_network_list_begin(const struct ctx *ctx, struct docker_client *docker,
                              const struct docker_filter *filters, size_t filter_count,
                              struct docker_pending **ret, struct err *err)
    __attribute__((warn_unused_result));
int docker_network_list_end(const struct ctx *ctx, struct docker_pending *pending,
                            struct docker_network_list *ret, struct err *err)
    __attribute__((warn_unused_result));
int docker_network_list(const struct ctx *ctx, struct docker_client *docker,
                        const struct docker_filter *filters, size_t filter_count,
                        struct docker_network_list *ret, struct err *err)
    __attribute__((warn_unused_result));
/* What the network can be made from again, with docker_network_restore(); new reference. */
int docker_network_describe(const struct ctx *ctx, struct docker_client *docker,
                            const char *network, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Its id is another one then. ERR_CONFLICT: there is one of its name. */
int docker_network_restore(const struct ctx *ctx, struct docker_client *docker,
                           const json_t *description, struct err *err)
    __attribute__((warn_unused_result));
void docker_network_release(struct docker_network *network);
void docker_network_list_release(struct docker_network_list *list);
int docker_network_remove(const struct ctx *ctx, struct docker_client *docker, const char *network,
                          struct err *err) __attribute__((warn_unused_result));
/* attach->network is the network to connect to. */
int docker_network_connect(const struct ctx *ctx, struct docker_client *docker,
                           const char *container, const struct docker_network_attach *attach,
                           struct err *err) __attribute__((warn_unused_result));
int docker_network_disconnect(const struct ctx *ctx, struct docker_client *docker,
                              const char *network, const char *container, bool force,
                              struct err *err) __attribute__((warn_unused_result));
