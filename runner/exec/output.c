#include "exec/output.h"

#include <string.h>
#include <sys/eventfd.h>

enum { TAIL_LINES = 20 };

static void raise_flag(struct step_output *out, atomic_bool *flag)
{
    atomic_store(flag, true);
    if (out->changed_fd >= 0)
        eventfd_write(out->changed_fd, 1);
}

static bool matches(const struct step_output *out, const char *line, size_t len)
{
    bool matched = false;

    if (len > 0 && line[len - 1] == '\r')
        len--;
    /* One that takes too long to look at is not the one. */
    return expr_pattern_match(out->pattern, line, len, &matched, NULL) == 0 && matched;
}

/* A line may come in pieces, and its end late or never, as that of a prompt. */
static void look_for_pattern(struct step_output *out, enum output_stream stream, const char *data,
                             size_t len)
{
    struct buf *line = &out->lines[stream];
    bool found = false;

    while (len > 0 && !found) {
        const char *newline = memchr(data, '\n', len);
        size_t piece = newline ? (size_t)(newline - data) : len;

        if (line->len + piece > LOG_LINE_MAX)
            line->len = 0;
        buf_add(line, data, piece < LOG_LINE_MAX ? piece : LOG_LINE_MAX);
        found = matches(out, line->data, line->len);
        if (newline)
            line->len = 0;
        data += newline ? piece + 1 : piece;
        len -= newline ? piece + 1 : piece;
    }
    if (found)
        raise_flag(out, &out->matched);
}

static void output_write(struct output *output, const struct ctx *ctx, enum output_stream stream,
                         const void *data, size_t len)
{
    struct step_output *out = (struct step_output *)output;

    log_pump_write(&out->pump, ctx, stream == OUTPUT_STDOUT ? EVENT_STDOUT : EVENT_STDERR, data,
                   len);
    if (out->pattern && !atomic_load(&out->matched))
        look_for_pattern(out, stream, data, len);
}

static int output_room_fd(struct output *output)
{
    return event_bus_room_fd(((struct step_output *)output)->pump.bus);
}

static void output_note(struct output *output, const char *text)
{
    struct step_output *out = (struct step_output *)output;

    event_bus_note(out->pump.bus, out->pump.node, "%s", text);
}

static void output_progress(struct output *output, const struct output_progress *progress)
{
    struct step_output *out = (struct step_output *)output;
    struct event event = {.node = out->pump.node};

    if (progress) {
        event.text = progress->text;
        event.done = progress->done;
        event.total = progress->total;
        event.due = progress->due;
    }
    event_bus_progress(out->pump.bus, &event);
}

static void output_started(struct output *output)
{
    struct step_output *out = (struct step_output *)output;

    raise_flag(out, &out->started);
}

static void output_returned(struct output *output, const struct runnable_return *file,
                            enum returned_state state, const void *data, size_t size)
{
    struct step_output *out = (struct step_output *)output;
    struct err err = ERR_INIT;

    if (strcmp(file->variable, outputs_files[OUTPUTS_MASK].variable) != 0)
        outputs_take(&out->outputs, file, state, data, size);
    else if (secrets_mask_lines(out->pump.bus, out->pump.node, state, data, size, &out->said_short,
                                &err) < 0 &&
             out->outputs.err.code == ERR_NONE)
        out->outputs.err = err;
}

static void output_keep(struct output *output, const char *log, const void *data, size_t len)
{
    kept_logs_add(&((struct step_output *)output)->logs, log, data, len);
}

void step_output_init(struct step_output *out, struct run *run, const struct node *node)
{
    *out = (struct step_output){.output = {.write = output_write,
                                           .room_fd = output_room_fd,
                                           .note = output_note,
                                           .progress = output_progress,
                                           .started = output_started,
                                           .keep = output_keep,
                                           .returned = output_returned},
                                .changed_fd = -1,
                                .lines = {BUF_INIT, BUF_INIT}};
    log_pump_init(&out->pump, run->flusher, run->bus, node);
    kept_logs_init(&out->logs, run, node);
}

char *step_output_finish(struct step_output *out)
{
    char *tail;

    log_pump_finish(&out->pump);
    tail = log_pump_tail(&out->pump, TAIL_LINES);
    log_pump_release(&out->pump);
    for (int i = 0; i < 2; i++)
        buf_release(&out->lines[i]);
    return tail;
}
