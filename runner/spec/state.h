/* States and reasons of pipelines, stages, jobs and steps.
 * Source: pipeline file reference, section 4 (Running). */
#pragma once

#include <stdbool.h>

enum state {
    STATE_PENDING,
    STATE_RUNNING,
    STATE_SUCCEEDED,
    STATE_FAILED,
    STATE_CANCELLED,
    STATE_SKIPPED,
    STATE_COUNT,
};

enum reason {
    REASON_NONE,
    REASON_ERROR,
    REASON_TIMEOUT,
    REASON_LOST,
    REASON_OOM,
    REASON_EVICTED,
    REASON_IMAGE_PULL,
    REASON_UNSCHEDULABLE,
    REASON_POLICY,
    REASON_DEPENDENCY,
    REASON_COUNT,
};

/* "pending", "running" … */
const char *state_name(enum state state);
/* "error", "timeout" …; "" for REASON_NONE. */
const char *reason_name(enum reason reason);
/* The one of that name, or -1. */
int state_find(const char *name);
int reason_find(const char *name);
bool state_is_final(enum state state);
/* Whether the change is legal; a final state is never left. */
bool state_may_become(enum state from, enum state to);
