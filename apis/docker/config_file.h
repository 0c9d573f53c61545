/* The docker command's configuration, in docker_config_dir(). */
#pragma once

#include <jansson.h>

#include "base/err.h"

/* A file of that directory as JSON; new reference. ERR_INVALID: it is none. */
json_t *docker_config_read(const char *path, struct err *err) __attribute__((warn_unused_result));
/* *ret: config.json, or NULL if there is none. *ret_path, unless ret_path is NULL, is its path, or
 * NULL, too; the caller frees. */
int docker_config_load(const char *const *envp, json_t **ret, char **ret_path, struct err *err)
    __attribute__((warn_unused_result));
