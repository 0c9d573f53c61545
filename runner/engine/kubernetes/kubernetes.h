/* The engine "kubernetes": jobs in pods, through the Kubernetes API. "k8s://CONTEXT/NAMESPACE"
 * names a cluster; "kubernetes" alone means what the kubeconfig, or the pod that the runner is in,
 * says.
 *
 * Lifecycle of what it makes in the cluster, all of it labelled with OWN_LABEL_*:
 *
 *     first place  ConfigMap runner-RUN: the helper, the run's lease, the owner of everything else
 *     place        one pod, with a container for each kind that its steps need and for each
 *                  service; Secrets for credentials and for the environments of services; a
 *                  PersistentVolumeClaim when the workspace is to be one
 *     run          a request to the helper in its container, over a lane
 *
 * docs/kubernetes.md and docs/adr/0028 tell why. */
#pragma once

#include "engine/engine.h"

extern const struct engine kubernetes_engine;
