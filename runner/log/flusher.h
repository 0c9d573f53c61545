/* Watches pumps whose last line has no newline yet; see pump.h for the public part. */
#pragma once

#include <stdbool.h>

struct log_flusher;
struct log_pump;

/* Has the pump flushed LOG_PARTIAL_MS from now, unless that is already arranged. */
void log_flusher_watch(struct log_flusher *flusher, struct log_pump *pump);
/* Returns when the pump is neither watched nor being flushed. */
void log_flusher_forget(struct log_flusher *flusher, struct log_pump *pump);

/* In pump.c: emits the lines that have waited long enough; returns whether others still wait. */
bool log_pump_flush(struct log_pump *pump);
