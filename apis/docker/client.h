/* Docker Engine API client: one function per call, no policy.
 *
 *     struct docker_client *docker;
 *     if (docker_client_new(&endpoint, 0, &docker, err) < 0)
 *         return -1;
 *     if (docker_container_create(ctx, docker, &create, &id, err) < 0) ...
 *     docker_client_free(docker);
 *
 * The API version is negotiated by the first call: the lower of the daemon's and 1.51, not below
 * 1.40. Fields that a version does not know are not sent.
 *
 * Threads: one client per thread; pass docker_client_api_minor() of the first to the others to
 * save their negotiation. A docker_client has one http_client: what http.h says about calls that
 * run side by side holds.
 * Errors: http.h's, and for an answer that is not a success the daemon's message with errnum = HTTP
 * status: 400 ERR_INVALID, 401/403 ERR_DENIED, 404 ERR_NOT_FOUND, 409 ERR_CONFLICT, 501
 * ERR_UNSUPPORTED, 503 ERR_UNAVAILABLE, else ERR_PROTOCOL.
 * Source: Docker Engine API documents v1.40 to v1.51. */
#pragma once

#include <jansson.h>

#include "apis/docker/endpoint.h"
#include "apis/http/http.h"
#include "base/ctx.h"
#include "base/err.h"

#define DOCKER_API_MINOR_MIN 40
#define DOCKER_API_MINOR_MAX 51

struct docker_client;

/* No I/O. api_minor: 41 for version 1.41; 0: negotiate with the first call. */
int docker_client_new(const struct docker_endpoint *endpoint, int api_minor,
                      struct docker_client **ret, struct err *err)
    __attribute__((warn_unused_result));
void docker_client_free(struct docker_client *docker);
static inline void docker_client_freep(struct docker_client **docker)
{
    docker_client_free(*docker);
}
#define CLEANUP_DOCKER_CLIENT CLEANUP(docker_client_freep)

/* GET /_ping and negotiation; may be called again to see whether the daemon lives. ERR_UNSUPPORTED
 * for a daemon below 1.40. */
int docker_client_ping(const struct ctx *ctx, struct docker_client *docker, struct err *err)
    __attribute__((warn_unused_result));
/* 41 for version 1.41; 0 before the negotiation. */
int docker_client_api_minor(const struct docker_client *docker);
/* Known after docker_client_ping() of this client. */
bool docker_client_is_podman(const struct docker_client *docker);
/* Milliseconds that the last refused call's Retry-After asked for; -1: none. */
int64_t docker_client_retry_after_ms(const struct docker_client *docker);
struct http_client *docker_client_http(struct docker_client *docker);
/* http_client_poll() of its HTTP client. */
int docker_client_poll(const struct ctx *ctx, struct docker_client *docker, struct pollfd *fds,
                       size_t count, int timeout_ms, struct err *err)
    __attribute__((warn_unused_result));

struct docker_info {
    char *name; /* of the host */
    char *server_version;
    char *operating_system;
    char *os_type;      /* "linux" */
    char *architecture; /* as uname says: "x86_64" */
    char *kernel_version;
    char *storage_driver;
    char *cgroup_driver;
    char *cgroup_version; /* "1" or "2" */
    char *root_dir;
    char *system_time; /* the daemon's clock, RFC 3339; "": it does not tell */
    char *swarm_state; /* "inactive", "active", … */
    char *swarm_node_id;
    bool swarm_manager;
    bool rootless;
    int64_t cpu_count;
    int64_t memory_bytes;
};

#define CLEANUP_DOCKER_INFO CLEANUP(docker_info_release)
/* GET /info */
int docker_system_info(const struct ctx *ctx, struct docker_client *docker, struct docker_info *ret,
                       struct err *err) __attribute__((warn_unused_result));
void docker_info_release(struct docker_info *info);

