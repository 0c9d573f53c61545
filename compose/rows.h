/* What the tables of attributes share. Private to this folder. */
#pragma once

#include "compose/keys.h"
#include "compose/reader.h"

/* Why a stack ignores the address of a port. */
#define COMPOSE_WHY_HOST_IP "a swarm publishes ports on all addresses of its nodes"

#define ROWS(rows) (sizeof(rows) / sizeof(*(rows)))

extern const struct compose_table compose_build_table;
extern const struct compose_table compose_deploy_table;
extern const struct compose_table compose_develop_table;
extern const struct compose_table compose_device_request_table;
extern const struct compose_table compose_hook_table;
extern const struct compose_table compose_mount_table; /* of secrets and configs */
extern const struct compose_table compose_ulimit_table;
