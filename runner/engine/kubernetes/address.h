/* Which cluster an engine's URL means. */
#pragma once

#include "apis/kube/config.h"
#include "engine/engine.h"

/* `url` is "kubernetes", the cluster that kubectl would use, or "k8s://CONTEXT/NAMESPACE", both as
 * far as `services` says nothing else; as a journal has it with "?kubeconfig=FILES" behind. *ret
 * goes to the caller (kube_cluster_free()), as does *ret_endpoint: the same as a URL that leads
 * there from anywhere, without the namespace. Errors: those of kube_config_load() and
 * kube_config_select(). */
int kubernetes_find_cluster(const struct engine_services *services, const char *url,
                            struct kube_cluster **ret, char **ret_endpoint, struct err *err)
    __attribute__((warn_unused_result));
