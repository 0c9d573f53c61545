/* Waiting for objects: until they are ready, or until they are gone.
 *
 * Those that are so already cost nothing. For the others there is one watch for each kind and
 * namespace. The first that fails ends the waiting, and what has failed, or has not come so far in
 * time, is explained: what is missing, events, pods with what their containers wait for, last lines
 * of logs.
 *
 * A claim whose class binds when a pod comes is ready as it is. */
#pragma once

#include "apis/kube/client.h"
#include "k8s/sink.h"

enum follow_goal { FOLLOW_READY, FOLLOW_GONE };

/* Looks at `live` of the items first, and keeps it up to date; items without one are not waited
 * for. FOLLOW_GONE: the object with that UID is. timeout_ms 0: as long as the context lasts.
 * Errors: ERR_TIMEOUT, ERR_CONFLICT when something failed; each object's go to the report. */
int manifest_follow(const struct ctx *ctx, struct kube_cluster *cluster,
                    struct manifest *const *items, size_t count, enum follow_goal goal,
                    int64_t timeout_ms, struct manifest_report *report, struct err *err)
    __attribute__((warn_unused_result));
