/* The thread of a session, the only one that calls libssh2 for it.
 *
 * It sleeps in one poll for the socket, for callers (wake_fd) and for forwards. Awake, it reads
 * what the socket has into a buffer (io.h) and then serves all channels again and again until none
 * gets any further: libssh2 may stop reading in the middle of the buffer when a channel has what it
 * waited for, and what is behind it would otherwise lie there unseen until the next byte comes.
 *
 * libssh2 reads from the connection only within calls for a channel. When there is none, the
 * server's own questions are answered by asking it one: to open a channel of a type that no server
 * knows. The same question finds out whether the server is alive. (libssh2_keepalive_send() sends a
 * global request, whose answers libssh2 would collect for ever.) */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "apis/ssh/internal.h"
#include "base/clock.h"

enum {
    WINDOW_BYTES =
        2 << 20, /* what the server may send of a channel before we say that it was read */
    PACKET_BYTES = 32 << 10,
    READ_BYTES = 64 << 10,
    IN_BYTES = 1 << 20,    /* of a channel, read and not taken yet */
    OUT_BYTES = 256 << 10, /* of a forward, taken and not sent yet */
    FORWARD_BYTES = 32700, /* what libssh2 sends in one packet */
    STACK_BYTES = 512 << 10,
};

#define PING_TYPE "ping@runner"

/* --- ends --- */

/* The connection is of no use any more. */
static void lose(struct ssh_session *s, enum err_code code, const char *what)
{
    if (s->why.code == ERR_NONE)
        err_set(&s->why, code, "%s: the connection was lost: %s", s->peer,
                *s->last_words ? s->last_words : what);
}

static void lose_by(struct ssh_session *s, int result)
{
    if (s->io.errnum)
        lose(s, ERR_LOST, strerror(s->io.errnum));
    else if (s->io.eof)
        lose(s, ERR_LOST, "the server ended it");
    else if (result == LIBSSH2_ERROR_SOCKET_DISCONNECT)
        lose(s, ERR_LOST, "the server ended it");
    else
        lose(s, ERR_LOST, ssh_session_failure(s));
}

/* The channel comes to nothing. */
static void fail(struct ssh_channel *c, enum err_code code, const char *format, const char *what)
{
    pthread_mutex_lock(&c->session->mu);
    err_set(&c->error, code, format, c->session->peer, what);
    c->state = SSH_CHANNEL_ENDED;
    ssh_channel_signal(c);
    pthread_mutex_unlock(&c->session->mu);
}

static void set_state(struct ssh_channel *c, enum ssh_channel_state state)
{
    pthread_mutex_lock(&c->session->mu);
    c->state = state;
    if (state >= SSH_CHANNEL_RUNNING)
        ssh_channel_signal(c);
    pthread_mutex_unlock(&c->session->mu);
}

static void remove_channel(struct ssh_channel *c)
{
    struct ssh_session *s = c->session;
    struct ssh_channel **link = &s->channels;

    pthread_mutex_lock(&s->mu);
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    pthread_mutex_unlock(&s->mu);
    ssh_channel_free(c);
}

/* --- opening --- */

static void refuse(struct ssh_channel *c)
{
    const char *why = ssh_session_failure(c->session);

    if (c->kind == SSH_CHANNEL_FORWARD)
        fail(c, strstr(why, "prohibited") ? ERR_DENIED : ERR_UNAVAILABLE,
             "%s: does not connect further: %s", why);
    else
        fail(c, ERR_LIMIT,
             "%s: the server opens no more channels on this connection (%s); the limit is its "
             "MaxSessions",
             why);
}

