#include "server/socket.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "server/socket_inside.h"

static struct socket *of(struct web_stream *stream)
{
    return (struct socket *)(void *)stream;
}

static void unref(struct socket *socket)
{
    if (atomic_fetch_sub(&socket->refs, 1) != 1)
        return;
    web_waker_unref(socket->waker);
    web_request_release(&socket->request);
    strvec_release(&socket->inbox);
    strvec_release(&socket->outbox);
    free(socket->sending);
    free(socket->last);
    pthread_mutex_destroy(&socket->mu);
    free(socket);
}

/* --- follows --- */

/* Needs the lock. */
static void free_follow(struct socket *socket, struct socket_follow *follow)
{
    if (follow->follower.subscriber)
        follower_close(&follow->follower);
    clients_let_go(&socket->server->clients, follow->id, clock_monotonic_ms());
    free(follow->id);
    free(follow);
}

/* Needs the lock. */
static struct socket_follow *find(struct socket *socket, const char *id)
{
    vec_foreach (struct socket_follow **, f, &socket->follows) {
        if (!(*f)->dropped && strcmp((*f)->id, id) == 0)
            return *f;
    }
    return NULL;
}

/* Needs the lock. */
static int add_follow(struct socket *socket, const char *id, struct record_position position,
                      bool submitted, struct err *err)
{
    const struct feed_subscription subscription = {
        .run_id = id,
        .position = position,
        .format = socket->is_v2 ? FEED_V2 : FEED_PLAIN,
    };
    struct socket_follow *follow;

    if (socket->closed)
        return 0;
    if (socket->follows.len >= SOCKET_FOLLOWS_MAX)
        return err_set(err, ERR_LIMIT, "a connection follows at most %d pipelines",
                       SOCKET_FOLLOWS_MAX);
    if (find(socket, id))
        return err_set(err, ERR_CONFLICT, "pipeline %s is followed already", id);
    follow = xcalloc(1, sizeof(*follow));
    if (follower_open(&follow->follower, socket->server->feed, &subscription, socket->waker, false,
                      &socket->server->followers, err) < 0) {
        free(follow);
        return -1;
    }
    follow->id = xstrdup(id);
    if (!submitted)
        clients_hold(&socket->server->clients, id);
    vec_push(&socket->follows, follow);
    web_wake(socket->waker);
    return 0;
}

int socket_follow(struct socket *socket, const char *id, struct record_position position,
                  bool submitted, struct err *err)
{
    bool closed;
    int result;

    pthread_mutex_lock(&socket->mu);
    closed = socket->closed;
    result = add_follow(socket, id, position, submitted, err);
    pthread_mutex_unlock(&socket->mu);
    /* The client went while its pipeline was being submitted. */
    if (submitted && (closed || result < 0))
        clients_let_go(&socket->server->clients, id, clock_monotonic_ms());
    if (!closed && result == 0)
        server_look_behind(socket->server, id);
    return result;
}

int socket_unfollow(struct socket *socket, const char *id)
{
    struct socket_follow *follow;

    pthread_mutex_lock(&socket->mu);
    follow = find(socket, id);
    if (follow)
        follow->dropped = true;
    pthread_mutex_unlock(&socket->mu);
    return follow ? 0 : -1;
}

/* --- sending --- */

void socket_send(struct socket *socket, json_t *frame)
{
    char *text = json_dumps(frame, JSON_COMPACT);

    json_decref(frame);
    pthread_mutex_lock(&socket->mu);
    if (!text || socket->outbox.len >= SOCKET_OUTBOX_MAX)
        socket->broken = true;
    else
        strvec_push(&socket->outbox, text);
    if (!socket->closed)
        web_wake(socket->waker);
    pthread_mutex_unlock(&socket->mu);
    free(text);
}

void socket_send_error(struct socket *socket, const char *run, json_t *diagnostics,
                       const char *text)
{
    json_t *frame = json_pack("{s:s, s:o}", "type", "error", "payload", json_safe_string(text));

    if (socket->is_v2 && run)
        json_object_set_new(frame, "run", json_safe_string(run));
    if (socket->is_v2 && diagnostics)
        json_object_set_new(frame, "diagnostics", diagnostics);
    else
        json_decref(diagnostics);
    socket_send(socket, frame);
}

/* Needs the lock. Of those that are removed nothing is being sent any more. */
static void remove_dropped(struct socket *socket)
{
    size_t kept = 0;

    for (size_t i = 0; i < socket->follows.len; i++) {
        struct socket_follow *follow = socket->follows.items[i];

        if (follow->dropped || follow->follower.ended)
            free_follow(socket, follow);
        else
            socket->follows.items[kept++] = follow;
    }
    socket->follows.len = kept;
}

