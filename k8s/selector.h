/* Label selectors of objects. Source: Kubernetes API reference, "LabelSelector". */
#pragma once

#include <jansson.h>

#include "base/buf.h"

/* Adds the object's spec.selector as requests have it: "app=web,tier in (a,b)"; that of a
 * ReplicationController or a Service is a plain map. Nothing if it has none. */
void selector_add_text(const json_t *object, struct buf *out);
