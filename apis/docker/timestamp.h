/* Times as the Docker Engine writes them. */
#pragma once

#include <stdint.h>

/* Nanoseconds since the epoch of "2026-01-02T03:04:05.678Z", or with "+01:00" behind; 0 when it is
 * not understood, before 1970, or beyond 2262. */
int64_t timestamp_ns(const char *text);