/* Needs the lock. */
static int next_of_follows(struct socket *socket, struct web_piece *ret)
{
    int result = 0;

    for (size_t i = 0; i < socket->follows.len && !result; i++) {
        size_t turn = (socket->turn + i) % socket->follows.len;

        if (follower_next(&socket->follows.items[turn]->follower, ret) > 0) {
            socket->turn = turn + 1;
            result = 1;
        }
    }
    remove_dropped(socket);
    return result;
}

/* Needs the lock. Whether a worker is to look at the inbox. Without runner.v2 output does not say
 * of which run it is: there the next one waits for the end of the one before. */
static bool may_work(const struct socket *socket)
{
    return !socket->closed && socket->inbox.len && (socket->is_v2 || !socket->follows.len);
}

/* Needs the lock. Whether begin_work() is to be called without it. */
static bool is_to_begin(struct socket *socket)
{
    if (socket->working || !may_work(socket))
        return false;
    socket->working = true;
    atomic_fetch_add(&socket->refs, 1);
    return true;
}

static void work(void *arg);

static void begin_work(struct socket *socket)
{
    workers_submit(&socket->server->workers, work, socket);
}

/* What is said about a run comes before what it says. */
static int next(struct web_stream *stream, struct web_piece *ret)
{
    struct socket *socket = of(stream);
    bool begin;
    int result = 0;

    pthread_mutex_lock(&socket->mu);
    free(socket->sending);
    socket->sending = NULL;
    remove_dropped(socket);
    if (socket->broken) {
        result = WEB_BROKEN;
    } else if (socket->outbox.len) {
        socket->sending = socket->outbox.items[0];
        socket->outbox.len--;
        memmove(socket->outbox.items, socket->outbox.items + 1,
                (socket->outbox.len + 1) * sizeof(*socket->outbox.items));
        *ret = (struct web_piece){socket->sending, strlen(socket->sending)};
        result = 1;
    } else {
        result = next_of_follows(socket, ret);
    }
    begin = is_to_begin(socket);
    pthread_mutex_unlock(&socket->mu);
    if (begin)
        begin_work(socket);
    return result;
}

/* --- receiving --- */

static char *take_message(struct socket *socket)
{
    char *text = NULL;

    pthread_mutex_lock(&socket->mu);
    if (may_work(socket)) {
        text = socket->inbox.items[0];
        socket->inbox.len--;
        memmove(socket->inbox.items, socket->inbox.items + 1,
                (socket->inbox.len + 1) * sizeof(*socket->inbox.items));
    } else {
        socket->working = false;
    }
    pthread_mutex_unlock(&socket->mu);
    return text;
}

static void work(void *arg)
{
    struct socket *socket = arg;
    char *text;

    while ((text = take_message(socket))) {
        socket_handle(socket, text, strlen(text));
        free(text);
    }
    unref(socket);
}

static int message(struct web_stream *stream, const char *text, size_t size)
{
    struct socket *socket = of(stream);
    bool begin = false;
    int result = 0;

    pthread_mutex_lock(&socket->mu);
    if (socket->inbox.len >= SOCKET_INBOX_MAX) {
        result = -1;
    } else {
        strvec_push_owned(&socket->inbox, xstrndup(text, size));
        begin = is_to_begin(socket);
    }
    pthread_mutex_unlock(&socket->mu);
    if (begin)
        begin_work(socket);
    return result;
}

/* --- its life --- */

static void open_socket(struct web_stream *stream, struct web_waker *waker)
{
    of(stream)->waker = web_waker_ref(waker);
}

static void close_socket(struct web_stream *stream)
{
    struct socket *socket = of(stream);

    pthread_mutex_lock(&socket->mu);
    socket->closed = true;
    vec_foreach (struct socket_follow **, f, &socket->follows)
        free_follow(socket, *f);
    vec_release(&socket->follows);
    pthread_mutex_unlock(&socket->mu);
    unref(socket);
}

static const struct web_stream_ops socket_ops = {
    .open = open_socket,
    .next = next,
    .close = close_socket,
    .message = message,
};

struct web_stream *socket_new(struct server *server, struct web_request *request, bool is_v2)
{
    struct socket *socket = xcalloc(1, sizeof(*socket));

    socket->stream.ops = &socket_ops;
    socket->server = server;
    socket->request = *request;
    *request = (struct web_request)WEB_REQUEST_INIT;
    socket->is_v2 = is_v2;
    atomic_init(&socket->refs, 1);
    pthread_mutex_init(&socket->mu, NULL);
    return &socket->stream;
}
