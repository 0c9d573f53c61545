#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "event/json.h"

static void add_line(struct sink_json *json, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    struct buf *out = output_queue_begin(json->queue);

    if (text) {
        buf_addstr(out, text);
        buf_addch(out, '\n');
    }
    output_queue_commit(json->queue, STDOUT_FILENO);
    free(text);
    json_decref(object);
}

static void show_log_line(struct sink_json *json, const struct event *event, const char *data,
                          size_t size, bool continued)
{
    json_t *object = event_to_json(event, json->run_id);

    json_object_set_new(object, "stream",
                        json_string(event->stream == EVENT_STDOUT ? "stdout" : "stderr"));
    if (utf8_valid(data, size)) {
        json_object_set_new(object, "text", json_stringn(data, size));
    } else {
        CLEANUP_BUF struct buf encoded = BUF_INIT;

        base64_encode(&encoded, data, size);
        json_object_set_new(object, "base64", json_string(encoded.data));
    }
    if (continued)
        json_object_set_new(object, "continued", json_true());
    add_line(json, object);
}

static void show_log(struct sink_json *json, const struct event *event)
{
    const char *at = event->data;
    const char *end = at + event->size;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t size = newline ? (size_t)(newline - at) + 1 : (size_t)(end - at);

        show_log_line(json, event, at, size, event->continued && at == event->data);
        at += size;
    }
}

static void handle(struct event_sink *sink, const struct event *event)
{
    struct sink_json *json = (struct sink_json *)sink;

    if (event->type == EVENT_LOG)
        show_log(json, event);
    else if (event->type != EVENT_PROGRESS || event->due)
        add_line(json, event_to_json(event, json->run_id));
}

static int room_fd(struct event_sink *sink)
{
    return output_queue_room_fd(((struct sink_json *)sink)->queue);
}

void sink_json_init(struct sink_json *json, struct output_queue *queue, const char *run_id)
{
    *json = (struct sink_json){.sink = {.handle = handle, .room_fd = room_fd},
                               .queue = queue,
                               .run_id = run_id};
}
