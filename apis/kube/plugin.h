/* Credential plugins of kubeconfigs. For the files of this folder.
 * Source: Kubernetes documentation, "client-go credential plugins". */
#pragma once

#include "apis/kube/cluster.h"
#include "base/ctx.h"

/* What a plugin gave; strings that it left out are NULL. */
struct kube_plugin_result {
    char *token;
    char *cert_pem;
    char *key_pem;
    int64_t expires_ms; /* wall clock; INT64_MAX: it did not say */
};

#define CLEANUP_KUBE_PLUGIN_RESULT CLEANUP(kube_plugin_result_release)
void kube_plugin_result_release(struct kube_plugin_result *result);

/* Runs the plugin. `origin` is the user's, for messages. */
int kube_plugin_run(const struct ctx *ctx, const struct kube_plugin *plugin, const char *origin,
                    struct kube_plugin_result *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Reads what a plugin printed. Pure. */
int kube_plugin_parse(const struct kube_plugin *plugin, const char *text, size_t len,
                      struct kube_plugin_result *ret, struct err *err)
    __attribute__((warn_unused_result));