/* GET /version: {"Version", "ApiVersion", "Os", "Arch", "Components": …}; new reference. */
int docker_system_version(const struct ctx *ctx, struct docker_client *docker, json_t **ret,
                          struct err *err) __attribute__((warn_unused_result));

/* A condition of a list, e.g. {"label", "run=7"}; entries of one key are alternatives except for
 * labels, which must all hold. */
struct docker_filter {
    const char *key;
    const char *value;
};

/* --- for the other files of this folder, and for services, nodes, … of other folders --- */

/* One call. `path` has no version prefix and includes the query ("/containers/json?all=1").
 * `body` is borrowed, may be NULL. The answer's JSON goes to *ret (new reference; may be NULL when
 * the caller wants none); an empty answer gives json null. Non-2xx: -1, mapped as above; `ok_also`
 * is one more status that counts as success (304 for start and stop), 0: none. */
int docker_call(const struct ctx *ctx, struct docker_client *docker, const char *method,
                const char *path, json_t *body, int ok_also, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));
/* A POST that makes something. The end of ctx does not break it off: its answer is awaited for up
 * to DOCKER_SETTLE_MS more, since the daemon would go on. An answer that came so is a success; with
 * ERR_TIMEOUT, ERR_CANCELLED and ERR_LOST it is not known whether the thing is there. */
#define DOCKER_SETTLE_MS 30000
int docker_call_create(const struct ctx *ctx, struct docker_client *docker, const char *path,
                       json_t *body, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));
/* A call that runs beside others: begun, then ended, in any order; all of a client move on whenever
 * one is waited for. `body` is not needed any more when it has begun. registry_auth: the value of
 * X-Registry-Auth (docker_credentials_header()), NULL: none. */
struct docker_pending;
int docker_call_begin(const struct ctx *ctx, struct docker_client *docker, const char *method,
                      const char *path, json_t *body, const char *registry_auth,
                      struct docker_pending **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Waits for the answer and frees the call, also when it fails. What docker_call_create() says about
 * the end of ctx holds for a POST. */
int docker_call_end(const struct ctx *ctx, struct docker_pending *pending, json_t **ret,
                    struct err *err) __attribute__((warn_unused_result));
/* Breaks it off; NULL is fine. Before docker_client_free(). */
void docker_pending_free(struct docker_pending *pending);
static inline void docker_pending_freep(struct docker_pending **pending)
{
    docker_pending_free(*pending);
}
#define CLEANUP_DOCKER_PENDING CLEANUP(docker_pending_freep)
/* As docker_call, with full control of the request; request->path has no version prefix. */
int docker_call_raw(const struct ctx *ctx, struct docker_client *docker,
                    const struct http_request *request, struct http_response *response,
                    struct err *err) __attribute__((warn_unused_result));
/* Starts a call and waits until its answer's headers are in and say success. */
int docker_call_start(const struct ctx *ctx, struct docker_client *docker,
                      const struct http_request *request, struct http_call **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Fills err from a response that is not a success; returns -1. */
int docker_response_error(const struct http_response *response, struct err *err);
/* GET of a collection such as "/networks", of what fits all filters; begun: see
 * docker_call_begin(). */
int docker_call_list_begin(const struct ctx *ctx, struct docker_client *docker, const char *path,
                           const struct docker_filter *filters, size_t filter_count,
                           struct docker_pending **ret, struct err *err)
    __attribute__((warn_unused_result));
int docker_call_list(const struct ctx *ctx, struct docker_client *docker, const char *path,
                     const struct docker_filter *filters, size_t filter_count, json_t **ret,
                     struct err *err) __attribute__((warn_unused_result));
/* GET of one thing: "networks" and its name or id. */
int docker_call_inspect(const struct ctx *ctx, struct docker_client *docker, const char *collection,
                        const char *name, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Adds "?filters={…}" or "&filters={…}" (first tells which) to a path; nothing for no filters. */
void docker_add_filters(struct buf *path, bool first, const struct docker_filter *filters,
                        size_t count);
