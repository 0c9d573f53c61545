/* The lanes of a place: how they are made, and what keeps those alive that nobody uses.
 *
 * The first lane of a container leads to its process 1. Steps that run beside each other in one
 * container need more; those lead to further relays, which are started there when they are needed
 * and go with it. */
#pragma once

#include "engine/kubernetes/place.h"

/* Begins to keep them; to be called once, when the pod is created. Without a thread they live only
 * while they are used. */
void lanes_keep(struct kubernetes_place *place);
/* Nobody uses any; ends the keeping. */
void lanes_stop(struct kubernetes_place *place);

/* One that nobody else uses; the container runs. Goes back by lane_pool_give(). */
int lanes_take(const struct ctx *ctx, struct place_container *container, struct lane **ret,
               struct err *err) __attribute__((warn_unused_result));
/* Tells all helpers to end everything, as far as they can be reached. */
void lanes_quit(const struct ctx *ctx, struct kubernetes_place *place);
