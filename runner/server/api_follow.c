/* The log of a run as it comes: server-sent events. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "record/record.h"
#include "server/follow.h"
#include "server/inside.h"

/* A comment, so that what is between knows that the connection is in use. */
enum { SILENCE_MS = 15000, TAIL_MAX = 1000000 };

struct events {
    struct web_stream stream;
    struct server *server;
    struct follower follower;
    char *id;
    char *node;
    struct record_position position;
    bool has_tail;
    int64_t tail;
    bool begun;
    bool broken;
};

static struct events *of(struct web_stream *stream)
{
    return (struct events *)(void *)stream;
}

static void open_events(struct web_stream *stream, struct web_waker *waker)
{
    struct events *e = of(stream);
    const struct feed_subscription subscription = {
        .run_id = e->id,
        .position = e->position,
        .format = FEED_SSE,
        .node = e->node,
        .tail = e->has_tail ? &e->tail : NULL,
    };

    e->broken = follower_open(&e->follower, e->server->feed, &subscription, waker, true,
                              &e->server->followers, NULL) < 0;
    if (!e->broken)
        server_look_behind(e->server, e->id);
}

static int next_events(struct web_stream *stream, struct web_piece *ret)
{
    static const char begin[] = "retry: 1000\n\n";
    struct events *e = of(stream);

    if (e->broken)
        return WEB_BROKEN;
    if (e->begun)
        return follower_next(&e->follower, ret);
    e->begun = true;
    *ret = (struct web_piece){begin, sizeof(begin) - 1};
    return 1;
}

static void close_events(struct web_stream *stream)
{
    struct events *e = of(stream);

    if (e->follower.subscriber)
        follower_close(&e->follower);
    free(e->id);
    free(e->node);
    free(e);
}

static const struct web_stream_ops events_ops = {
    .open = open_events,
    .next = next_events,
    .close = close_events,
};

/* A browser that comes back names what it has seen last. */
static int read_position(const struct web_request *request, struct events *e, struct err *err)
{
    const char *text = web_header(request, "last-event-id");
    int64_t tail = -1;

    if (!*text)
        text = web_query(request, "position");
    if (*text)
        return record_position_parse(text, &e->position, err);
    if (web_query_int(request, "tail", TAIL_MAX, &tail, err) < 0)
        return -1;
    e->has_tail = tail >= 0;
    e->tail = tail;
    return 0;
}

int logs_follow(const struct ctx *ctx, struct server *server, const struct web_request *request,
                struct web_response *response, struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct events *e;

    if (server_get_followed(ctx, server, web_param(request, "id"), &runs, err) < 0)
        return -1;
    e = xcalloc(1, sizeof(*e));
    e->stream = (struct web_stream){&events_ops, SILENCE_MS, ":\n\n"};
    e->server = server;
    e->id = xstrdup(runs.items[0].id);
    e->node = xstrdup(web_query(request, "node"));
    if (read_position(request, e, err) < 0) {
        close_events(&e->stream);
        return -1;
    }
    response->content_type = "text/event-stream";
    /* Proxies that gather answers would keep them. */
    strmap_set(&response->headers, "x-accel-buffering", "no");
    response->stream = &e->stream;
    return 0;
}
