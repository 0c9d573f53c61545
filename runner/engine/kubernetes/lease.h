/* The lease of services, which a file in their pod tells to the kubelet (k8s/pod.h). The steps'
 * containers have theirs by their lanes. */
#pragma once

#include "engine/kubernetes/place.h"

/* Renews it when that is due, and takes up to some seconds for that. Returns when to come again
 * (monotonic), INT64_MAX: not before something is heard of the pod. Threads: the place's keeper. */
int64_t lease_renew(struct kubernetes_place *place);
