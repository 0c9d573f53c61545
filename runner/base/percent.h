/* Percent-encoding (RFC 3986, section 2.1). */
#pragma once

#include <stddef.h>

#include "base/buf.h"

/* Adds the decoded bytes to out; what is no %HH stays as it is. */
void percent_decode(const char *text, size_t len, struct buf *out);
