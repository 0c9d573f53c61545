/* A JSON value as YAML for people: block style, keys sorted, texts of several lines as blocks. It
 * can be read back, except for strings with control characters, which are shown as JSON has them.
 */
#pragma once

#include <jansson.h>

#include "base/buf.h"

void yaml_text_add(struct buf *out, const json_t *value);
