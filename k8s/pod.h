/* The pod of a job, as the JSON that creates it. Pure: no I/O, nothing remembered.
 *
 *     pod = pod_build(&spec, err)          a new reference
 *     kube_create(ctx, client, &pods, pod, ...)
 *
 * A pod holds containers of two sorts. In those for steps the helper idles, and runs what it is
 * asked to (helper relay, see runner/helper/helper.h); those of services run the program of their
 * image. All share one network namespace, hence one localhost, and the workspace.
 *
 * The first end when the lease of their relay does. Services do when the kubelet finds, by their
 * liveness probe, that nobody has renewed the lease in POD_LEASE_FILE (helper renew), or, if they
 * are native sidecars, with the others.
 *
 * Source: Kubernetes API reference, Pod v1 core (1.20 and newer); pipeline file reference, key
 * `kubernetes`. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"

/* Where containers find what the runner brings: the helper, and the directories of its relays, one
 * below POD_RELAY_DIR for each container, by its name. */
#define POD_TOOLS_DIR  "/.runner/tools"
#define POD_HELPER     POD_TOOLS_DIR "/helper"
#define POD_RELAY_DIR  "/.runner/relay"
#define POD_LEASE_DIR  "/.runner/lease" /* of containers of services; see pod_is_leased() */
#define POD_LEASE_FILE POD_LEASE_DIR "/until"
#define POD_HELPER_KEY "helper" /* of the ConfigMap's binaryData, with "-ARCHITECTURE" */

enum pod_pull { POD_PULL_IF_NOT_PRESENT, POD_PULL_ALWAYS, POD_PULL_NEVER };

/* 0: nothing is said. */
struct pod_resources {
    int64_t cpus_milli;
    int64_t memory_bytes;
    int64_t disk_bytes; /* ephemeral storage */
    int64_t shm_bytes;  /* size of /dev/shm; counts as memory */
};

struct pod_security {
    bool privileged;
    bool read_only; /* root file system */
    bool no_new_privileges;
    bool seccomp_unconfined;
    const char *const *cap_add; /* NULL-terminated; NULL: none */
    const char *const *cap_drop;
};

struct pod_container {
    const char *name; /* a DNS label, unique in the pod */
    const char *image;
    enum pod_pull pull;
    bool service; /* else for steps */
    /* Of services. NULL: the image's. */
    const char *const *command;
    const char *const *args;
    const char *workdir;
    const char *user; /* UID[:GID]; NULL: the image's */
    bool tty;
    const struct strmap *environment; /* its names; the values are in the Secret `secret`, under
                                       * "CONTAINER.NAME" */
    struct pod_resources resources;   /* limits, and what is requested unless `kubernetes` says */
    struct pod_security security;
    /* `kubernetes` of the step or service: resources, security_context, volumes; or NULL. */
    const json_t *kubernetes;
};

struct pod_host_alias {
    const char *ip;
    const char *const *names; /* NULL-terminated */
};

struct pod_spec {
    const char *name;
    const char *ns;
    const struct strmap *labels;
    const struct strmap *annotations;
    const json_t *owner_reference;   /* borrowed; NULL: none */
    const char *architecture;        /* of the helper: "amd64", "arm64" */
    const char *tools;               /* name of the ConfigMap with the helper */
    const char *secret;              /* name of the Secret for environments; NULL: none */
    const char *const *pull_secrets; /* beside those of `kubernetes`; NULL-terminated or NULL */
    const char *workspace;           /* absolute mount point; NULL: none */
    const char *workspace_claim;     /* name of a claim of pod_claim_spec(); or NULL */
    int64_t lease_ms;                /* of relays and services, before somebody has come */
    int64_t active_deadline_s;       /* 0: none */
    int64_t grace_s;                 /* from TERM to KILL when the pod is deleted */
    bool overlapping;                /* containers for steps are used at the same time */
    bool native_sidecars;            /* services start before the steps' containers (1.29) */
    const struct pod_container *containers;
    size_t container_count;
    const struct pod_host_alias *host_aliases;
    size_t host_alias_count;
    /* `kubernetes` of the job, or NULL: namespace, which is `ns` above, service_account,
     * node_selector, tolerations, affinity, runtime_class, image_pull_secrets, resources, labels,
     * annotations, security_context, host_aliases, dns, volumes, priority_class, workspace,
     * pod_patch. */
    const json_t *kubernetes;
};

/* Whether the container has a lease in POD_LEASE_FILE, which is one for all of the pod. */
bool pod_is_leased(const struct pod_spec *spec, const struct pod_container *container);

/* The spec of the PersistentVolumeClaim that `workspace` {size, storage_class} of a job's
 * `kubernetes` asks for, which may be NULL: a new reference. To be created before the pod, as
 * workspace_claim. *ret is NULL when none is asked for. */
int pod_claim_spec(const json_t *kubernetes, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));

/* NULL with ERR_INVALID for what `kubernetes` says wrong, or a patch that cannot be applied: the
 * message names the key. Labels and names that the pod has from the runner cannot be changed by
 * `kubernetes`, nor by `pod_patch`: a strategic merge patch if it is a map, a JSON Patch if it is a
 * list (patch.h).
 *
 * Volumes of the job are mounted in every container, unless it has one of its own at that path;
 * what is named twice is one volume, but each empty_dir is one of its own.
 *
 * resources = {limits, requests}, as in a container of Kubernetes. Of limits, the container's own
 * `kubernetes` counts, else its struct pod_resources, else the job's `kubernetes`. Of requests, the
 * container's own counts, else the job's up to the limit, else the limit. The job's are for steps
 * only. Requests of containers for steps that never overlap are not added up: of each resource, the
 * one that wants most requests it and the others request 0. Devices and huge pages belong to one
 * container, and stay. */
json_t *pod_build(const struct pod_spec *spec, struct err *err) __attribute__((warn_unused_result));
