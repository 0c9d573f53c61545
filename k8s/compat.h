/* What is right in a manifest, and what newer servers apply, but servers before 1.22 refuse to
 * apply: their schemas know no default for the protocol of a port, though it is part of the key of
 * these lists, and have quantities as strings only. */
#pragma once

#include <jansson.h>

/* Writes protocols (TCP) and quantities of built-in kinds out. */
void compat_write_out(json_t *object);
