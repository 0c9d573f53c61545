/* What followers of a run are sent: internal to feed/.
 *
 * Output of one node and stream that came within a moment is put together into one message; its
 * position is that of the last of it, its time that of the first.
 *
 *     FEED_SSE    id: E.L / event: stdout / data: {"node","time","text"}     ("continued":true)
 *     FEED_V2     {"type","payload","run","node","time","position"}          ("base64",
 * "continued") FEED_PLAIN  {"type","payload"}
 *
 * "continued": it does not begin a line, although it may be the first that somebody gets. Types are
 * stdout, stderr, note, missing ("bytes"; in frames the payload), state (in frames "event") and
 * done. Without runner.v2 what is no output is written to stderr, and states are left out. */
#pragma once

#include "feed/chunk.h"

struct feed_formatter {
    enum feed_format format;
    const char *run_id; /* borrowed */
    size_t headroom;
    struct feed_chunk *chunk; /* NULL: nothing in it yet */
    struct record_position position;
    /* Output that the next of its kind may be added to. */
    bool open;
    bool continued;
    enum record_stream stream;
    int64_t time_ms;
    struct record_position open_end;
    struct buf node;
    struct buf text;
};

void feed_formatter_init(struct feed_formatter *f, enum feed_format format, const char *run_id,
                         size_t headroom);
void feed_formatter_release(struct feed_formatter *f);
/* The notes of the log are left out: they are events, too. */
void feed_format(struct feed_formatter *f, const struct record_followed *followed);
/* A note of no node. */
void feed_format_remark(struct feed_formatter *f, const char *text);
void feed_format_done(struct feed_formatter *f, const struct feed_done *done);
/* So many bytes, about. */
size_t feed_formatter_size(const struct feed_formatter *f);
/* What there is, as a chunk that ends at `end`; NULL: nothing. */
struct feed_chunk *feed_formatter_take(struct feed_formatter *f, struct record_position end);
