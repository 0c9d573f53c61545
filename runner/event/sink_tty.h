/* Display of a run on a terminal: live.h drawn at most ten times a second, each frame in one write.
 *
 * A thread makes the frames; they go through the output queue, and while that has not written one
 * there is no next. What scrolls waits for its frame, up to a bound, beyond which those who produce
 * output wait. Signals: SIGWINCH and SIGCONT are read by the thread, so they have to be blocked in
 * all threads.
 *
 *     sink_tty_block_signals();             before any thread
 *     sink_tty_start(&options, &tty, err);
 *     event_bus_add(bus, sink_tty_sink(tty));
 *     sink_tty_finish(tty);                 the live area is gone, all is above
 *
 * Source: command line reference, "Output of exec". */
#pragma once

#include <stdbool.h>

#include "event/event.h"
#include "event/output_queue.h"

struct sink_tty_options {
    struct event_bus *bus;
    struct output_queue *queue;
    bool color;
    bool timestamps;
};

struct sink_tty;

/* Whether standard error is a terminal that can show it. */
bool sink_tty_possible(void);
void sink_tty_block_signals(void);
/* What the options point to stays the caller's. Diagnostic messages of the program go above the
 * live area from now on. */
int sink_tty_start(const struct sink_tty_options *options, struct sink_tty **ret, struct err *err)
    __attribute__((warn_unused_result));
struct event_sink *sink_tty_sink(struct sink_tty *tty);
/* When no event comes any more; frees. NULL is fine. */
void sink_tty_finish(struct sink_tty *tty);
