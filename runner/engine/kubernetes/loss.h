/* Why a pod is gone that somebody else has deleted: clusters that do not say so in its state
 * (before 1.26) report it at least. */
#pragma once

#include "engine/kubernetes/place.h"
#include "engine/kubernetes/verdict.h"

/* Replaces what the verdict says, if it is REASON_LOST and the pod has been told to go, by what was
 * reported about the pod; asks for that once or twice, within a few seconds. */
void loss_explain(struct kubernetes_place *place, struct verdict *verdict);
