/* Why an object is not ready, or does not go away, as the cluster tells it: conditions, events,
 * pods, the last lines of their logs. Makes requests; those that fail are left out. */
#pragma once

#include "apis/kube/client.h"
#include "k8s/manifest.h"

/* Adds lines, each after a newline. */
void explain_not_ready(const struct ctx *ctx, struct kube_client *client, const json_t *object,
                       struct buf *out);
void explain_not_gone(const json_t *object, struct buf *out);
