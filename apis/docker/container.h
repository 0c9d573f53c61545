/* Containers. `container` is always an id or a name; see client.h for lifecycle, threads, errors.
 *
 * A step with complete output and the right exit code:
 *     docker_container_create → docker_container_attach and docker_container_wait_start
 *     (DOCKER_WAIT_NEXT_EXIT) → docker_container_start → read the stream to its end (frames.h)
 *     → docker_wait_result → docker_container_remove.
 * When start fails, a wait for the next exit never ends: free it. */
#pragma once

#include "apis/docker/client.h"
#include "apis/docker/create.h"
#include "apis/docker/frames.h"
#include "apis/http/http_stream.h"
#include "base/vec.h"

/* See docker_call_create(). *ret_id is for the caller to free. ERR_NOT_FOUND: no such image.
 * ERR_CONFLICT: the name is taken. */
int docker_container_create(const struct ctx *ctx, struct docker_client *docker,
                            const struct docker_create *create, char **ret_id, struct err *err)
    __attribute__((warn_unused_result));
/* Starting one that runs is no error. */
int docker_container_start(const struct ctx *ctx, struct docker_client *docker,
                           const char *container, struct err *err)
    __attribute__((warn_unused_result));
/* signal: NULL: the container's stop signal; sent from API 1.42 on. Stopping one that does not run
 * is no error. Returns when it has stopped, up to timeout_s (< 0: its default) and a kill later. */
int docker_container_stop(const struct ctx *ctx, struct docker_client *docker,
                          const char *container, const char *signal, int timeout_s, struct err *err)
    __attribute__((warn_unused_result));
/* signal: NULL: SIGKILL. ERR_CONFLICT when it does not run. */
int docker_container_kill(const struct ctx *ctx, struct docker_client *docker,
                          const char *container, const char *signal, struct err *err)
    __attribute__((warn_unused_result));

#define DOCKER_REMOVE_FORCE   1u /* kill it if it runs */
#define DOCKER_REMOVE_VOLUMES 2u /* its anonymous volumes too */
/* ERR_NOT_FOUND when it is gone; ERR_CONFLICT when a removal is already under way. */
int docker_container_remove(const struct ctx *ctx, struct docker_client *docker,
                            const char *container, unsigned flags, struct err *err)
    __attribute__((warn_unused_result));
int docker_container_rename(const struct ctx *ctx, struct docker_client *docker,
                            const char *container, const char *name, struct err *err)
    __attribute__((warn_unused_result));
int docker_container_restart(const struct ctx *ctx, struct docker_client *docker,
                             const char *container, int timeout_s, struct err *err)
    __attribute__((warn_unused_result));

struct docker_mount_point {
    char *type;   /* "bind", "volume", "tmpfs" */
    char *name;   /* of a volume, else "" */
    char *source; /* on the daemon's host */
    char *destination;
    bool writable;
};

struct docker_endpoint_settings {
    char *network;
    char *network_id;
    char *ip_address;
    char *gateway;
};

struct docker_port_binding {
    unsigned container_port;
    char *protocol;
    char *host_ip;
    unsigned host_port;
};

struct docker_container {
    char *id;
    char *name;  /* without the leading slash */
    char *image; /* as named at creation */
    char *image_id;
    char *status; /* "created", "running", "paused", "restarting", "removing", "exited", "dead" */
    char *error;  /* why it could not start, else "" */
    char *health; /* "starting", "healthy", "unhealthy"; "" without a health check */
    char *health_output; /* of the last check, "" */
    char *started_at;    /* RFC 3339; "0001-01-01T00:00:00Z": never */
    char *finished_at;
    char *network_mode;
    char *log_driver;
    char *user;
    char *workdir;
    bool running;
    bool oom_killed;
    bool tty; /* its output is not framed */
    int64_t exit_code;
    int64_t pid; /* on the daemon's host; 0: not running */
    int64_t restart_count;
    struct strmap labels;
    struct docker_mount_point *mounts;
    size_t mount_count;
    struct docker_endpoint_settings *networks;
    size_t network_count;
    struct docker_port_binding *ports;
    size_t port_count;
    struct strvec exposed_ports; /* "80/tcp", published or not */
};

#define CLEANUP_DOCKER_CONTAINER CLEANUP(docker_container_release)
int docker_container_inspect(const struct ctx *ctx, struct docker_client *docker,
                             const char *container, struct docker_container *ret, struct err *err)
    __attribute__((warn_unused_result));
void docker_container_release(struct docker_container *container);
/* All of it, as the daemon tells it; new reference. */
int docker_container_inspect_json(const struct ctx *ctx, struct docker_client *docker,
                                  const char *container, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));

struct docker_container_entry {
    char *id;
    char *name;
    char *image;
    char *image_id;
    char *command;     /* as one line */
    char *state;       /* as docker_container.status */
    char *status;      /* for people: "Up 2 minutes (healthy)" */
    int64_t created_s; /* epoch */
    struct strmap labels;
    struct strmap networks;            /* name → id */
    struct strmap addresses;           /* → name of the network; of what runs */
    struct docker_port_binding *ports; /* host_port 0: not published */
    size_t port_count;
};

struct docker_container_list {
    struct docker_container_entry *items;
    size_t len;
};

#define CLEANUP_DOCKER_CONTAINER_LIST CLEANUP(docker_container_list_release)
/* The same in two parts, so that other calls can run beside it: see docker_call_begin(). */
int docker_container_list_begin(const struct ctx *ctx, struct docker_client *docker, bool all,
                                const struct docker_filter *filters, size_t filter_count,
                                struct docker_pending **ret, struct err *err)
    __attribute__((warn_unused_result));
