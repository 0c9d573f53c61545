/* The model as it is shown. */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "compose/model.h"

/* The model as a Compose file: dollars are doubled, so that it can be read again, and the contents
 * of secrets and of variables are left out. A new reference. */
json_t *compose_config_json(const struct compose_project *project);
/* JSON as YAML, keys in order. Ends with a line feed. */
void compose_add_yaml(const json_t *value, struct buf *out);
