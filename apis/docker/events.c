#include "apis/docker/events.h"

#include "apis/docker/lines.h"
#include "base/alloc.h"
#include "base/json_at.h"
#include "base/parse.h"

struct docker_events {
    struct http_call *call;
    struct docker_lines lines;
    docker_event_fn *event;
    void *arg;
};

static int on_line(void *arg, const json_t *value, struct err *err)
{
    struct docker_events *events = arg;
    const char *code = json_at_string(value, "Actor.Attributes.exitCode");
    struct docker_event event = {
        .type = json_at_string(value, "Type"),
        .action = json_at_string(value, "Action"),
        .id = json_at_string(value, "Actor.ID"),
        .time_ns = json_at_int(value, "timeNano"),
        .attributes = json_at(value, "Actor.Attributes"),
    };

    (void)err;
    if (!*code) /* podman */
        code = json_at_string(value, "Actor.Attributes.containerExitCode");
    event.has_exit_code =
        strcmp(event.action, "die") == 0 && parse_int64(code, &event.exit_code, NULL) == 0;
    events->event(events->arg, &event);
    return 0;
}

int docker_events_start(const struct ctx *ctx, struct docker_client *docker,
                        const struct docker_filter *filters, size_t filter_count, int64_t since_s,
                        docker_event_fn *event, void *arg, struct docker_events **ret,
                        struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct docker_events *events = xcalloc(1, sizeof(*events));
    struct http_request request = {.method = "GET",
                                   .write = docker_lines_feed,
                                   .write_arg = &events->lines};

    events->event = event;
    events->arg = arg;
    events->lines = (struct docker_lines){.partial = BUF_INIT, .line = on_line, .arg = events};
    buf_addstr(&path, "/events");
    if (since_s)
        buf_addf(&path, "?since=%jd", (intmax_t)since_s);
    docker_add_filters(&path, !since_s, filters, filter_count);
    request.path = path.data;
    if (docker_call_start(ctx, docker, &request, &events->call, err) < 0) {
        docker_events_free(events);
        return -1;
    }
    *ret = events;
    return 0;
}

int docker_events_check(const struct docker_events *events, struct err *err)
{
    if (!http_call_done(events->call))
        return 0;
    if (http_call_result(events->call, err) < 0)
        return -1;
    return err_set(err, ERR_LOST, "the daemon ended its event stream");
}

void docker_events_free(struct docker_events *events)
{
    if (!events)
        return;
    http_call_free(events->call);
    buf_release(&events->lines.partial);
    free(events);
}
