/* Nodes and events as JSON: for `--progress json`, `--report json=` and the record of a run. */
#pragma once

#include <jansson.h>

#include "event/event.h"
#include "event/output_queue.h"

/* State of one node without its children: id, name, state, reason, times, exit_code, attempt,
 * error, message (that for people), tail (the last output), outputs; what does not apply is absent.
 * A new reference. The other way round: read.h. */
json_t *node_to_json(const struct node *node, const char *run_id);
/* The same with "stages", "jobs", "steps" below. */
json_t *node_tree_to_json(const struct node *node, const char *run_id);

/* Appends the text of an object without its last brace: for what is to come behind its members.
 * Takes the object over; it has some. What there is no memory for is told in its place, so that the
 * whole is JSON. */
void json_write_open(json_t *object, struct buf *out);
/* Appends the text of that tree, without making the whole of it in memory as an object first. */
void node_tree_write(const struct node *node, const char *run_id, struct buf *out);
/* "event", "time", "id" and what the event says of its node, which for a state is all of
 * node_to_json(); of output, only what its lines have in common. A new reference. */
json_t *event_to_json(const struct event *event, const char *run_id);

/* The entries as an object of texts; what is not UTF-8 in them is replaced. A new reference. */
json_t *strmap_to_json(const struct strmap *map);

/* Writes every event as one line of JSON to standard output. Output that is not UTF-8 travels as
 * "base64" instead of "text"; either way the bytes are exact, newlines included. */
struct sink_json {
    struct event_sink sink;
    struct output_queue *queue;
    const char *run_id;
};

void sink_json_init(struct sink_json *json, struct output_queue *queue, const char *run_id);
