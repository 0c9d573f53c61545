/* What a user shows with each request: kept, and renewed when it has gone old or was refused.
 *
 * Token files are read again at most once a minute, because clusters rotate them; what a credential
 * plugin gave is used until it expires, and asked for by one thread at a time for all.
 *
 *     CLEANUP_KUBE_AUTH struct kube_auth auth = {0};
 *     if (kube_credentials_get(ctx, credentials, &auth, err) < 0) ...
 *     // … answered with 401:
 *     if (kube_credentials_renew(ctx, credentials, auth.generation, &changed, err) == 0 && changed)
 *         ...                               // get them and ask again
 *
 * Threads: any. For the files of this folder. */
#pragma once

#include "apis/kube/cluster.h"
#include "base/ctx.h"

struct kube_auth {
    struct strvec headers; /* Authorization and impersonation */
    struct http_tls tls;   /* the client certificate and key; strings belong to the auth */
    unsigned generation;   /* another one: something has changed */
    unsigned cert_generation;
};

#define CLEANUP_KUBE_AUTH CLEANUP(kube_auth_release)
void kube_auth_release(struct kube_auth *auth);

/* Takes the user over, also on failure. */
int kube_credentials_new(struct kube_user *user, struct kube_credentials **ret, struct err *err)
    __attribute__((warn_unused_result));
void kube_credentials_free(struct kube_credentials *credentials);
/* For messages: whose they are. */
const char *kube_credentials_origin(const struct kube_credentials *credentials);
/* *ret must be empty. ERR_DENIED when a plugin or a file does not give any. */
int kube_credentials_get(const struct ctx *ctx, struct kube_credentials *credentials,
                         struct kube_auth *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Those of `generation` were refused: looks for others, unless another thread has done so. */
int kube_credentials_renew(const struct ctx *ctx, struct kube_credentials *credentials,
                           unsigned generation, bool *ret_changed, struct err *err)
    __attribute__((warn_unused_result));