/* Each serve_ function says whether it got any further. */
static bool serve_opening(struct ssh_session *s, struct ssh_channel *c)
{
    if (s->opening ? s->opening != c : s->pinging)
        return false;
    if (!s->opening)
        c->asked_ms = clock_monotonic_ms();
    s->opening = c;
    c->channel =
        c->kind == SSH_CHANNEL_FORWARD
            ? s->lib->channel_direct_tcpip_ex(s->ssh, c->command, (int)c->port, "127.0.0.1", 0)
            : s->lib->channel_open_ex(s->ssh, "session", 7, WINDOW_BYTES, PACKET_BYTES, NULL, 0);
    if (!c->channel) {
        const int result = s->lib->session_last_error(s->ssh, NULL, NULL, 0);

        if (result == LIBSSH2_ERROR_EAGAIN)
            return false;
        if (result != LIBSSH2_ERROR_CHANNEL_FAILURE)
            lose_by(s, result);
        else if (!s->closed)
            refuse(c);
        /* OpenSSH counts a channel that was closed until it has read all that came with the
         * closing, this request too. Once more, now that it has. */
        s->closed = false;
    } else {
        s->closed = false;
        set_state(c, c->kind == SSH_CHANNEL_FORWARD ? SSH_CHANNEL_RUNNING : SSH_CHANNEL_STARTING);
    }
    s->opening = NULL;
    c->asked_ms = 0;
    return true;
}

static bool serve_ping(struct ssh_session *s)
{
    LIBSSH2_CHANNEL *channel;
    int result;

    if (!s->pinging)
        return false;
    channel = s->lib->channel_open_ex(s->ssh, PING_TYPE, strlen(PING_TYPE), WINDOW_BYTES,
                                      PACKET_BYTES, NULL, 0);
    result = channel ? 0 : s->lib->session_last_error(s->ssh, NULL, NULL, 0);
    if (result == LIBSSH2_ERROR_EAGAIN)
        return false;
    s->pinging = false;
    if (result != LIBSSH2_ERROR_CHANNEL_FAILURE) {
        if (!result)
            lose(s, ERR_PROTOCOL, "the server opens channels of any type");
        else
            lose_by(s, result);
    }
    return true;
}

static void ping(struct ssh_session *s)
{
    s->pinging = true;
    s->pinged_ms = clock_monotonic_ms();
}

static bool serve_starting(struct ssh_session *s, struct ssh_channel *c)
{
    int result;

    if (!c->asked_ms)
        c->asked_ms = clock_monotonic_ms();
    /* A call that waits for the answer to this channel gives up when it reads one to another
     * (libssh2 1.10): what has come is taken first, by a call that waits for none. */
    (void)s->lib->channel_read_ex(c->channel, 0, "", 0);
    if (c->tty && !c->tty_given) {
        result = s->lib->channel_request_pty_ex(c->channel, "xterm", 5, NULL, 0, c->columns,
                                                c->rows, 0, 0);
        if (result == LIBSSH2_ERROR_EAGAIN)
            return false;
        if (result == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED)
            fail(c, ERR_DENIED, "%s: the server gives no terminal (%s)", ssh_session_failure(s));
        else if (result < 0)
            lose_by(s, result);
        c->tty_given = true;
        c->asked_ms = 0;
        return true;
    }
    result = s->lib->channel_process_startup(c->channel, "exec", 4, c->command,
                                             (unsigned)strlen(c->command));
    if (result == LIBSSH2_ERROR_EAGAIN)
        return false;
    if (result == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED)
        fail(c, ERR_DENIED, "%s: the server refuses to run commands (%s)", ssh_session_failure(s));
    else if (result < 0)
        lose_by(s, result);
    else
        set_state(c, SSH_CHANNEL_RUNNING);
    c->asked_ms = 0;
    return true;
}

/* --- running --- */

static bool write_input(struct ssh_session *s, struct ssh_channel *c)
{
    bool moved = false;
    bool at_end;

    while (!ssh_io_full(&s->io)) {
        struct ssh_chunk *chunk;
        ssize_t put;

        pthread_mutex_lock(&s->mu);
        chunk = c->out.first;
        pthread_mutex_unlock(&s->mu);
        if (!chunk)
            break;
        put = s->lib->channel_write_ex(c->channel, 0, chunk->data + chunk->at,
                                       chunk->len - chunk->at);
        if (put == LIBSSH2_ERROR_EAGAIN || put == 0)
            return moved;
        if (put < 0 && put != LIBSSH2_ERROR_CHANNEL_CLOSED &&
            put != LIBSSH2_ERROR_CHANNEL_EOF_SENT) {
            lose_by(s, (int)put);
            return true;
        }
        if (put < 0) /* nobody reads it any more */
            put = (ssize_t)(chunk->len - chunk->at);
        pthread_mutex_lock(&s->mu);
        chunk->at += (size_t)put;
        c->out.bytes -= (size_t)put;
        if (chunk->at == chunk->len)
            free(ssh_queue_pop(&c->out));
        if (c->starved && c->out.bytes < OUT_BYTES / 2) {
            c->starved = false;
            ssh_channel_signal(c);
        }
        pthread_mutex_unlock(&s->mu);
        moved = true;
    }
    pthread_mutex_lock(&s->mu);
    at_end = c->eof_asked && !c->out.first;
    pthread_mutex_unlock(&s->mu);
    if (at_end && !c->eof_sent && s->lib->channel_send_eof(c->channel) != LIBSSH2_ERROR_EAGAIN) {
        c->eof_sent = true;
        moved = true;
    }
    return moved;
}

