/* A row of the store as JSON, as commands and the server give it: each adds what only it tells.
 *
 * Threads: any. */
#pragma once

#include <jansson.h>

#include "store/store.h"

/* id, name, status, reason, error, origin, submitted_at, started_at, ended_at, duration_ms and
 * log_bytes; what is not known is left out. A new reference. */
json_t *history_row_to_json(const struct store_run *run);
/* How long it took, or has taken until now; 0: it has not started. */
int64_t history_row_duration(const struct store_run *run);
