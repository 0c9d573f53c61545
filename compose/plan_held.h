/* Ports of the host and addresses in networks that go from one service to another. */
#pragma once

#include "compose/state.h"

/* Whether the container has a port of the host that the service is to publish, or an address that
 * the service is to have in the same network. */
bool compose_holds_for(const struct compose_container *container,
                       const struct compose_project *project, const json_t *service);