int docker_container_list_end(const struct ctx *ctx, struct docker_pending *pending,
                              struct docker_container_list *ret, struct err *err)
    __attribute__((warn_unused_result));
/* all: also those that do not run. */
int docker_container_list(const struct ctx *ctx, struct docker_client *docker, bool all,
                          const struct docker_filter *filters, size_t filter_count,
                          struct docker_container_list *ret, struct err *err)
    __attribute__((warn_unused_result));
void docker_container_list_release(struct docker_container_list *list);

#define DOCKER_ATTACH_STDIN  1u
#define DOCKER_ATTACH_STDOUT 2u
#define DOCKER_ATTACH_STDERR 4u
#define DOCKER_ATTACH_OUTPUT (DOCKER_ATTACH_STDOUT | DOCKER_ATTACH_STDERR)
#define DOCKER_ATTACH_LOGS   8u /* what it wrote so far comes first */
/* What comes out of the stream is framed (frames.h) unless the container has a tty. Must be read
 * without pause: a container whose output nobody takes stands still. */
int docker_container_attach(const struct ctx *ctx, struct docker_client *docker,
                            const char *container, unsigned flags, struct http_stream **ret,
                            struct err *err) __attribute__((warn_unused_result));

struct docker_logs {
    unsigned flags; /* DOCKER_ATTACH_STDOUT, DOCKER_ATTACH_STDERR */
    bool follow;
    bool timestamps;
    int64_t since_s; /* epoch; 0: from the beginning */
    int64_t tail;    /* last lines; 0: all */
};
/* Feeds what the container has written to the decoder; with follow until it exits. */
int docker_container_logs(const struct ctx *ctx, struct docker_client *docker,
                          const char *container, const struct docker_logs *options,
                          struct docker_frames *frames, struct err *err)
    __attribute__((warn_unused_result));

/* The same, beside others: ends with the call; drive it with docker_client_poll(), then ask
 * docker_frames_end(). */
int docker_container_logs_start(const struct ctx *ctx, struct docker_client *docker,
                                const char *container, const struct docker_logs *options,
                                struct docker_frames *frames, struct http_call **ret,
                                struct err *err) __attribute__((warn_unused_result));

enum docker_wait_condition {
    DOCKER_WAIT_NOT_RUNNING,
    DOCKER_WAIT_NEXT_EXIT,
    DOCKER_WAIT_REMOVED,
};

struct docker_wait;

/* Returns when the daemon has taken the request, so that a start after it cannot be missed. Drive
 * it with docker_client_poll(). */
int docker_container_wait_start(const struct ctx *ctx, struct docker_client *docker,
                                const char *container, enum docker_wait_condition condition,
                                struct docker_wait **ret, struct err *err)
    __attribute__((warn_unused_result));
bool docker_wait_done(const struct docker_wait *wait);
/* Waits if it must. */
int docker_wait_result(const struct ctx *ctx, struct docker_wait *wait, int64_t *ret_exit_code,
                       struct err *err) __attribute__((warn_unused_result));
/* Abandons it if it is not done. Before docker_client_free(). */
void docker_wait_free(struct docker_wait *wait);
static inline void docker_wait_freep(struct docker_wait **wait)
{
    docker_wait_free(*wait);
}
#define CLEANUP_DOCKER_WAIT CLEANUP(docker_wait_freep)

/* Where a tar stream comes from: memory, or `read` (see http.h). */
struct docker_tar {
    const void *data;
    size_t len;
    http_read_fn *read;
    void *arg;
};
/* Unpacks a tar below the directory `path`, which must exist in the container. Ownership is kept as
 * in the tar. */
int docker_container_archive_put(const struct ctx *ctx, struct docker_client *docker,
                                 const char *container, const char *path,
                                 const struct docker_tar *tar, struct err *err)
    __attribute__((warn_unused_result));
/* Gives `path` as a tar whose entries begin with its last component. ERR_NOT_FOUND: no such path.
 */
int docker_container_archive_get(const struct ctx *ctx, struct docker_client *docker,
                                 const char *container, const char *path, http_write_fn *write,
                                 void *arg, struct err *err) __attribute__((warn_unused_result));

/* --- exec --- */

struct docker_exec_create {
    const char *const *cmd;
    const struct strmap *env; /* added to the container's */
    const char *workdir;
    const char *user;
    bool stdin_open;
    bool tty;
    bool privileged;
};
int docker_exec_create(const struct ctx *ctx, struct docker_client *docker, const char *container,
                       const struct docker_exec_create *options, char **ret_id, struct err *err)
    __attribute__((warn_unused_result));
/* The stream is framed unless created with tty. Closing it does not end the process. */
int docker_exec_start(const struct ctx *ctx, struct docker_client *docker, const char *exec_id,
                      bool tty, struct http_stream **ret, struct err *err)
    __attribute__((warn_unused_result));
int docker_exec_start_detached(const struct ctx *ctx, struct docker_client *docker,
                               const char *exec_id, struct err *err)
    __attribute__((warn_unused_result));

struct docker_exec {
    bool running;
    int64_t exit_code; /* -1 while it runs */
    int64_t pid;       /* on the daemon's host */
};
int docker_exec_inspect(const struct ctx *ctx, struct docker_client *docker, const char *exec_id,
                        struct docker_exec *ret, struct err *err)
    __attribute__((warn_unused_result));
/* All of the above: `input` (may be NULL) goes to its standard input, whose end is that of the
 * connection; what it writes goes to `output`. 0 when it has ended, with *ret_code. */
int docker_exec_run(const struct ctx *ctx, struct docker_client *docker, const char *container,
                    const struct docker_exec_create *options, const struct buf *input,
                    docker_output_fn *output, void *arg, int64_t *ret_code, struct err *err)
    __attribute__((warn_unused_result));
