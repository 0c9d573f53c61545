/* Which Kubernetes cluster, and as whom: kubeconfig files, or what a pod finds in its container.
 *
 *     struct kube_env env;
 *     kube_env_read(&env);
 *     if (kube_config_load(&env, &config, err) < 0 ||
 *         kube_config_address(config, "k8s://staging/build", &context, &ns, err) < 0 ||
 *         kube_config_select(config, context, ns, &cluster, err) < 0)
 *         return -1;
 *     kube_config_free(config);             // the cluster does not need it
 *     client = kube_client_new(cluster);
 *     kube_cluster_free(cluster);           // after its clients
 *
 * The files of KUBECONFIG are merged as kubectl does it: the first to set a value, or to have a
 * cluster, a user or a context of some name, wins. Relative paths are relative to the file they are
 * written in. Errors say the file, what is wrong with it, and what to do.
 *
 * Threads: a config belongs to one; a cluster may be used by clients of many.
 * Source: the kubeconfig format (v1, k8s.io/client-go/tools/clientcmd), "Accessing the Kubernetes
 * API from a Pod". */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* What the process was told; strings are borrowed and may be NULL. */
struct kube_env {
    const char *file;         /* the only kubeconfig file; NULL: see kubeconfig */
    const char *kubeconfig;   /* KUBECONFIG: paths with colons between; NULL or "": see home */
    const char *home;         /* HOME, for .kube/config in it */
    const char *service_host; /* KUBERNETES_SERVICE_HOST, and so on */
    const char *service_port;
    const char *service_account_dir; /* NULL: where pods have it */
};

/* From the environment of the process; `file` and `service_account_dir` become NULL. */
void kube_env_read(struct kube_env *ret);

struct kube_config;

/* Reads the files; without any, and in a pod, what the pod has. ERR_NOT_FOUND when there is
 * neither, ERR_INVALID for files that cannot be understood and when env->file does not exist. */
int kube_config_load(const struct kube_env *env, struct kube_config **ret, struct err *err)
    __attribute__((warn_unused_result));
void kube_config_free(struct kube_config *config);
static inline void kube_config_freep(struct kube_config **config)
{
    kube_config_free(*config);
}
#define CLEANUP_KUBE_CONFIG CLEANUP(kube_config_freep)

/* Takes "k8s://CONTEXT/NAMESPACE" apart; each part may be missing (NULL then). A context whose name
 * has slashes is recognised, or may be written with %2F. *ret_context and *ret_ns belong to the
 * caller. */
int kube_config_address(const struct kube_config *config, const char *address, char **ret_context,
                        char **ret_ns, struct err *err) __attribute__((warn_unused_result));

struct kube_cluster;

/* context NULL: the current one; ns NULL: the context's, else "default". Reads no more files than
 * it must to tell whether they are there. ERR_INVALID when there is no such context. */
int kube_config_select(const struct kube_config *config, const char *context, const char *ns,
                       struct kube_cluster **ret, struct err *err)
    __attribute__((warn_unused_result));
void kube_cluster_free(struct kube_cluster *cluster);
static inline void kube_cluster_freep(struct kube_cluster **cluster)
{
    kube_cluster_free(*cluster);
}
#define CLEANUP_KUBE_CLUSTER CLEANUP(kube_cluster_freep)

const char *kube_cluster_server(const struct kube_cluster *cluster); /* "https://…" */
const char *kube_cluster_namespace(const struct kube_cluster *cluster);
/* The context's name; "" in a pod. */
const char *kube_cluster_context(const struct kube_cluster *cluster);
