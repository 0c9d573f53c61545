#include "log/pump.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "log/flusher.h"

static void keep_tail(struct log_pump *pump, const char *data, size_t size)
{
    if (size > LOG_TAIL_MAX) {
        data += size - LOG_TAIL_MAX;
        size = LOG_TAIL_MAX;
    }
    if (pump->tail.len + size > 2 * LOG_TAIL_MAX)
        buf_consume(&pump->tail, pump->tail.len + size - LOG_TAIL_MAX);
    buf_add(&pump->tail, data, size);
}

static void emit(struct log_pump *pump, enum event_stream stream, const char *data, size_t size)
{
    struct log_stream *s = &pump->streams[stream];
    struct event event = {.type = EVENT_LOG,
                          .node = pump->node,
                          .stream = stream,
                          .data = data,
                          .size = size,
                          .continued = s->mid_line};

    if (!size)
        return;
    s->mid_line = data[size - 1] != '\n';
    keep_tail(pump, data, size);
    event_bus_emit(pump->bus, &event);
}

/* How much of an unfinished line can go out without cutting a character in two. */
static size_t whole_characters(const char *data, size_t size)
{
    size_t start = size > 3 ? size - 3 : 0;

    for (size_t i = size; i > start; i--) {
        unsigned char c = (unsigned char)data[i - 1];
        size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;

        if ((c & 0xc0) == 0x80)
            continue;
        return need > size - (i - 1) && i > 1 ? i - 1 : size;
    }
    return size;
}

static void emit_partial(struct log_pump *pump, enum event_stream stream, bool all)
{
    struct buf *partial = &pump->streams[stream].partial;
    size_t size = all ? partial->len : whole_characters(partial->data, partial->len);

    emit(pump, stream, partial->data, size);
    buf_consume(partial, size);
}

/* Takes at most LOG_LINE_MAX bytes at a time, so that no event can hold a longer line. */
static void take(struct log_pump *pump, enum event_stream stream, const char *data, size_t size)
{
    struct buf *partial = &pump->streams[stream].partial;
    const char *last;

    if (partial->len) {
        const char *newline = memchr(data, '\n', size);
        size_t head = newline ? (size_t)(newline - data) + 1 : size;

        if (partial->len + head > LOG_LINE_MAX)
            emit_partial(pump, stream, false);
        buf_add(partial, data, head);
        if (newline)
            emit_partial(pump, stream, true);
        data += head;
        size -= head;
    }
    last = size ? memrchr(data, '\n', size) : NULL;
    if (last) {
        size_t whole = (size_t)(last - data) + 1;

        emit(pump, stream, data, whole);
        data += whole;
        size -= whole;
    }
    if (size && !partial->len)
        pump->streams[stream].since_ms = clock_monotonic_ms();
    buf_add(partial, data, size);
}

/* What the mask lets through goes on to take(), in slices. */
struct passing {
    struct log_pump *pump;
    enum event_stream stream;
};

static void pass(void *arg, const char *data, size_t size)
{
    const struct passing *p = arg;

    while (size > 0) {
        size_t slice = size < LOG_LINE_MAX ? size : LOG_LINE_MAX;

        take(p->pump, p->stream, data, slice);
        data += slice;
        size -= slice;
    }
}

void log_pump_init(struct log_pump *pump, struct log_flusher *flusher, struct event_bus *bus,
                   const struct node *node)
{
    *pump = (struct log_pump){.bus = bus,
                              .node = node,
                              .flusher = flusher,
                              .mu = PTHREAD_MUTEX_INITIALIZER,
                              .streams = {{.partial = BUF_INIT}, {.partial = BUF_INIT}},
                              .tail = BUF_INIT};
    for (int i = 0; i < 2; i++)
        mask_stream_init(&pump->streams[i].mask, bus->mask);
}

void log_pump_write(struct log_pump *pump, const struct ctx *ctx, enum event_stream stream,
                    const void *data, size_t size)
{
    struct passing passing = {pump, stream};
    const char *at = data;
    bool waiting;

    while (size > 0) {
        size_t slice = size < LOG_LINE_MAX ? size : LOG_LINE_MAX;

        pthread_mutex_lock(&pump->mu);
        mask_stream_write(&pump->streams[stream].mask, at, slice, pass, &passing);
        waiting =
            pump->streams[EVENT_STDOUT].partial.len || pump->streams[EVENT_STDERR].partial.len;
        pthread_mutex_unlock(&pump->mu);
        if (waiting)
            log_flusher_watch(pump->flusher, pump);
        event_bus_wait_for_room(pump->bus, ctx);
        at += slice;
        size -= slice;
    }
}

bool log_pump_flush(struct log_pump *pump)
{
    int64_t late = clock_monotonic_ms() - LOG_PARTIAL_MS;
    bool waiting = false;

    pthread_mutex_lock(&pump->mu);
    for (int i = 0; i < 2; i++) {
        if (pump->streams[i].partial.len && pump->streams[i].since_ms <= late)
            emit_partial(pump, (enum event_stream)i, false);
        else if (pump->streams[i].partial.len)
            waiting = true;
    }
    pthread_mutex_unlock(&pump->mu);
    return waiting;
}

void log_pump_finish(struct log_pump *pump)
{
    log_flusher_forget(pump->flusher, pump);
    for (int i = 0; i < 2; i++) {
        struct passing passing = {pump, (enum event_stream)i};

        mask_stream_finish(&pump->streams[i].mask, pass, &passing);
        mask_stream_release(&pump->streams[i].mask);
        emit_partial(pump, (enum event_stream)i, true);
        buf_release(&pump->streams[i].partial);
    }
}

char *log_pump_tail(const struct log_pump *pump, unsigned lines)
{
    const char *start = pump->tail.data + pump->tail.len;
    size_t size;
    char *tail;

    if (!pump->tail.len)
        return NULL;
    if (start[-1] == '\n')
        start--;
    for (; start > pump->tail.data; start--) {
        if (start[-1] == '\n' && --lines == 0)
            break;
    }
    size = (size_t)(pump->tail.data + pump->tail.len - start);
    tail = xcalloc(1, size + 1);
    for (size_t i = 0; i < size; i++)
        tail[i] = start[i] ? start[i] : '?';
    return tail;
}

void log_pump_release(struct log_pump *pump)
{
    buf_release(&pump->tail);
    pthread_mutex_destroy(&pump->mu);
}
