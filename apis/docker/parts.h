/* Parts that the specification of a container and that of a swarm service have in common, for the
 * files of this folder. Each adds to `parent` what its argument says, and nothing for NULL. */
#pragma once

#include "apis/docker/body.h"
#include "apis/docker/create.h"

/* HealthConfig. */
void part_healthcheck(struct body *body, json_t *parent, const char *key,
                      const struct docker_healthcheck *check, int api_minor);
/* Mount: one element of Mounts; a new reference. */
json_t *part_mount(struct body *body, const struct docker_mount *mount, int api_minor);
/* [{"Name", "Soft", "Hard"}, …] */
void part_ulimits(struct body *body, json_t *parent, const char *key,
                  const struct docker_ulimit *ulimits, size_t count);
/* {NAME_KEY: name, OPTIONS_KEY: {…}}: a driver and its options. */
void part_driver(struct body *body, json_t *parent, const char *key, const char *name_key,
                 const char *name, const char *options_key, const struct strmap *options);