/* Gives `len` bytes of the spare chunk to the owner; small pieces in a chunk of their size. */
static void deliver(struct ssh_session *s, struct ssh_channel *c, int stream, size_t len)
{
    struct ssh_chunk *chunk;

    if (len < READ_BYTES / 4) {
        chunk = xmalloc(sizeof(*chunk) + len);
        memcpy(chunk->data, s->spare->data, len);
    } else {
        chunk = steal_ptr(&s->spare);
    }
    chunk->stream = stream;
    chunk->at = 0;
    chunk->len = len;
    pthread_mutex_lock(&s->mu);
    if (c->abandoned) {
        pthread_mutex_unlock(&s->mu);
        free(chunk);
        return;
    }
    ssh_queue_push(&c->in, chunk);
    c->stalled = c->in.bytes >= IN_BYTES;
    ssh_channel_signal(c);
    pthread_mutex_unlock(&s->mu);
}

static bool is_stalled(struct ssh_session *s, const struct ssh_channel *c)
{
    bool stalled;

    pthread_mutex_lock(&s->mu);
    stalled = c->stalled;
    pthread_mutex_unlock(&s->mu);
    return stalled;
}

static bool read_output(struct ssh_session *s, struct ssh_channel *c, int stream)
{
    bool moved = false;

    while (!is_stalled(s, c)) {
        ssize_t got;

        if (!s->spare)
            s->spare = xmalloc(sizeof(*s->spare) + READ_BYTES);
        got = s->lib->channel_read_ex(c->channel, stream, s->spare->data, READ_BYTES);
        if (got == LIBSSH2_ERROR_EAGAIN || got == 0)
            break;
        if (got < 0) {
            lose_by(s, (int)got);
            return true;
        }
        deliver(s, c, stream, (size_t)got);
        moved = true;
    }
    return moved;
}

static const struct {
    const char *name;
    int number;
} signals[] = {
    {"ABRT", SIGABRT}, {"ALRM", SIGALRM}, {"FPE", SIGFPE},   {"HUP", SIGHUP},   {"ILL", SIGILL},
    {"INT", SIGINT},   {"KILL", SIGKILL}, {"PIPE", SIGPIPE}, {"QUIT", SIGQUIT}, {"SEGV", SIGSEGV},
    {"TERM", SIGTERM}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2},
};

static void read_outcome(struct ssh_session *s, struct ssh_channel *c)
{
    struct ssh_exec_result *r = &c->outcome;
    char *name = NULL;

    if (s->lib->channel_get_exit_signal(c->channel, &name, NULL, NULL, NULL, NULL, NULL) < 0 ||
        !name) {
        r->exited = true;
        r->exit_code = s->lib->channel_get_exit_status(c->channel);
        return;
    }
    snprintf(r->signal, sizeof(r->signal), "%s", name);
    s->lib->free(s->ssh, name);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        if (strcmp(signals[i].name, r->signal) == 0)
            r->signal_number = signals[i].number;
}

/* Whether the server has closed the channel and all of its output has been read. */
static bool is_closed(struct ssh_session *s, struct ssh_channel *c)
{
    int result = s->lib->channel_eof(c->channel);

    if (result > 0)
        result = s->lib->channel_wait_closed(c->channel);
    else
        result = result == 0 ? LIBSSH2_ERROR_EAGAIN : result;
    if (result < 0 && result != LIBSSH2_ERROR_EAGAIN)
        lose_by(s, result);
    return result == 0;
}

