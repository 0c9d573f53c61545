/* JSON as YAML text, for people to read and edit: block style, texts of several lines as literal
 * blocks, and quotes only where a text would be read as something else without them. */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends one document. ERR_LIMIT: it is nested too deeply. */
int yaml_write(const json_t *value, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));
