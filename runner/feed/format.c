#include "feed/format.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "base/json_text.h"
#include "base/utf8.h"

enum {
    /* Put together: what came in that time, up to that size. */
    JOIN_MS = 100,
    JOIN_SIZE = 32 * 1024,
};

static const char *const stream_names[] = {[RECORD_STDOUT] = "stdout", [RECORD_STDERR] = "stderr"};

void feed_formatter_init(struct feed_formatter *f, enum feed_format format, const char *run_id,
                         size_t headroom)
{
    *f = (struct feed_formatter){.format = format,
                                 .run_id = run_id,
                                 .headroom = headroom,
                                 .node = BUF_INIT,
                                 .text = BUF_INIT};
}

void feed_formatter_release(struct feed_formatter *f)
{
    feed_chunk_unref(f->chunk);
    f->chunk = NULL;
    buf_release(&f->node);
    buf_release(&f->text);
}

/* --- messages --- */

/* Events of SSE follow each other in one message. */
static struct buf *begin(struct feed_formatter *f)
{
    if (!f->chunk)
        f->chunk = feed_chunk_new();
    if (f->format != FEED_SSE || !f->chunk->messages.len)
        feed_chunk_begin(f->chunk, f->headroom);
    return &f->chunk->bytes;
}

static void add_string(struct buf *out, const char *key, const char *text)
{
    buf_addf(out, ",\"%s\":", key);
    json_write_string(out, text, strlen(text));
}

static struct buf *begin_sse(struct feed_formatter *f, const char *type,
                             struct record_position position)
{
    char text[RECORD_POSITION_SIZE];
    struct buf *out = begin(f);

    record_position_format(position, text);
    buf_addf(out, "id: %s\nevent: %s\ndata: ", text, type);
    return out;
}

static void end_sse(struct feed_formatter *f)
{
    buf_addstr(&f->chunk->bytes, "\n\n");
    feed_chunk_finish(f->chunk);
}

/* {"type":"stdout","payload":"…" */
static struct buf *begin_frame(struct feed_formatter *f, const char *type, const char *payload,
                               size_t size)
{
    struct buf *out = begin(f);

    buf_addf(out, "{\"type\":\"%s\",\"payload\":", type);
    json_write_string(out, payload, size);
    return out;
}

static void end_frame(struct feed_formatter *f)
{
    buf_addch(&f->chunk->bytes, '}');
    feed_chunk_finish(f->chunk);
}

static void add_run(struct feed_formatter *f, struct buf *out)
{
    add_string(out, "run", f->run_id);
}

static void add_position(struct buf *out, struct record_position position)
{
    char text[RECORD_POSITION_SIZE];

    record_position_format(position, text);
    add_string(out, "position", text);
}

/* --- texts: output and notes --- */

static void write_text_sse(struct feed_formatter *f, const char *type,
                           struct record_position position, bool continued)
{
    struct buf *out = begin_sse(f, type, position);

    buf_addf(out, "{\"node\":\"%s\",\"time\":%lld,\"text\":", f->node.data, (long long)f->time_ms);
    json_write_string(out, f->text.data, f->text.len);
    buf_addstr(out, continued ? ",\"continued\":true}" : "}");
    end_sse(f);
}

static void write_text_v2(struct feed_formatter *f, const char *type,
                          struct record_position position, bool continued)
{
    bool exact = utf8_valid(f->text.data, f->text.len);
    CLEANUP_BUF struct buf encoded = BUF_INIT;
    const struct buf *payload = &f->text;
    struct buf *out = NULL;

    if (!exact) {
        base64_encode(&encoded, f->text.data, f->text.len);
        payload = &encoded;
    }
    out = begin_frame(f, type, payload->data, payload->len);
    add_run(f, out);
    add_string(out, "node", f->node.data);
    buf_addf(out, ",\"time\":%lld", (long long)f->time_ms);
    add_position(out, position);
    if (!exact)
        buf_addstr(out, ",\"base64\":true");
    if (continued)
        buf_addstr(out, ",\"continued\":true");
    end_frame(f);
}

/* What is in f->node, time_ms and text. */
static void write_text(struct feed_formatter *f, const char *type, struct record_position position,
                       bool continued)
{
    switch (f->format) {
    case FEED_SSE:
        write_text_sse(f, type, position, continued);
        break;
    case FEED_V2:
        write_text_v2(f, type, position, continued);
        break;
    case FEED_PLAIN:
        begin_frame(f, type, f->text.data, f->text.len);
        end_frame(f);
        break;
    }
}

/* Writes the output that has been put together. */
static void flush(struct feed_formatter *f)
{
    if (f->open)
        write_text(f, stream_names[f->stream], f->open_end, f->continued);
    f->open = false;
    if (f->text.cap > (1 << 20))
        buf_release(&f->text);
}

static void begin_text(struct feed_formatter *f, const char *node, size_t node_size,
                       int64_t time_ms, const char *text, size_t size)
{
    buf_reset(&f->node);
    buf_add(&f->node, node, node_size);
    buf_reset(&f->text);
    buf_add(&f->text, text, size);
    f->time_ms = time_ms;
}

