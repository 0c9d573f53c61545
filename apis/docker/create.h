/* What a container is created from. Everything is borrowed; zero means the daemon's default.
 * docker_create_body() is the one place that turns it into the API's JSON.
 * Source: Docker Engine API, POST /containers/create. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"

enum docker_mount_type { DOCKER_MOUNT_BIND, DOCKER_MOUNT_VOLUME, DOCKER_MOUNT_TMPFS };

/* Unlike an entry of binds, a bind mount whose source is missing is an error. */
struct docker_mount {
    enum docker_mount_type type;
    const char *source; /* path, or volume name (NULL: anonymous) */
    const char *target;
    bool read_only;
    const char *propagation; /* bind: "rprivate", …; NULL: default */
    bool create_mountpoint;  /* bind: make a missing source (API 1.43) */
    bool nonrecursive;       /* bind: without what is mounted below the source (API 1.40) */
    /* bind that is read-only: what is mounted below the source stays as it is, or must be
     * read-only, too (API 1.44) */
    bool read_only_nonrecursive;
    bool read_only_recursive;
    bool volume_nocopy;
    const char *volume_subpath;         /* API 1.45 */
    const struct strmap *volume_labels; /* of a volume made by this mount, as the next two */
    const char *volume_driver;
    const struct strmap *volume_options;
    const char *consistency; /* "cached", …: for Docker Desktop; NULL: none */
    int64_t tmpfs_size_bytes;
    unsigned tmpfs_mode; /* e.g. 01777 */
};

struct docker_port {
    unsigned container_port;
    const char *protocol;   /* NULL: "tcp" */
    const char *host_ip;    /* NULL: all */
    unsigned host_port;     /* 0: any free one */
    unsigned host_port_end; /* > host_port: the first free one of the range */
    bool expose_only;       /* not published */
};

struct docker_healthcheck {
    const char *const *test; /* {"CMD", …}, {"CMD-SHELL", "…"}, {"NONE"} */
    int64_t interval_ms;
    int64_t timeout_ms;
    int64_t start_period_ms;
    int64_t start_interval_ms; /* API 1.44 */
    int retries;
};

struct docker_network_attach {
    const char *network; /* name or id */
    const char *const *aliases;
    const char *const *links; /* "container:alias" */
    const char *ipv4_address;
    const char *ipv6_address;
    const char *const *link_local_ips;
    const char *mac_address; /* API 1.44 */
    const struct strmap *driver_options;
    int gateway_priority; /* API 1.48 */
};

struct docker_ulimit {
    const char *name;
    int64_t soft;
    int64_t hard;
};

struct docker_device {
    const char *host_path;
    const char *container_path;
    const char *permissions; /* NULL: "rwm" */
};

struct docker_blkio_rate {
    const char *path; /* of the device */
    int64_t rate;     /* bytes or operations a second; the weight of a weight_device */
};

/* Limits of block I/O; a list ends with an entry without path, NULL: none. */
struct docker_blkio {
    int64_t weight;
    const struct docker_blkio_rate *weight_devices;
    const struct docker_blkio_rate *read_bps;
    const struct docker_blkio_rate *write_bps;
    const struct docker_blkio_rate *read_iops;
    const struct docker_blkio_rate *write_iops;
};

/* Lists of strings are NULL-terminated; NULL: none. */
struct docker_create {
    const char *name;     /* NULL: the daemon invents one */
    const char *platform; /* "linux/arm64"; API 1.41 */
    const char *image;
    const char *const *cmd;
    const char *const *entrypoint;
    bool clear_entrypoint; /* drop the image's; for an entrypoint that is NULL or empty */
    const struct strmap *env;
    const char *const *env_unset; /* variables of the image that the container shall not have */
    const struct strmap *labels;
    const struct strmap *annotations; /* API 1.43 */
    const char *workdir;
    const char *user;
    const char *hostname;
    const char *domainname;
    const char *stop_signal;
    const int64_t *stop_timeout_s; /* NULL: default */
    bool tty;
    bool open_stdin;
    bool stdin_once; /* close stdin when the first attach ends */
    bool attach_stdin;
    bool attach_output; /* stdout and stderr */
    const struct docker_port *ports;
    size_t port_count;
    const struct docker_healthcheck *healthcheck;

