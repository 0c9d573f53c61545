/* Times as the API writes them. */
#pragma once

#include <stdint.h>

/* "2026-01-02T03:04:05.678Z" or with an offset (RFC 3339) as milliseconds since the epoch; -1 for
 * what is none. */
int kube_parse_time(const char *text, int64_t *ret_ms) __attribute__((warn_unused_result));