static bool joins(const struct feed_formatter *f, const struct record_item *item)
{
    bool line_is_open = f->text.len && f->text.data[f->text.len - 1] != '\n';

    return f->open && f->stream == item->stream && strcmp(f->node.data, item->node) == 0 &&
           item->time_ms >= f->time_ms && item->time_ms - f->time_ms < JOIN_MS &&
           f->text.len + item->size <= JOIN_SIZE && line_is_open == item->continued;
}

static void add_output(struct feed_formatter *f, const struct record_item *item,
                       struct record_position position)
{
    if (!item->size)
        return;
    if (joins(f, item)) {
        buf_add(&f->text, item->data, item->size);
    } else {
        flush(f);
        begin_text(f, item->node, strlen(item->node), item->time_ms, item->data, item->size);
        f->open = true;
        f->stream = item->stream;
        f->continued = item->continued;
    }
    f->open_end = position;
}

static void write_missing(struct feed_formatter *f, uint64_t bytes, struct record_position position)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct buf *out = NULL;

    buf_addf(&text, "%llu", (unsigned long long)bytes);
    if (f->format == FEED_SSE) {
        out = begin_sse(f, "missing", position);
        buf_addf(out, "{\"bytes\":%s}", text.data);
        end_sse(f);
        return;
    }
    if (f->format == FEED_PLAIN) {
        buf_addstr(&text, " bytes of output are missing here\n");
        begin_frame(f, "stderr", text.data, text.len);
    } else {
        out = begin_frame(f, "missing", text.data, text.len);
        add_run(f, out);
        add_position(out, position);
    }
    end_frame(f);
}

/* --- events --- */

static void write_note(struct feed_formatter *f, const struct record_event *event,
                       struct record_position position)
{
    json_t *object = json_loadb(event->json, event->size, JSON_ALLOW_NUL, NULL);
    const json_t *text = json_at(object, "text");
    int64_t time_ms = 0;
    size_t node_size;
    const char *node = record_event_node(event, &node_size);

    (void)!clock_parse_rfc3339(json_at_string(object, "time"), &time_ms);
    begin_text(f, node, node_size, time_ms, text ? json_string_value(text) : "",
               json_string_length(text));
    if (f->format == FEED_PLAIN)
        buf_addch(&f->text, '\n');
    write_text(f, f->format == FEED_PLAIN ? "stderr" : "note", position, false);
    json_decref(object);
}

static void write_event(struct feed_formatter *f, const struct record_event *event,
                        struct record_position position)
{
    struct buf *out = NULL;

    if (f->format == FEED_PLAIN)
        return;
    if (f->format == FEED_SSE) {
        out = begin_sse(f, "state", position);
        buf_add(out, event->json, event->size);
        end_sse(f);
        return;
    }
    out = begin_frame(f, "event", event->json, event->size);
    add_run(f, out);
    add_position(out, position);
    end_frame(f);
}

void feed_format(struct feed_formatter *f, const struct record_followed *followed)
{
    const struct record_item *item = &followed->item;

    f->position = followed->position;
    if (!followed->is_event && item->stream == RECORD_NOTE)
        return;
    if (!followed->is_event && item->stream != RECORD_MISSING) {
        add_output(f, item, followed->position);
        return;
    }
    flush(f);
    if (!followed->is_event)
        write_missing(f, item->missing_bytes, followed->position);
    else if (record_event_is_note(&followed->event))
        write_note(f, &followed->event, followed->position);
    else
        write_event(f, &followed->event, followed->position);
}

void feed_format_remark(struct feed_formatter *f, const char *text)
{
    flush(f);
    begin_text(f, "", 0, clock_wall_ms(), text, strlen(text));
    if (f->format == FEED_PLAIN)
        buf_addch(&f->text, '\n');
    write_text(f, f->format == FEED_PLAIN ? "stderr" : "note", f->position, false);
}

/* --- the end --- */

/* Members, without a brace: "status", "reason", "exit_code". */
static void add_outcome(struct buf *out, const struct feed_done *done)
{
    buf_addstr(out, "\"status\":");
    json_write_string(out, done->status, strlen(done->status));
    if (done->reason && *done->reason)
        add_string(out, "reason", done->reason);
    if (done->exit_code)
        buf_addf(out, ",\"exit_code\":%d", *done->exit_code);
}

void feed_format_done(struct feed_formatter *f, const struct feed_done *done)
{
    const char *error = done->error ? done->error : "";
    struct buf *out = NULL;

    flush(f);
    if (f->format == FEED_SSE) {
        out = begin_sse(f, "done", f->position);
        buf_addch(out, '{');
        add_outcome(out, done);
        if (*error)
            add_string(out, "error", error);
        buf_addch(out, '}');
        end_sse(f);
        return;
    }
    out = begin_frame(f, "done", error, strlen(error));
    if (f->format == FEED_V2) {
        add_run(f, out);
        buf_addch(out, ',');
        add_outcome(out, done);
    }
    end_frame(f);
}

/* --- chunks --- */

size_t feed_formatter_size(const struct feed_formatter *f)
{
    return (f->chunk ? f->chunk->bytes.len : 0) + (f->open ? f->text.len : 0);
}

struct feed_chunk *feed_formatter_take(struct feed_formatter *f, struct record_position end)
{
    struct feed_chunk *chunk;

    flush(f);
    chunk = f->chunk;
    f->chunk = NULL;
    if (chunk)
        chunk->end = end;
    return chunk;
}
