#include "spec/state.h"

#include <string.h>

static const char *const state_names[STATE_COUNT] = {
    [STATE_PENDING] = "pending", [STATE_RUNNING] = "running",     [STATE_SUCCEEDED] = "succeeded",
    [STATE_FAILED] = "failed",   [STATE_CANCELLED] = "cancelled", [STATE_SKIPPED] = "skipped",
};

static const char *const reason_names[REASON_COUNT] = {
    [REASON_NONE] = "",
    [REASON_ERROR] = "error",
    [REASON_TIMEOUT] = "timeout",
    [REASON_LOST] = "lost",
    [REASON_OOM] = "oom",
    [REASON_EVICTED] = "evicted",
    [REASON_IMAGE_PULL] = "image_pull",
    [REASON_UNSCHEDULABLE] = "unschedulable",
    [REASON_POLICY] = "policy",
    [REASON_DEPENDENCY] = "dependency",
};

#define TO(state) (1u << (state))

static const unsigned transitions[STATE_COUNT] = {
    [STATE_PENDING] =
        TO(STATE_RUNNING) | TO(STATE_FAILED) | TO(STATE_CANCELLED) | TO(STATE_SKIPPED),
    [STATE_RUNNING] = TO(STATE_SUCCEEDED) | TO(STATE_FAILED) | TO(STATE_CANCELLED),
};

const char *state_name(enum state state)
{
    return state_names[state];
}

const char *reason_name(enum reason reason)
{
    return reason_names[reason];
}

static int find(const char *const *names, int count, const char *name)
{
    for (int i = 0; name && i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

int state_find(const char *name)
{
    return find(state_names, STATE_COUNT, name);
}

int reason_find(const char *name)
{
    return find(reason_names, REASON_COUNT, name);
}

bool state_is_final(enum state state)
{
    return transitions[state] == 0;
}

bool state_may_become(enum state from, enum state to)
{
    return transitions[from] & TO(to);
}
