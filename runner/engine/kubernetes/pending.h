/* Waiting for a container of the place's pod to run, and saying what it waits for. */
#pragma once

#include "engine/kubernetes/place.h"

/* 0 when it runs (also when its end comes before it is seen to run: then who uses it finds out).
 * 1 when it will not: *ret says why. -1: ctx has ended, or the pod is out of sight. */
int pending_await(const struct ctx *ctx, struct kubernetes_place *place,
                  struct place_container *container, struct output *output, struct exit_record *ret,
                  struct err *err) __attribute__((warn_unused_result));
