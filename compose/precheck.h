/* What can be known of services before anything is touched. */
#pragma once

#include "compose/session.h"

/* Fails for what this program or this daemon cannot do, and warns of what the daemon ignores. */
int compose_precheck(struct compose_session *session, const struct strvec *services,
                     struct err *err) __attribute__((warn_unused_result));
