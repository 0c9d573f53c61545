/* The images of a project: looked up, pulled, built, several at a time. */
#pragma once

#include "compose/session.h"

/* Makes sure that each of these services has its image on the daemon. *ret_ids: service → image id;
 * *ret_changed: something was, or might have been, pulled or built for it, which can take long.
 * After a failure the others are broken off. ERR_IMAGE_PULL: one cannot be had; ERR_INVALID: one
 * cannot be built. Messages name the service. */
int compose_images_prepare(const struct ctx *ctx, struct compose_session *session,
                           const struct strvec *services, const struct compose_up *options,
                           struct strmap *ret_ids, bool *ret_changed, struct err *err)
    __attribute__((warn_unused_result));
