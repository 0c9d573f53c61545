/* What the cluster says about the pods of a run in one namespace: kept up to date by one watch for
 * all of them, and one on what is reported about them (events).
 *
 *     pods_start(cluster, ns, labels, &pods, err)
 *     pod = pods_track(pods, name)                     before it is created
 *     pod_listen(pod, &listener)
 *     ... poll listener.fd; pod_object(pod, &gone) ...
 *     pod_unlisten(pod, &listener)
 *     pods_untrack(pods, pod)
 *     pods_stop(pods)
 *
 * Where the watch is forbidden the pods are listed once a second; where events are, nothing is
 * reported. Threads: any; a pod may be listened to by several. */
#pragma once

#include <jansson.h>

#include "apis/kube/config.h"
#include "base/ctx.h"
#include "base/vec.h"

struct pods;
struct tracked_pod;

struct pod_listener {
    int fd; /* eventfd: something has changed */
    struct pod_listener *next;
};

/* `labels` selects the pods. */
int pods_start(struct kube_cluster *cluster, const char *ns, const char *labels, struct pods **ret,
               struct err *err) __attribute__((warn_unused_result));
void pods_stop(struct pods *pods);

struct tracked_pod *pods_track(struct pods *pods, const char *name);
void pods_untrack(struct pods *pods, struct tracked_pod *pod);

const char *pod_name(const struct tracked_pod *pod);

int pod_listen(struct tracked_pod *pod, struct pod_listener *listener, struct err *err)
    __attribute__((warn_unused_result));
void pod_unlisten(struct tracked_pod *pod, struct pod_listener *listener);
/* What is said is looked at after this. */
void pod_heard(struct pod_listener *listener);

/* The pod as it was seen last, a copy for the caller (values are not shared between threads); NULL:
 * never. *ret_gone: it was there, and is not any more, or another one has its name. */
json_t *pod_object(struct tracked_pod *pod, bool *ret_gone);
/* Where pods are not watched: asks for this one, so that pod_object() is not of a second ago. */
void pods_look(const struct ctx *ctx, struct pods *pods, struct tracked_pod *pod);
/* As a create call has returned it. */
void pod_set_object(struct tracked_pod *pod, json_t *object);
/* Something that its listeners may want to know has happened elsewhere. */
void pod_nudge(struct tracked_pod *pod);
/* What was reported from number *seen on, one text each ("FailedScheduling: 0/1 nodes are …"), is
 * added; *seen goes on. */
void pod_reports(struct tracked_pod *pod, size_t *seen, struct strvec *ret);
