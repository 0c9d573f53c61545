/* Shared by the files that make requests; not for others. */
#pragma once

#include "apis/http/http.h"
#include "apis/kube/cluster.h"
#include "apis/kube/credentials.h"
#include "apis/kube/object.h"

enum kube_repeat {
    KUBE_REPEAT_UNSENT, /* only when the server cannot have acted */
    KUBE_REPEAT_SAFE,   /* doing it twice does the same */
};

struct kube_request {
    const char *method;
    const char *path;         /* with the query */
    const char *content_type; /* of the body; NULL: application/json */
    json_t *body;             /* borrowed; NULL: none */
    enum kube_repeat repeat;
    int64_t settle_ms;
    size_t max_body;      /* of the answer; 0: KUBE_ANSWER_MAX */
    http_write_fn *write; /* takes the answer as it comes instead; then never repeated once begun */
    void *write_arg;
};

#define KUBE_ANSWER_MAX ((size_t)128 << 20)

/* One call with all that client.h says about it. *ret as in object.h. */
int kube_call(const struct ctx *ctx, struct kube_client *client, const struct kube_request *request,
              json_t **ret, struct err *err) __attribute__((warn_unused_result));
/* "/api/v1/namespaces/NS/pods/NAME/log" */
void kube_ref_path(struct buf *out, const struct kube_ref *ref);
/* Adds "?KEY=VALUE" or "&KEY=VALUE"; nothing for NULL. */
void kube_add_query(struct buf *path, const char *key, const char *value);

/* A connection of one's own, with the auth's client certificate. */
int kube_http_new(const struct kube_cluster *cluster, const struct kube_auth *auth,
                  int stall_timeout_s, struct http_client **ret, struct err *err)
    __attribute__((warn_unused_result));

/* Fills err, and *ret (may be NULL), from an answer that is not a success; returns -1. */
int kube_response_error(const struct kube_cluster *cluster, const struct http_response *response,
                        struct kube_status *ret, struct err *err);
/* The same from a Status object; `code` is used when it has none. */
int kube_status_error(const struct kube_cluster *cluster, const json_t *object, int code,
                      struct kube_status *ret, struct err *err);
/* As the server's Status may say: repeat whatever it was. */
bool kube_status_is_transient(const struct kube_status *status);

/* What discovery.c keeps in the client: {"apps/v1": APIResourceList}. */
json_t *kube_client_discovered(struct kube_client *client);
