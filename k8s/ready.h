/* Whether an object is ready, from what the server says about it. Pure.
 *
 * | kind | is ready when |
 * | Deployment, StatefulSet, DaemonSet | kubectl rollout status would say so |
 * | ReplicaSet, ReplicationController | all replicas are available |
 * | Job | it is complete |
 * | Pod | it is ready, or has succeeded |
 * | PersistentVolumeClaim | it is bound |
 * | Service | it needs no endpoints, or has some (ready_endpoints()) |
 * | CustomResourceDefinition | its names are accepted and it is established |
 * | others | it has no condition Ready or Available that is not True |
 *
 * and the controller has seen the object as it is (observedGeneration).
 * Source: Kubernetes API reference, status of each kind; kubectl rollout status; kstatus. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"

enum ready { READY_NOT_YET, READY_YES, READY_FAILED };

/* *why gets, in one line, what is missing or what has failed. */
enum ready ready_of(const json_t *object, struct buf *why);
/* For an Endpoints object of a Service that needs some. */
enum ready ready_endpoints(const json_t *endpoints, struct buf *why);
/* Whether it selects pods, whose addresses others shall find behind it. */
bool ready_needs_endpoints(const json_t *service);
/* A condition of status.conditions by its type; NULL if it is not there. */
const json_t *ready_condition(const json_t *object, const char *type);
