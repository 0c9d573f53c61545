/* Engines that run deployments: what is brought up by an API and stays, as a Compose project, a
 * stack of a swarm, or manifests in a Kubernetes cluster (engine.h: deployment_shape).
 *
 * Until a deployment is complete, and until it is removed again if it is not to last, everything
 * that it makes is an endpoint in the journal of the run, and so taken away by whoever sweeps that.
 * A deployment that lasts is forgotten when it is complete: nothing of the runner's is on it, and
 * no sweep can find it. */
#pragma once

#include "engine/engine.h"

extern const struct engine compose_engine;
extern const struct engine swarm_engine;
extern const struct engine manifests_engine;
