#include "event/event.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/clock.h"

void event_bus_add(struct event_bus *bus, struct event_sink *sink)
{
    if (bus->sink_count == EVENT_SINKS_MAX)
        abort();
    bus->sinks[bus->sink_count++] = sink;
}

void event_bus_deliver(struct event_bus *bus, const struct event *event)
{
    for (size_t i = 0; i < bus->sink_count; i++)
        bus->sinks[i]->handle(bus->sinks[i], event);
}

void event_bus_emit(struct event_bus *bus, struct event *event)
{
    if (!event->time_ms)
        event->time_ms = clock_wall_ms();
    pthread_mutex_lock(&bus->mu);
    event_bus_deliver(bus, event);
    pthread_mutex_unlock(&bus->mu);
}

void event_bus_note(struct event_bus *bus, const struct node *node, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_FREE char *masked = NULL;
    struct event event = {.type = EVENT_NOTE, .node = node};
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&text, fmt, args);
    va_end(args);
    masked = mask_text(bus->mask, text.data);
    event.text = masked ? masked : text.data;
    event_bus_emit(bus, &event);
}

void event_bus_progress(struct event_bus *bus, const struct event *progress)
{
    CLEANUP_FREE char *masked = progress->text ? mask_text(bus->mask, progress->text) : NULL;
    struct event event = *progress;

    event.type = EVENT_PROGRESS;
    if (masked)
        event.text = masked;
    event_bus_emit(bus, &event);
}

static int sink_room_fd(struct event_sink *sink)
{
    return sink->room_fd ? sink->room_fd(sink) : -1;
}

int event_bus_room_fd(const struct event_bus *bus)
{
    int fd = -1;

    for (size_t i = 0; fd < 0 && i < bus->sink_count; i++)
        fd = sink_room_fd(bus->sinks[i]);
    return fd;
}

void event_bus_wait_for_room(struct event_bus *bus, const struct ctx *ctx)
{
    for (size_t i = 0; ctx && i < bus->sink_count; i++) {
        struct pollfd fd = {.fd = sink_room_fd(bus->sinks[i]), .events = POLLIN};

        if (fd.fd >= 0 && ctx_poll(ctx, &fd, 1, -1, NULL) < 0)
            return;
    }
}

static const char *state_verb(enum state state)
{
    switch (state) {
    case STATE_RUNNING:
        return "Started";
    case STATE_SUCCEEDED:
        return "Completed";
    case STATE_FAILED:
        return "Failed";
    case STATE_CANCELLED:
        return "Cancelled";
    case STATE_SKIPPED:
        return "Skipped";
    default:
        return "Pending";
    }
}

void event_name(const struct event *event, struct buf *out)
{
    const char *level = node_level_name(event->node->level);

    buf_addch(out, (char)toupper((unsigned char)level[0]));
    buf_addstr(out, level + 1);
    if (event->type == EVENT_LOG)
        buf_addstr(out, "Log");
    else if (event->type == EVENT_RETRY)
        buf_addstr(out, "Retrying");
    else if (event->type == EVENT_NOTE || event->type == EVENT_PROGRESS)
        buf_addstr(out, "Note");
    else
        buf_addstr(out, state_verb(event->node->state));
}
