/* What the containers behind manifests have written. */
#pragma once

#include "apis/kube/client.h"
#include "k8s/manifest.h"

struct manifest_logs {
    int64_t tail_lines; /* of each container */
    /* A further piece of the log "POD.CONTAINER". */
    void (*write)(void *arg, const char *log, const char *data, size_t len);
    void *arg;
};

/* Gives the logs of the pods of all workloads that have been applied, also of the instance of a
 * container before its last restart. What cannot be read is left out. */
void manifest_logs_read(const struct ctx *ctx, struct kube_cluster *cluster,
                        const struct manifest_list *list, const struct manifest_logs *logs);
