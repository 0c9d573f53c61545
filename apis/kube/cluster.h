/* A cluster and a user as kube_config_select() found them. For the files of this folder. */
#pragma once

#include <jansson.h>

#include "apis/http/http.h"
#include "apis/kube/config.h"
#include "base/vec.h"

struct kube_credentials;

/* A credential plugin, the `exec` of a user. */
struct kube_plugin {
    char *api_version; /* "client.authentication.k8s.io/v1" or …/v1beta1 */
    char *command;     /* looked up in PATH when it has no slash */
    struct strvec args;
    struct strvec env; /* NAME=VALUE, over the process's */
    char *install_hint;
    json_t *cluster_info; /* ExecCredential's spec.cluster; NULL: not to be told */
};

/* Who one is. Strings that are not set are NULL; data is kept before a file of the same kind. */
struct kube_user {
    char *origin; /* for messages: `user "NAME" of FILE` */
    char *token;
    char *token_file;
    char *username;
    char *password;
    char *cert_file;
    char *cert_pem;
    char *key_file;
    char *key_pem;
    struct kube_plugin *plugin;
    struct strvec impersonate; /* headers */
};

struct kube_cluster {
    char *context;
    char *ns;
    char *server;
    char *peer; /* for messages */
    char *ca_file;
    char *ca_pem;
    char *tls_server_name;
    char *proxy;
    bool insecure;
    struct kube_credentials *credentials;
};

void kube_user_free(struct kube_user *user);
static inline void kube_user_freep(struct kube_user **user)
{
    kube_user_free(*user);
}
#define CLEANUP_KUBE_USER CLEANUP(kube_user_freep)