static bool resize(struct ssh_session *s, struct ssh_channel *c)
{
    bool wanted;
    int columns, rows;

    pthread_mutex_lock(&s->mu);
    wanted = c->resized;
    c->resized = false;
    columns = c->columns;
    rows = c->rows;
    pthread_mutex_unlock(&s->mu);
    if (!wanted || s->lib->channel_request_pty_size_ex(c->channel, columns, rows, 0, 0) !=
                       LIBSSH2_ERROR_EAGAIN)
        return wanted;
    pthread_mutex_lock(&s->mu);
    c->resized = true;
    pthread_mutex_unlock(&s->mu);
    return false;
}

/* Between the channel of a forward and its socket. */
static bool serve_socket(struct ssh_session *s, struct ssh_channel *c)
{
    bool moved = false;

    while (c->in.first) {
        struct ssh_chunk *chunk = c->in.first;
        ssize_t put = send(c->fd, chunk->data + chunk->at, chunk->len - chunk->at,
                           MSG_NOSIGNAL | MSG_DONTWAIT);

        if (put < 0 && errno == EAGAIN)
            break;
        if (put < 0) {
            c->fd_ended = true;
            ssh_queue_release(&c->in);
            ssh_queue_release(&c->out);
            break;
        }
        chunk->at += (size_t)put;
        c->in.bytes -= (size_t)put;
        if (chunk->at == chunk->len)
            free(ssh_queue_pop(&c->in));
        moved = true;
    }
    c->stalled = c->in.bytes >= IN_BYTES;
    while (!c->fd_ended && c->out.bytes < OUT_BYTES) {
        struct ssh_chunk *chunk = xmalloc(sizeof(*chunk) + FORWARD_BYTES);
        ssize_t got = recv(c->fd, chunk->data, FORWARD_BYTES, MSG_DONTWAIT);

        if (got > 0) {
            *chunk = (struct ssh_chunk){.len = (size_t)got};
            ssh_queue_push(&c->out, chunk);
            moved = true;
            continue;
        }
        free(chunk);
        c->fd_ended = got == 0 || errno != EAGAIN;
        break;
    }
    if (c->fd_ended && !c->out.first) {
        pthread_mutex_lock(&s->mu);
        c->abandoned = true;
        pthread_mutex_unlock(&s->mu);
        return true;
    }
    return moved;
}

static bool serve_running(struct ssh_session *s, struct ssh_channel *c)
{
    bool moved = resize(s, c);

    moved |= c->kind == SSH_CHANNEL_FORWARD && serve_socket(s, c);
    moved |= write_input(s, c);
    moved |= read_output(s, c, 0);
    moved |= read_output(s, c, 1);
    if (moved || s->why.code != ERR_NONE || is_stalled(s, c) || !is_closed(s, c))
        return moved;
    if (c->kind == SSH_CHANNEL_FORWARD && c->in.first)
        return false;
    read_outcome(s, c);
    c->closing = true;
    return true;
}

/* Closes our side before the owner hears of the end, so that the server counts it no more when the
 * owner opens the next. */
static bool serve_closing(struct ssh_session *s, struct ssh_channel *c)
{
    if (s->lib->channel_free(c->channel) == LIBSSH2_ERROR_EAGAIN)
        return false;
    c->channel = NULL;
    c->closing = false;
    s->closed = true;
    pthread_mutex_lock(&s->mu);
    c->result = c->outcome;
    c->state = SSH_CHANNEL_ENDED;
    ssh_channel_signal(c);
    pthread_mutex_unlock(&s->mu);
    return true;
}

/* What was asked is waited for: libssh2 opens one channel at a time, and a server that owes an
 * answer is found out (watch()). A command that runs on keeps its channel until it ends: the
 * server's answer is asked for again and again. */
static bool serve_abandoned(struct ssh_session *s, struct ssh_channel *c)
{
    if (c->asked_ms)
        return s->opening == c ? serve_opening(s, c) : serve_starting(s, c);
    if (c->channel && s->lib->channel_free(c->channel) == LIBSSH2_ERROR_EAGAIN)
        return false;
    s->closed = s->closed || c->channel;
    remove_channel(c);
    return true;
}

