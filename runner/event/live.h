/* The live display of a run, as data: what runs, and the lines that have been said, become frames.
 *
 * A frame is what has to be written to the terminal to get from the frame before to the state now:
 * it erases the live area, writes what is finished above it, where it scrolls, and draws the live
 * area anew. At its end the terminal is as any program leaves it: cursor visible in column 0 of an
 * empty row, lines wrap, no colour. So nothing has to be mended whenever the run dies.
 *
 * Each line of output is on the screen once: the last lines of a running step below its name, and
 * what no longer fits there above the live area, where all lines of a step are when it has ended.
 *
 * Pure: no thread, no descriptor. Callers hold the bus's lock, because the tree is looked at. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "event/cells.h"
#include "event/event.h"

enum {
    LIVE_TAIL_LINES = 12,         /* most lines below a step */
    LIVE_LINE_MAX = 64 * 1024,    /* a longer one goes on in the next */
    LIVE_ABOVE_MARK = 1024 * 1024 /* when more than this waits for a frame, output should wait */
};

struct live;

struct live_options {
    struct cells_look look;
    bool timestamps;
    bool stdout_elsewhere; /* what steps write there is shown below them, but not kept above */
};

struct live_size {
    int rows;
    int columns;
};

struct live *live_new(const struct live_options *options);
void live_free(struct live *live);
void live_take(struct live *live, const struct event *event);
/* A line that comes from elsewhere, for above. */
void live_say(struct live *live, const char *line, size_t size);
/* Whether there is something new beside the clock. */
bool live_has_news(const struct live *live);
/* How many bytes wait to be written above. */
size_t live_waiting(const struct live *live);
/* Appends a frame. `now_ms` is monotonic. */
void live_frame(struct live *live, struct live_size size, int64_t now_ms, struct buf *out);
/* Appends the last frame: everything is above, and there is no live area any more. */
void live_end(struct live *live, struct live_size size, struct buf *out);
/* The live area is not where it was (something else wrote to the terminal): it stays as it is, and
 * the next frame begins below. */
void live_forget(struct live *live);
