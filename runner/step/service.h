/* A service of the file, made complete for an engine. */
#pragma once

#include "step/kind.h"

struct service_lowered {
    struct step_lowered *lowered; /* its runnable has `service` set; it has `ready` */
    struct plan_settings settings;
    struct service_shape shape;
    VEC(struct port_mapping)
    ports;
    char *url; /* of the engine */
};

/* `scope` is the level that the service stands on, `id` what names its objects. *ret goes to the
 * caller: service_lowered_free(). */
int service_lower(const struct plan *plan, const struct plan_scope *scope,
                  const struct plan_runtime *runtime, const struct spec_service *spec,
                  const char *id, struct service_lowered **ret, struct err *err)
    __attribute__((warn_unused_result));
void service_lowered_free(struct service_lowered *service);