static bool serve_channel(struct ssh_session *s, struct ssh_channel *c)
{
    enum ssh_channel_state state;
    bool abandoned;

    pthread_mutex_lock(&s->mu);
    state = c->state;
    abandoned = c->abandoned || (c->handed && state == SSH_CHANNEL_ENDED);
    pthread_mutex_unlock(&s->mu);
    if (abandoned)
        return serve_abandoned(s, c);
    if (c->closing)
        return serve_closing(s, c);
    switch (state) {
    case SSH_CHANNEL_OPENING:
        return serve_opening(s, c);
    case SSH_CHANNEL_STARTING:
        return serve_starting(s, c);
    case SSH_CHANNEL_RUNNING:
        return serve_running(s, c);
    default:
        return false;
    }
}

/* --- the thread --- */

static struct ssh_channel *next_channel(struct ssh_session *s, const struct ssh_channel *after)
{
    struct ssh_channel *c;

    pthread_mutex_lock(&s->mu);
    c = after ? after->next : s->channels;
    pthread_mutex_unlock(&s->mu);
    return c;
}

static void serve(struct ssh_session *s)
{
    bool moved = true;

    while (moved && s->why.code == ERR_NONE) {
        struct ssh_channel *c, *next;
        bool read = s->pinging || s->opening;

        moved = serve_ping(s);
        for (c = next_channel(s, NULL); c && s->why.code == ERR_NONE; c = next) {
            next = next_channel(s, c);
            read = read || c->channel;
            /* Has libssh2 take what came although nobody wants the output of this one now. */
            if (c->channel && is_stalled(s, c))
                (void)s->lib->channel_read_ex(c->channel, 0, "", 0);
            moved |= serve_channel(s, c);
        }
        if (!moved && !read && s->io.in_at < s->io.in_len) {
            ping(s);
            moved = true;
        }
    }
    ssh_io_flush(&s->io);
}

/* What the server owes an answer to for longest, or NULL. */
static const struct ssh_channel *find_waiting(struct ssh_session *s)
{
    const struct ssh_channel *found = NULL;

    for (const struct ssh_channel *c = next_channel(s, NULL); c; c = next_channel(s, c))
        if (c->asked_ms && (!found || c->asked_ms < found->asked_ms))
            found = c;
    return found;
}

/* No channel of the session can be opened as long as the answer to one such request is owed. */
static void lose_unanswered(struct ssh_session *s, const struct ssh_channel *c, int64_t seconds)
{
    CLEANUP_FREE char *why =
        c->kind == SSH_CHANNEL_FORWARD
            ? xasprintf("the server has not said for %lld seconds whether it connects to %s:%u",
                        (long long)seconds, c->command, c->port)
            : xasprintf("the server has not answered the request to %s for %lld seconds",
                        s->opening == c ? "open a channel" : "start a command", (long long)seconds);

    lose(s, ERR_LOST, why);
}

/* Asks for a sign of life after a time of silence, and gives up after another. An open that is
 * under way is such a question already, unless the answer depends on a third. Returns how long to
 * wait at most, in milliseconds; -1: for ever. */
static int watch_silence(struct ssh_session *s, int64_t now)
{
    const struct ssh_channel *opening = s->opening;
    const bool asked = s->pinging || (opening && opening->kind == SSH_CHANNEL_EXEC);
    const int64_t asked_ms = s->pinging ? s->pinged_ms : asked ? opening->asked_ms : 0;
    const int64_t since = asked_ms > s->io.heard_ms ? asked_ms : s->io.heard_ms;
    char why[100];

    if (now - since < s->alive_interval_ms)
        return (int)(s->alive_interval_ms - (now - since));
    if (!asked && opening)
        return -1;
    if (!asked) {
        ping(s);
        return 0;
    }
    snprintf(why, sizeof(why), "the server has not answered for %lld seconds",
             (long long)(now - s->io.heard_ms) / 1000);
    lose(s, ERR_LOST, why);
    return 0;
}

