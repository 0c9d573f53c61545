/* What the state of a pod says about one of its containers. Pure.
 *
 * It never makes a success: it tells why something has no exit record, or that there is no reason
 * yet to give up waiting for one.
 * Source: Kubernetes API reference, PodStatus v1 core; "Pod Lifecycle"; "Disruptions". */
#pragma once

#include <jansson.h>

#include "spec/state.h"

enum verdict_kind {
    VERDICT_COMING,  /* not running yet; `text` says what it waits for, if that is known */
    VERDICT_REFUSED, /* it will not run as things are: its image, or its configuration */
    VERDICT_RUNNING,
    VERDICT_ENDED, /* by itself or not: `text` says how */
};

struct verdict {
    enum verdict_kind kind;
    enum reason
        reason; /* of VERDICT_REFUSED and VERDICT_ENDED; REASON_LOST when nothing is known */
    bool unschedulable; /* of VERDICT_COMING: no node takes it */
    bool pulling;       /* likewise: it has a node, and waits for its image */
    bool may_pass;      /* of VERDICT_REFUSED: the cluster tries again, and that may help */
    bool uncredited;    /* likewise: the pull was made without credentials, which the pod has */
    bool has_code;      /* of VERDICT_ENDED: the container's own exit code */
    int code;
    char text[512];
};

/* pod NULL: it was never seen; `gone`: it has been deleted. */
void verdict_of(const json_t *pod, bool gone, const char *container, struct verdict *ret);
/* Whether the pod has been told to go, or has ended as a whole; fills reason and text. */
bool verdict_of_pod(const json_t *pod, bool gone, struct verdict *ret);
/* What was reported about a pod that was deleted, a list of events: when that says why, it fills
 * reason and text (and has_code: that its containers ended because of it is not told). */
bool verdict_of_events(const json_t *events, struct verdict *ret);
/* Whether every container of the pod has ended: nothing of it runs any more. */
bool verdict_all_ended(const json_t *pod);
/* Whether none of them is seen to run: they have ended, or have not begun. */
bool verdict_none_runs(const json_t *pod);
