/* Run trees read back from their JSON (json.h): for what looks at a run from outside of its
 * process, or when it is over. Such a tree owns its names; it only has what the JSON has, so that
 * no time of the monotonic clock is in it. */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "event/node.h"

/* What node_tree_to_json() gives. `ret` is zeroed, and the caller's to release. */
int node_tree_from_json(const json_t *tree, struct node *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Takes over what node_to_json() gives of the same node; its children stay, and so do its earlier
 * attempts if the object does not tell them. */
int node_from_json(const json_t *object, struct node *node, struct err *err)
    __attribute__((warn_unused_result));
/* The node of an id, "RUN.0.1"; NULL: there is none below root. That of a service is its parent's.
 */
struct node *node_find(struct node *root, const char *id);
/* The same; the name of the service that the id ends with, in it, or NULL. Whether there was such a
 * service the tree does not tell. */
struct node *node_find_service(struct node *root, const char *id, const char **ret_service);
/* Takes over what an event says of states: those of sink_json, other than output, notes and
 * progress, which change nothing. */
int event_apply(const json_t *event, struct node *root, struct err *err)
    __attribute__((warn_unused_result));
