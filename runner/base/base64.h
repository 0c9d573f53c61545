/* Base64 (RFC 4648, section 4: standard alphabet, padded). */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

void base64_encode(struct buf *out, const void *data, size_t len);
/* The URL-safe alphabet (RFC 4648, section 5), padded: what X-Registry-Auth takes. */
void base64url_encode(struct buf *out, const void *data, size_t len);
/* Adds the decoded bytes to out; padding may be missing. */
int base64_decode(struct buf *out, const char *text, struct err *err)
    __attribute__((warn_unused_result));
