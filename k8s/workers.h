/* Requests about many objects, made side by side. Each worker has a client, and so a connection,
 * which it keeps from one call of workers_run() to the next.
 *
 *     struct workers *workers = workers_new(cluster);
 *     failed = workers_run(ctx, workers, items, count, apply_one, &how);
 *     workers_free(workers);
 *
 * Threads: they belong to one. */
#pragma once

#include "apis/kube/client.h"
#include "k8s/manifest.h"

struct workers;

struct workers *workers_new(struct kube_cluster *cluster)
    __attribute__((returns_nonnull, warn_unused_result));
void workers_free(struct workers *workers);
static inline void workers_freep(struct workers **workers)
{
    workers_free(*workers);
}
#define CLEANUP_WORKERS CLEANUP(workers_freep)

/* For the thread that has them, between runs. */
struct kube_client *workers_client(struct workers *workers);

/* Deals with one object; 0, or -1 when it has failed, which it has told. */
typedef int workers_fn(const struct ctx *ctx, struct kube_client *client, struct manifest *manifest,
                       void *arg);

/* Calls `fn` once for each, from several threads. Returns how many failed; once the context has
 * ended, those that were not begun are not, and count as failed. */
size_t workers_run(const struct ctx *ctx, struct workers *workers, struct manifest *const *items,
                   size_t count, workers_fn *fn, void *arg);
