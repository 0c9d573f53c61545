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
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "apis/ssh/internal.h"
#include "base/clock.h"

enum { STACK_BYTES = 512 << 10 };

static struct ssh_channel *next_channel(struct ssh_session *s, const struct ssh_channel *after)
{
    struct ssh_channel *c;

    pthread_mutex_lock(&s->mu);
    c = after ? after->next : s->channels;
    pthread_mutex_unlock(&s->mu);
    return c;
}

/* An open that is under way is such a question already, and the only one that libssh2 can have. */
static bool can_ping(const struct ssh_session *s)
{
    return !s->pinging && !s->opening;
}

static void ping(struct ssh_session *s)
{
    s->pinging = true;
    s->pinged_ms = clock_monotonic_ms();
}

static void serve(struct ssh_session *s)
{
    bool moved = true;

    while (moved && s->why.code == ERR_NONE) {
        struct ssh_channel *c, *next;
        bool read = false;

        moved = ssh_serve_ping(s);
        for (c = next_channel(s, NULL); c && s->why.code == ERR_NONE; c = next) {
            next = next_channel(s, c);
            read = read || c->channel;
            /* Has libssh2 take what came although nobody wants the output of this one now. */
            if (c->channel && ssh_channel_is_stalled(s, c))
                (void)s->lib->channel_read_ex(c->channel, 0, "", 0);
            moved |= ssh_serve_channel(s, c);
        }
        if (!moved && !read && can_ping(s) && s->io.in_at < s->io.in_len) {
            ping(s);
            moved = true;
        }
    }
    ssh_io_flush(&s->io);
}

/* --- a server that does not answer --- */

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

    ssh_lose(s, ERR_LOST, why);
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
    if (!asked && !can_ping(s))
        return -1;
    if (!asked) {
        ping(s);
        return 0;
    }
    snprintf(why, sizeof(why), "the server has not answered for %lld seconds",
             (long long)(now - s->io.heard_ms) / 1000);
    ssh_lose(s, ERR_LOST, why);
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

/* --- the thread --- */

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
        fds[count++] =
            (struct pollfd){.fd = c->fd,
                            .events = (short)((c->out.bytes < SSH_OUT_BYTES ? POLLIN : 0) |
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
            ssh_lose_by(s, 0);
        if (s->why.code != ERR_NONE)
            break;
        sleep_until_something(s, timeout_ms);
    }
    if (s->why.code == ERR_NONE) {
        s->lib->session_disconnect_ex(s->ssh, SSH_DISCONNECT_BY_APPLICATION, "", "");
        ssh_io_flush(&s->io);
        ssh_lose(s, ERR_LOST, "it was closed");
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
