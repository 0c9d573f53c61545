/* What a swarm service is made of. Everything is borrowed; zero means the swarm's default, and what
 * is a pointer to a number tells "0" from "not given". docker_service_body() is the one place that
 * turns it into the API's JSON; what containers have too (mounts, healthcheck, ulimits) are the
 * types of create.h. Durations are nanoseconds, as the API has them, but for those of create.h.
 * Source: Docker Engine API, ServiceSpec, TaskSpec, EndpointSpec. */
#pragma once

#include "apis/docker/create.h"

/* A file in the containers of a service: of a secret or a config. */
struct docker_service_file {
    const char *id;     /* of the secret or config */
    const char *name;   /* its name, for display */
    const char *target; /* NULL: not mounted but used by the runtime (configs only) */
    const char *uid;    /* numbers as text */
    const char *gid;
    unsigned mode;
};

struct docker_service_port {
    const char *name;
    const char *protocol; /* "tcp", "udp", "sctp" */
    unsigned target;
    unsigned published; /* 0: any free one */
    const char *mode;   /* "ingress", "host" */
};

struct docker_service_network {
    const char *target; /* name or id */
    const char *const *aliases;
    const struct strmap *driver_options;
};

struct docker_service_generic {
    const char *kind;
    int64_t value;
};

struct docker_platform {
    const char *os;
    const char *architecture; /* "": any */
};

struct docker_update_config {
    int64_t parallelism; /* 0: all at once */
    int64_t delay_ns;
    const char *failure_action; /* "pause", "continue", "rollback" */
    int64_t monitor_ns;
    double max_failure_ratio;
    const char *order; /* "stop-first", "start-first" */
};

struct docker_service_restart {
    const char *condition; /* "none", "on-failure", "any" */
    const int64_t *delay_ns;
    const int64_t *max_attempts;
    const int64_t *window_ns;
};

struct docker_service_resources {
    int64_t nano_cpus;
    int64_t memory_bytes;
    int64_t pids;                                 /* of a limit only; API 1.41 */
    const struct docker_service_generic *generic; /* of a reservation only */
    size_t generic_count;
};

enum docker_service_mode {
    DOCKER_SERVICE_REPLICATED,
    DOCKER_SERVICE_GLOBAL,
    DOCKER_SERVICE_REPLICATED_JOB, /* API 1.41, as the next */
    DOCKER_SERVICE_GLOBAL_JOB,
};

/* Lists of strings are NULL-terminated; NULL: none. */
struct docker_service_spec {
    const char *name;
    const struct strmap *labels;

    /* ContainerSpec */
    const char *image;
    const char *const *command; /* instead of the image's entrypoint */
    const char *const *args;    /* instead of the image's command */
    const struct strmap *container_labels;
    const char *hostname;
    const char *const *hosts; /* "IP NAME" */
    const char *const *dns;
    const char *const *dns_search;
    const char *const *dns_options;
    const struct docker_healthcheck *healthcheck;
    const char *const *env; /* "KEY=VALUE", or "KEY": not set */
    const char *dir;
    const char *user;
    const char *const *groups;
    const struct docker_mount *mounts;
    size_t mount_count;
    const int64_t *stop_grace_ns;
    const char *stop_signal;
    bool tty;
    bool open_stdin;
    bool read_only;
    const bool *init;
    const char *isolation;
    const char *credential_config; /* id of a config; at most one of the three */
    const char *credential_file;
    const char *credential_registry;
    const struct strmap *sysctls;
    const char *const *cap_add;
    const char *const *cap_drop;
    const struct docker_ulimit *ulimits; /* API 1.41 */
    size_t ulimit_count;
    int oom_score_adj; /* API 1.46 */
    const struct docker_service_file *secrets;
    size_t secret_count;
    const struct docker_service_file *configs;
    size_t config_count;

    /* TaskSpec */
    const char *log_driver;
    const struct strmap *log_options;
    const struct docker_service_resources *limits;
    const struct docker_service_resources *reservations;
    const struct docker_service_restart *restart;
    const char *const *constraints;
    const char *const *spread; /* placement preferences: labels to spread over */
    int64_t max_replicas_per_node;
    const struct docker_platform *platforms; /* where the image can run */
    size_t platform_count;
    const struct docker_service_network *networks;
    size_t network_count;
    int64_t force_update;

    /* ServiceSpec */
    enum docker_service_mode mode;
    int64_t replicas; /* replicated: tasks; replicated job: completions; the API's 0 is none */
    int64_t max_concurrent; /* replicated job */
    const struct docker_update_config *update;
    const struct docker_update_config *rollback;
    const char *endpoint_mode; /* "vip", "dnsrr" */
    const struct docker_service_port *ports;
    size_t port_count;
};

/* The body of POST /services/create for API version 1.api_minor; new reference. NULL with
 * ERR_INVALID for text that is not UTF-8, ERR_UNSUPPORTED for jobs below API 1.41. */
json_t *docker_service_body(const struct docker_service_spec *spec, int api_minor, struct err *err)
    __attribute__((warn_unused_result));