    const bool *init; /* NULL: as the daemon is set up */
    bool auto_remove;
    const char *const *binds; /* "SOURCE:TARGET[:OPTIONS]" */
    const struct docker_mount *mounts;
    size_t mount_count;
    const struct strmap *tmpfs; /* path → mount options */
    /* Paths of volumes without a name, filled with what the image has there, removed with the
     * container. */
    const char *const *anonymous_volumes;
    const char *const *volumes_from; /* "container[:ro]" */
    const char *network_mode;        /* "none", "host", "container:ID", a network's name; NULL:
                                        the first of networks, or the daemon's default */
    /* Below API 1.44 only the first is sent; connect the others after creating. */
    const struct docker_network_attach *networks;
    size_t network_count;
    const char *mac_address;  /* below API 1.44; from then on that of an attachment counts */
    const char *const *links; /* "container:alias", in the default bridge network */
    const char *const *dns;
    const char *const *dns_search;
    const char *const *dns_options;
    const char *const *extra_hosts; /* "name:ip" */
    const char *pid_mode;
    const char *ipc_mode;
    const char *uts_mode;
    const char *userns_mode;
    const char *cgroupns_mode; /* API 1.41 */
    const char *cgroup_parent;
    const char *const *group_add;
    bool privileged;
    bool read_only_rootfs;
    const char *const *cap_add;
    const char *const *cap_drop;
    const char *const *security_opt; /* "no-new-privileges", "seccomp=JSON" */
    bool system_paths_unconfined;    /* nothing of /proc and /sys is hidden or read-only */
    const struct strmap *sysctls;
    const struct docker_ulimit *ulimits;
    size_t ulimit_count;
    const struct docker_device *devices;
    size_t device_count;
    const char *const *device_cgroup_rules; /* "c 1:3 mr" */
    const char *runtime;
    const char *isolation;
    const char *restart_policy; /* "no", "always", "unless-stopped", "on-failure" */
    int restart_max_retries;
    const char *log_driver;
    const struct strmap *log_options;
    int64_t cpus_milli; /* thousandths of a CPU */
    int64_t cpu_shares;
    int64_t cpu_period_us;
    int64_t cpu_quota_us;
    int64_t cpu_realtime_period_us;
    int64_t cpu_realtime_runtime_us;
    int64_t cpu_count;   /* Windows */
    int64_t cpu_percent; /* Windows */
    const char *cpuset_cpus;
    int64_t memory_bytes;
    int64_t memory_swap_bytes; /* memory plus swap; -1: unlimited */
    int64_t memory_reservation_bytes;
    const int64_t *memory_swappiness; /* 0 to 100; NULL: default */
    bool oom_kill_disable;
    struct docker_blkio blkio;
    int64_t pids_limit;
    int64_t shm_bytes;
    const struct strmap *storage_opt;
    int oom_score_adj;

    /* A "HostConfig" to begin with, as docker_container_inspect_json() tells it of another; what is
     * set above counts instead of its members. NULL: none. */
    const json_t *host_config;
};

/* The body of POST /containers/create for API version 1.api_minor; new reference. NULL with
 * ERR_INVALID for text that is not UTF-8, which JSON cannot carry. */
json_t *docker_create_body(const struct docker_create *create, int api_minor, struct err *err)
    __attribute__((warn_unused_result));
/* One member of EndpointsConfig. */
json_t *docker_create_endpoint(const struct docker_network_attach *attach, int api_minor,
                               struct err *err) __attribute__((warn_unused_result));
