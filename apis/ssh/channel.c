#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "apis/ssh/internal.h"

/* --- queues --- */

void ssh_queue_init(struct ssh_queue *queue)
{
    *queue = (struct ssh_queue){.last = &queue->first};
}

void ssh_queue_push(struct ssh_queue *queue, struct ssh_chunk *chunk)
{
    chunk->next = NULL;
    *queue->last = chunk;
    queue->last = &chunk->next;
    queue->bytes += chunk->len - chunk->at;
}

struct ssh_chunk *ssh_queue_pop(struct ssh_queue *queue)
{
    struct ssh_chunk *chunk = queue->first;

    if (!chunk)
        return NULL;
    queue->first = chunk->next;
    if (!queue->first)
        queue->last = &queue->first;
    queue->bytes -= chunk->len - chunk->at;
    return chunk;
}

void ssh_queue_release(struct ssh_queue *queue)
{
    struct ssh_chunk *chunk;

    while ((chunk = ssh_queue_pop(queue)))
        free(chunk);
}

/* --- channels --- */

int ssh_channel_new(struct ssh_session *session, enum ssh_channel_kind kind,
                    struct ssh_channel **ret, struct err *err)
{
    struct ssh_channel *channel = xcalloc(1, sizeof(*channel));

    channel->session = session;
    channel->kind = kind;
    channel->fd = -1;
    ssh_queue_init(&channel->in);
    ssh_queue_init(&channel->out);
    channel->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (channel->event_fd < 0) {
        free(channel);
        return err_errno(err, "cannot create an eventfd");
    }
    *ret = channel;
    return 0;
}

void ssh_channel_free(struct ssh_channel *channel)
{
    if (!channel)
        return;
    ssh_queue_release(&channel->in);
    ssh_queue_release(&channel->out);
    close(channel->event_fd);
    if (channel->fd >= 0)
        close(channel->fd);
    free(channel->command);
    free(channel);
}

void ssh_channel_signal(struct ssh_channel *channel)
{
    if (!channel->signalled)
        eventfd_write(channel->event_fd, 1);
    channel->signalled = true;
}

void ssh_session_wake(struct ssh_session *session)
{
    if (!session->woken)
        eventfd_write(session->wake_fd, 1);
    session->woken = true;
}

/* Takes it out of the list. mu must be held. */
static void unlink_channel(struct ssh_channel *channel)
{
    struct ssh_channel **link = &channel->session->channels;

    while (*link && *link != channel)
        link = &(*link)->next;
    if (*link)
        *link = channel->next;
}

void ssh_channel_abandon(struct ssh_channel *channel)
{
    struct ssh_session *session = channel->session;
    bool dead;

    pthread_mutex_lock(&session->mu);
    dead = session->dead;
    channel->abandoned = true;
    if (channel->kind == SSH_CHANNEL_EXEC)
        ssh_queue_release(&channel->in);
    if (dead)
        unlink_channel(channel);
    else
        ssh_session_wake(session);
    pthread_mutex_unlock(&session->mu);
    if (dead)
        ssh_channel_free(channel);
}

/* A forward that runs is the thread's. */
static void hand_over(struct ssh_channel *channel)
{
    struct ssh_session *session = channel->session;
    bool dead;

    pthread_mutex_lock(&session->mu);
    dead = session->dead;
    channel->handed = true;
    if (dead)
        unlink_channel(channel);
    else
        ssh_session_wake(session);
    pthread_mutex_unlock(&session->mu);
    if (dead)
        ssh_channel_free(channel);
}

/* 1 when it runs, 0, -1. */
static int is_open(struct ssh_channel *channel, struct err *err)
{
    struct ssh_session *session = channel->session;
    enum ssh_channel_state state;
    struct err error;

    pthread_mutex_lock(&session->mu);
    state = channel->state;
    error = channel->error;
    /* Output that is there already must wake the one who reads next. */
    if (state < SSH_CHANNEL_RUNNING && channel->signalled) {
        eventfd_t unused;

        eventfd_read(channel->event_fd, &unused);
        channel->signalled = false;
    }
    pthread_mutex_unlock(&session->mu);
    if (error.code == ERR_NONE)
        return state >= SSH_CHANNEL_RUNNING;
    if (err)
        *err = error;
    return -1;
}

int ssh_channel_open(const struct ctx *ctx, struct ssh_channel *channel, struct err *err)
{
    struct ssh_session *session = channel->session;
    struct ssh_channel **end = &session->channels;
    struct pollfd pollfd = {.fd = channel->event_fd, .events = POLLIN};
    struct err why = ERR_INIT;
    int open = 0;

    pthread_mutex_lock(&session->mu);
    if (session->dead) {
        why = session->why;
    } else {
        while (*end)
            end = &(*end)->next;
        *end = channel;
        ssh_session_wake(session);
    }
    pthread_mutex_unlock(&session->mu);
    if (why.code != ERR_NONE) {
        ssh_channel_free(channel);
        if (err)
            *err = why;
        return -1;
    }
    while ((open = is_open(channel, err)) == 0) {
        if (ctx_poll(ctx, &pollfd, 1, -1, err) < 0) {
            open = -1;
            break;
        }
    }
    if (open < 0)
        ssh_channel_abandon(channel);
    else if (channel->kind == SSH_CHANNEL_FORWARD)
        hand_over(channel);
    return open < 0 ? -1 : 0;
}