/* Gives up a server that does not answer. Returns as watch_silence(). */
static int watch(struct ssh_session *s)
{
    const int64_t now = clock_monotonic_ms();
    const struct ssh_channel *waiting = find_waiting(s);
    const int silence_ms = watch_silence(s, now);
    int64_t left_ms;

    if (!waiting)
        return silence_ms;
    left_ms = waiting->asked_ms + s->answer_ms - now;
    if (left_ms <= 0) {
        lose_unanswered(s, waiting, (now - waiting->asked_ms) / 1000);
        return 0;
    }
    return silence_ms >= 0 && silence_ms < left_ms ? silence_ms : (int)left_ms;
}

static void sleep_until_something(struct ssh_session *s, int timeout_ms)
{
    size_t count = 2;
    struct pollfd *fds;

    for (struct ssh_channel *c = next_channel(s, NULL); c; c = next_channel(s, c))
        count++;
    fds = xcalloc(count, sizeof(*fds));
    fds[0] = (struct pollfd){.fd = s->io.fd,
                             .events = (short)(POLLIN | (ssh_io_waiting(&s->io) ? POLLOUT : 0))};
    fds[1] = (struct pollfd){.fd = s->wake_fd, .events = POLLIN};
    count = 2;
    for (struct ssh_channel *c = next_channel(s, NULL); c; c = next_channel(s, c)) {
        if (c->kind != SSH_CHANNEL_FORWARD || c->fd_ended || !c->channel)
            continue;
        fds[count++] = (struct pollfd){.fd = c->fd,
                                       .events = (short)((c->out.bytes < OUT_BYTES ? POLLIN : 0) |
                                                         (c->in.first ? POLLOUT : 0))};
    }
    if (poll(fds, count, timeout_ms) > 0 && (fds[1].revents & POLLIN)) {
        eventfd_t unused;

        pthread_mutex_lock(&s->mu);
        eventfd_read(s->wake_fd, &unused);
        s->woken = false;
        pthread_mutex_unlock(&s->mu);
    }
    free(fds);
}

/* Tells everyone; from now on channels belong to their owners alone. */
static void die(struct ssh_session *s)
{
    struct ssh_channel **link = &s->channels;

    pthread_mutex_lock(&s->mu);
    s->dead = true;
    while (*link) {
        struct ssh_channel *c = *link;

        c->channel = NULL;
        if (c->closing)
            c->result = c->outcome;
        else if (c->state != SSH_CHANNEL_ENDED)
            c->error = s->why;
        c->state = SSH_CHANNEL_ENDED;
        ssh_channel_signal(c);
        if (c->abandoned || c->handed) {
            *link = c->next;
            ssh_channel_free(c);
        } else {
            link = &c->next;
        }
    }
    pthread_mutex_unlock(&s->mu);
}

static bool is_stopping(struct ssh_session *s)
{
    bool stopping;

    pthread_mutex_lock(&s->mu);
    stopping = s->stopping;
    pthread_mutex_unlock(&s->mu);
    return stopping;
}

static void *pump_main(void *arg)
{
    struct ssh_session *s = arg;

    while (!is_stopping(s)) {
        int timeout_ms;

        ssh_io_fill(&s->io);
        serve(s);
        timeout_ms = watch(s);
        if (s->why.code == ERR_NONE && s->io.eof && s->io.in_at == s->io.in_len)
            lose_by(s, 0);
        if (s->why.code != ERR_NONE)
            break;
        sleep_until_something(s, timeout_ms);
    }
    if (s->why.code == ERR_NONE) {
        s->lib->session_disconnect_ex(s->ssh, SSH_DISCONNECT_BY_APPLICATION, "", "");
        ssh_io_flush(&s->io);
        lose(s, ERR_LOST, "it was closed");
    }
    die(s);
    free(steal_ptr(&s->spare));
    return NULL;
}

int ssh_pump_start(struct ssh_session *s, struct err *err)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int error;

    s->io.end = false;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&s->thread, &attr, pump_main, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (error)
        return err_set(err, ERR_SYSTEM, "%s: no thread can be started: %s", s->peer,
                       strerror(error));
    s->started = true;
    return 0;
}

void ssh_pump_stop(struct ssh_session *s)
{
    if (!s->started)
        return;
    pthread_mutex_lock(&s->mu);
    s->stopping = true;
    ssh_session_wake(s);
    pthread_mutex_unlock(&s->mu);
    pthread_join(s->thread, NULL);
    s->started = false;
}
