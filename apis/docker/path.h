/* Request paths, for the files of this folder. */
#pragma once

#include "apis/http/http.h"
#include "base/buf.h"

/* Adds "/COLLECTION/NAME" and "/ACTION" (NULL: none); the name is escaped but for '/' and ':',
 * which image names have. */
void docker_path(struct buf *out, const char *collection, const char *name, const char *action);
/* Adds "?key=value" or, behind another, "&key=value"; nothing when value is NULL. */
void docker_path_query(struct buf *out, const char *key, const char *value);
