/* Kubernetes API client: one function per call, no policy.
 *
 *     struct kube_client *client = kube_client_new(cluster);
 *     struct kube_ref pod = {.api_version = "v1", .resource = "pods", .ns = "build", .name = "x"};
 *     if (kube_get(ctx, client, &pod, &object, err) < 0) ...
 *     kube_client_free(client);
 *
 * What failed in passing is tried again, four times in all with growing delays or as the server's
 * Retry-After says, where that can do no harm: always when the server cannot have acted (no
 * connection, 429, an answer with Retry-After), else only for requests that may be repeated. An
 * answer of 401 makes the credentials be looked for anew, once.
 *
 * Threads: one client per thread; clients of one cluster share its credentials.
 * Errors: http.h's, and for an answer that is not a success the message of the server's Status,
 * with errnum = HTTP status: 400, 422 ERR_INVALID, 401, 403 ERR_DENIED, 404 ERR_NOT_FOUND, 409, 410
 * ERR_CONFLICT, 413 ERR_LIMIT, 405, 406, 415, 501 ERR_UNSUPPORTED, 408, 429, 5xx ERR_UNAVAILABLE,
 * else ERR_PROTOCOL. kube_client_status() has more. After ERR_LOST, ERR_TIMEOUT and ERR_CANCELLED
 * it is not known whether the server has acted. Source: Kubernetes API concepts and
 * conventions, 1.20 and newer. */
#pragma once

#include <jansson.h>

#include "apis/kube/config.h"
#include "base/ctx.h"

struct kube_client;

/* The cluster is borrowed. No I/O. */
struct kube_client *kube_client_new(struct kube_cluster *cluster)
    __attribute__((returns_nonnull, warn_unused_result));
void kube_client_free(struct kube_client *client);
static inline void kube_client_freep(struct kube_client **client)
{
    kube_client_free(*client);
}
#define CLEANUP_KUBE_CLIENT CLEANUP(kube_client_freep)
struct kube_cluster *kube_client_cluster(const struct kube_client *client);

/* Why the server refused. */
struct kube_status {
    int code;               /* HTTP status; 0: it did not */
    char reason[64];        /* "NotFound", "AlreadyExists", "Expired", …; "": not said */
    int64_t retry_after_ms; /* -1: not said */
};

/* Of the last call; belongs to the client. */
const struct kube_status *kube_client_status(const struct kube_client *client);

/* The Status by which the last call was refused, with all of its message and its causes; NULL when
 * it was not, or without one. Belongs to the client until its next call. */
const json_t *kube_client_refusal(const struct kube_client *client);

/* GET /version: {"major", "minor", "gitVersion", …}; new reference. */
int kube_version(const struct ctx *ctx, struct kube_client *client, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));

/* MAJOR * 1000 + MINOR of such an answer, 1029 for 1.29; 0: it cannot be read. The "+" of builds
 * that are not the project's own does not count; where "major" and "minor" are empty, as of builds
 * that were not told them, "gitVersion" has them: "v1.29.3-gke.1". */
int kube_version_number(const json_t *version);

/* Whether one may do something; any string may be NULL. */
struct kube_access {
    const char *ns;
    const char *verb;  /* "create" */
    const char *group; /* "batch"; NULL: the core */
    const char *resource;
    const char *subresource;
    const char *name;
};

/* Asks by a SelfSubjectAccessReview. */
int kube_access_check(const struct ctx *ctx, struct kube_client *client,
                      const struct kube_access *access, bool *ret_allowed, struct err *err)
    __attribute__((warn_unused_result));
