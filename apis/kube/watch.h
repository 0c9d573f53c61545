/* Following a collection: what is there, then what changes.
 *
 *     struct kube_watch *watch = kube_watch_new(cluster, &ref, &selector);
 *     for (;;) {
 *         int got = kube_watch_next(ctx, watch, -1, &event, err);
 *         if (got < 0)
 *             break;
 *         ...                              // event.object lives until the next call
 *     }
 *     kube_watch_free(watch);
 *
 * First comes KUBE_WATCH_ADDED for each object there is, then KUBE_WATCH_SYNCED, then the changes.
 * A connection that breaks is made again where it was, and when the server no longer remembers that
 * (410), a new list is held against what was given before: each change is given once, though
 * several changes of one object may come as one. KUBE_WATCH_SYNCED comes after each list.
 *
 * Threads: one at a time; a watch has connections of its own. The cluster is borrowed.
 * Source: Kubernetes API concepts, "Efficient detection of changes". */
#pragma once

#include "apis/kube/object.h"

enum kube_watch_type {
    KUBE_WATCH_ADDED,
    KUBE_WATCH_MODIFIED,
    KUBE_WATCH_DELETED,
    KUBE_WATCH_SYNCED, /* has no object */
};

struct kube_watch_event {
    enum kube_watch_type type;
    const json_t *object;
    /* Of KUBE_WATCH_DELETED: nobody saw it go, and of the object only metadata's name, namespace
     * and uid are known. */
    bool unseen;
};

struct kube_watch;

/* No I/O; strings are copied. ref->name must be NULL: one object is selected by its field. */
struct kube_watch *kube_watch_new(struct kube_cluster *cluster, const struct kube_ref *ref,
                                  const struct kube_selector *selector)
    __attribute__((returns_nonnull, warn_unused_result));
void kube_watch_free(struct kube_watch *watch);
static inline void kube_watch_freep(struct kube_watch **watch)
{
    kube_watch_free(*watch);
}
#define CLEANUP_KUBE_WATCH CLEANUP(kube_watch_freep)

/* 1 with an event, 0 when there was none for timeout_ms (< 0: waits on; a list is not cut short),
 * -1. After ERR_UNAVAILABLE and ERR_LOST (several attempts in a row failed), ERR_TIMEOUT and
 * ERR_CANCELLED it may be called again, and goes on where it was. */
int kube_watch_next(const struct ctx *ctx, struct kube_watch *watch, int timeout_ms,
                    struct kube_watch_event *ret, struct err *err)
    __attribute__((warn_unused_result));
