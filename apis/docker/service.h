/* Swarm services and their tasks. See client.h for lifecycle, threads, errors; without a manager of
 * a swarm every call is ERR_UNAVAILABLE (HTTP 503). Source: Docker Engine API, /services and
 * /tasks. */
#pragma once

#include "apis/docker/client.h"
#include "apis/docker/container.h"
#include "apis/docker/service_spec.h"

struct docker_service_written {
    char *id;
    struct strvec warnings; /* of the daemon */
};

#define CLEANUP_DOCKER_SERVICE_WRITTEN CLEANUP(docker_service_written_release)
void docker_service_written_release(struct docker_service_written *written);

/* Each begins a call (see docker_call_begin()), which docker_service_end() ends. body: what
 * docker_service_body() makes; registry_auth is what nodes pull the image with. */
int docker_service_create_begin(const struct ctx *ctx, struct docker_client *docker, json_t *body,
                                const char *registry_auth, struct docker_pending **ret,
                                struct err *err) __attribute__((warn_unused_result));
/* version: that of the service which the body is meant to change; another one is ERR_PROTOCOL
 * "update out of sequence". Without registry_auth the credentials of the present specification
 * stay. */
int docker_service_update_begin(const struct ctx *ctx, struct docker_client *docker, const char *id,
                                int64_t version, json_t *body, const char *registry_auth,
                                struct docker_pending **ret, struct err *err)
    __attribute__((warn_unused_result));
/* id is "" after an update. */
int docker_service_end(const struct ctx *ctx, struct docker_pending *pending,
                       struct docker_service_written *ret, struct err *err)
    __attribute__((warn_unused_result));

struct docker_service {
    char *id;
    char *name;
    int64_t version;
    struct strmap labels;
    json_t *spec;          /* ServiceSpec as the swarm has it */
    json_t *previous_spec; /* NULL: none */
    json_t *ports;         /* Endpoint.Ports: as the swarm publishes them; NULL: not at all yet */
    char *update_state; /* "updating", "paused", "completed", "rollback_started", …; "": none */
    char *update_message;
    char *update_started; /* RFC 3339 */
    int64_t job_iteration;
    bool tty; /* of its containers: their logs are one stream without frames */
};

struct docker_service_list {
    struct docker_service *items;
    size_t len;
};

#define CLEANUP_DOCKER_SERVICE      CLEANUP(docker_service_release)
#define CLEANUP_DOCKER_SERVICE_LIST CLEANUP(docker_service_list_release)
/* By name or id. */
int docker_service_inspect(const struct ctx *ctx, struct docker_client *docker, const char *service,
                           struct docker_service *ret, struct err *err)
    __attribute__((warn_unused_result));
int docker_service_list(const struct ctx *ctx, struct docker_client *docker,
                        const struct docker_filter *filters, size_t filter_count,
                        struct docker_service_list *ret, struct err *err)
    __attribute__((warn_unused_result));
void docker_service_release(struct docker_service *service);
void docker_service_list_release(struct docker_service_list *list);
/* Its tasks end some time later. */
int docker_service_remove(const struct ctx *ctx, struct docker_client *docker, const char *service,
                          struct err *err) __attribute__((warn_unused_result));
/* The output of all tasks, mixed; o->follow as in docker_container_logs(). A service with a
 * terminal gives frames that are raw. */
int docker_service_logs(const struct ctx *ctx, struct docker_client *docker, const char *service,
                        const struct docker_logs *o, struct docker_frames *frames, struct err *err)
    __attribute__((warn_unused_result));
int docker_task_logs(const struct ctx *ctx, struct docker_client *docker, const char *task,
                     const struct docker_logs *o, struct docker_frames *frames, struct err *err)
    __attribute__((warn_unused_result));

/* In the order of their lives. Source: TaskState. */
enum docker_task_state {
    DOCKER_TASK_UNKNOWN,
    DOCKER_TASK_NEW,
    DOCKER_TASK_ALLOCATED,
    DOCKER_TASK_PENDING,
    DOCKER_TASK_ASSIGNED,
    DOCKER_TASK_ACCEPTED,
    DOCKER_TASK_PREPARING,
    DOCKER_TASK_READY,
    DOCKER_TASK_STARTING,
    DOCKER_TASK_RUNNING,
    DOCKER_TASK_COMPLETE,
    DOCKER_TASK_SHUTDOWN,
    DOCKER_TASK_FAILED,
    DOCKER_TASK_REJECTED,
    DOCKER_TASK_REMOVE,
    DOCKER_TASK_ORPHANED,
};
const char *docker_task_state_name(enum docker_task_state state);

struct docker_task {
    char *id;
    char *service_id;
    char *node_id; /* "": none yet */
    char *container_id;
    char *image;
    char *message; /* "started", "preparing", … */
    char *error;   /* "": none */
    char *created; /* RFC 3339, as the next */
    char *changed; /* when it got its state */
    int64_t slot;  /* 0 for global services */
    int64_t exit_code;
    int64_t job_iteration;
    enum docker_task_state state;
    enum docker_task_state desired_state;
    bool tty;
    json_t *spec; /* TaskSpec */
};

struct docker_task_list {
    struct docker_task *items;
    size_t len;
};

#define CLEANUP_DOCKER_TASK_LIST CLEANUP(docker_task_list_release)
/* Those that have ended, too, as long as the swarm keeps them. Filters: "service", "label" (of the
 * service), "node", "desired-state", … */
int docker_task_list(const struct ctx *ctx, struct docker_client *docker,
                     const struct docker_filter *filters, size_t filter_count,
                     struct docker_task_list *ret, struct err *err)
    __attribute__((warn_unused_result));
void docker_task_list_release(struct docker_task_list *list);
