/* Time. Deadlines and durations use the monotonic clock in milliseconds; what people see uses the
 * wall clock in RFC 3339. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CLOCK_RFC3339_SIZE  32
#define CLOCK_DURATION_SIZE 32
#define CLOCK_HTTP_SIZE     32

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t clock_monotonic_ms(void);
/* Milliseconds since the epoch, CLOCK_REALTIME. */
int64_t clock_wall_ms(void);
/* "2026-01-02T03:04:05.678Z" of a wall time. */
void clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_SIZE]);
/* The other way round, also with an offset such as +01:00, as RFC 3339 has it; -1: it is none. */
int clock_parse_rfc3339(const char *text, int64_t *ret_wall_ms) __attribute__((warn_unused_result));
/* "Fri, 02 Jan 2026 03:04:05 GMT": as HTTP has it (RFC 9110, section 5.6.7). */
void clock_http(int64_t wall_ms, char out[CLOCK_HTTP_SIZE]);
/* "1.2s", "3m05s", "2h03m": an elapsed time for people. */
void clock_format_duration(int64_t duration_ms, char *out, size_t size);
/* "60 seconds", "1 second", "1500 milliseconds": a limit, exactly. */
void clock_format_limit(int64_t limit_ms, char *out, size_t size);
