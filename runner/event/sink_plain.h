/* Display of a run as plain lines: one for each event and each line of output, prefixed with its
 * place. Output of steps goes to the stream it came from, everything else to standard error.
 * A line that goes on from an earlier piece has "+" where others have a space behind the prefix.
 * Source: command line reference, "Output of exec". */
#pragma once

#include <stdbool.h>

#include "event/event.h"
#include "event/output_queue.h"

struct sink_plain {
    struct event_sink sink;
    struct output_queue *queue;
    bool color;
    bool timestamps;
};

/* The queue stays the caller's and must outlive the sink's use. */
void sink_plain_init(struct sink_plain *plain, struct output_queue *queue, bool color,
                     bool timestamps);
/* The table of all nodes and, for each failed step, its last output, cause and what to do. */
void sink_plain_summary(struct sink_plain *plain, const struct node *root, const char *run_id);
/* The same to another descriptor than standard error. */
void sink_plain_write_summary(struct sink_plain *plain, const struct node *root, const char *run_id,
                              int fd);
