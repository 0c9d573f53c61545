/* A service: the program of an image, in a container of the pod from its beginning. */
#pragma once

#include "engine/kubernetes/place.h"

/* As run() of the engine: what it prints comes as the kubelet keeps it, standard output and error
 * in one. When ctx ends it gets SIGTERM, and what it does not do within its grace ends with the
 * pod. */
int kubernetes_service_run(const struct ctx *ctx, struct kubernetes_place *place,
                           struct place_container *container, const struct runnable *service,
                           struct output *output, struct exit_record *ret, struct err *err)
    __attribute__((warn_unused_result));
