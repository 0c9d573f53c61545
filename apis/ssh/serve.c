/* What the thread of a session does for its channels: each function that serves takes one step that
 * does not block, and says whether it got any further. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "apis/ssh/internal.h"
#include "base/clock.h"

enum {
    WINDOW_BYTES =
        2 << 20, /* what the server may send of a channel before we say that it was read */
    PACKET_BYTES = 32 << 10,
    READ_BYTES = 64 << 10,
    IN_BYTES = 1 << 20,    /* of a channel, read and not taken yet */
    FORWARD_BYTES = 32700, /* what libssh2 sends in one packet */
};

#define PING_TYPE "ping@runner"

/* --- ends --- */

/* The connection is of no use any more. */
void ssh_lose(struct ssh_session *s, enum err_code code, const char *what)
{
    if (s->why.code == ERR_NONE)
        err_set(&s->why, code, "%s: the connection was lost: %s", s->peer,
                *s->last_words ? s->last_words : what);
}

void ssh_lose_by(struct ssh_session *s, int result)
{
    if (s->io.errnum)
        ssh_lose(s, ERR_LOST, strerror(s->io.errnum));
    else if (s->io.eof)
        ssh_lose(s, ERR_LOST, "the server ended it");
    else if (result == LIBSSH2_ERROR_SOCKET_DISCONNECT)
        ssh_lose(s, ERR_LOST, "the server ended it");
    else
        ssh_lose(s, ERR_LOST, ssh_session_failure(s));
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
            ssh_lose_by(s, result);
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

bool ssh_serve_ping(struct ssh_session *s)
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
            ssh_lose(s, ERR_PROTOCOL, "the server opens channels of any type");
        else
            ssh_lose_by(s, result);
    }
    return true;
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
            ssh_lose_by(s, result);
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
        ssh_lose_by(s, result);
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
            ssh_lose_by(s, (int)put);
            return true;
        }
        if (put < 0) /* nobody reads it any more */
            put = (ssize_t)(chunk->len - chunk->at);
        pthread_mutex_lock(&s->mu);
        chunk->at += (size_t)put;
        c->out.bytes -= (size_t)put;
        if (chunk->at == chunk->len)
            free(ssh_queue_pop(&c->out));
        if (c->starved && c->out.bytes < SSH_OUT_BYTES / 2) {
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

bool ssh_channel_is_stalled(struct ssh_session *s, const struct ssh_channel *c)
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

    while (!ssh_channel_is_stalled(s, c)) {
        ssize_t got;

        if (!s->spare)
            s->spare = xmalloc(sizeof(*s->spare) + READ_BYTES);
        got = s->lib->channel_read_ex(c->channel, stream, s->spare->data, READ_BYTES);
        if (got == LIBSSH2_ERROR_EAGAIN || got == 0)
            break;
        if (got < 0) {
            ssh_lose_by(s, (int)got);
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
        ssh_lose_by(s, result);
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
    while (!c->fd_ended && c->out.bytes < SSH_OUT_BYTES) {
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
    if (moved || s->why.code != ERR_NONE || ssh_channel_is_stalled(s, c) || !is_closed(s, c))
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

bool ssh_serve_channel(struct ssh_session *s, struct ssh_channel *c)
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
