#include "apis/ssh/exec.h"

#include <string.h>
#include <sys/eventfd.h>

#include "apis/ssh/internal.h"

enum { CHUNK_BYTES = 32700, IN_LOW_BYTES = 512 << 10, FOREIGN_MAX = 15 };

struct ssh_exec {
    struct ssh_channel *channel;
    struct ssh_chunk *current; /* what the last read gave out */
    bool stdin_closed;
};

void ssh_exec_free(struct ssh_exec *exec)
{
    if (!exec)
        return;
    if (exec->channel)
        ssh_channel_abandon(exec->channel);
    free(exec->current);
    free(exec);
}

int ssh_exec_open(const struct ctx *ctx, struct ssh_session *session,
                  const struct ssh_exec_options *o, struct ssh_exec **ret, struct err *err)
{
    CLEANUP_SSH_EXEC struct ssh_exec *exec = xcalloc(1, sizeof(*exec));
    struct ssh_channel *channel = NULL;

    if (ssh_channel_new(session, SSH_CHANNEL_EXEC, &channel, err) < 0)
        return -1;
    channel->command = xstrdup(o->command);
    channel->tty = o->tty;
    channel->columns = o->columns > 0 ? o->columns : 80;
    channel->rows = o->rows > 0 ? o->rows : 24;
    channel->eof_asked = exec->stdin_closed = !o->with_stdin;
    if (ssh_channel_open(ctx, channel, err) < 0)
        return -1;
    exec->channel = channel;
    *ret = steal_ptr(&exec);
    return 0;
}

/* With mu held. */
static enum ssh_exec_read next(struct ssh_exec *exec, struct err *err)
{
    struct ssh_channel *c = exec->channel;
    eventfd_t unused;

    exec->current = ssh_queue_pop(&c->in);
    if (exec->current) {
        if (c->stalled && c->in.bytes < IN_LOW_BYTES) {
            c->stalled = false;
            ssh_session_wake(c->session);
        }
        return SSH_EXEC_OUTPUT;
    }
    if (c->error.code != ERR_NONE) {
        if (err)
            *err = c->error;
        return SSH_EXEC_ERROR;
    }
    if (c->state == SSH_CHANNEL_ENDED)
        return SSH_EXEC_ENDED;
    if (c->signalled)
        eventfd_read(c->event_fd, &unused);
    c->signalled = false;
    return SSH_EXEC_AGAIN;
}

enum ssh_exec_read ssh_exec_read(struct ssh_exec *exec, struct ssh_exec_output *ret,
                                 struct err *err)
{
    enum ssh_exec_read result;

    free(steal_ptr(&exec->current));
    pthread_mutex_lock(&exec->channel->session->mu);
    result = next(exec, err);
    pthread_mutex_unlock(&exec->channel->session->mu);
    if (result == SSH_EXEC_OUTPUT)
        *ret = (struct ssh_exec_output){
            .stream = exec->current->stream ? SSH_EXEC_STDERR : SSH_EXEC_STDOUT,
            .data = exec->current->data,
            .len = exec->current->len,
        };
    return result;
}

const struct ssh_exec_result *ssh_exec_result(const struct ssh_exec *exec)
{
    return &exec->channel->result;
}

ssize_t ssh_exec_write(struct ssh_exec *exec, const void *data, size_t len, struct err *err)
{
    struct ssh_channel *c = exec->channel;
    struct ssh_queue pieces;
    const char *from = data;
    size_t taken = 0, room;

    if (exec->stdin_closed)
        return err_set(err, ERR_CONFLICT, "the command's standard input is closed");
    pthread_mutex_lock(&c->session->mu);
    room = c->state == SSH_CHANNEL_ENDED  ? len
           : c->out.bytes < SSH_OUT_BYTES ? SSH_OUT_BYTES - c->out.bytes
                                          : 0;
    c->starved = room == 0;
    pthread_mutex_unlock(&c->session->mu);
    /* Only this thread adds to `out`: the room can but grow. */
    ssh_queue_init(&pieces);
    while (taken < len && taken < room) {
        const size_t rest = len - taken < room - taken ? len - taken : room - taken;
        const size_t part = rest < CHUNK_BYTES ? rest : CHUNK_BYTES;
        struct ssh_chunk *chunk = xmalloc(sizeof(*chunk) + part);

        *chunk = (struct ssh_chunk){.len = part};
        memcpy(chunk->data, from + taken, part);
        ssh_queue_push(&pieces, chunk);
        taken += part;
    }
    if (!taken)
        return 0;
    pthread_mutex_lock(&c->session->mu);
    if (c->state != SSH_CHANNEL_ENDED) {
        struct ssh_chunk *chunk;

        while ((chunk = ssh_queue_pop(&pieces)))
            ssh_queue_push(&c->out, chunk);
        ssh_session_wake(c->session);
    }
    pthread_mutex_unlock(&c->session->mu);
    ssh_queue_release(&pieces);
    return (ssize_t)taken;
}

int ssh_exec_close_stdin(struct ssh_exec *exec, struct err *err)
{
    struct ssh_channel *c = exec->channel;

    (void)err;
    exec->stdin_closed = true;
    pthread_mutex_lock(&c->session->mu);
    c->eof_asked = true;
    ssh_session_wake(c->session);
    pthread_mutex_unlock(&c->session->mu);
    return 0;
}

void ssh_exec_resize(struct ssh_exec *exec, int columns, int rows)
{
    struct ssh_channel *c = exec->channel;

    pthread_mutex_lock(&c->session->mu);
    c->columns = columns;
    c->rows = rows;
    c->resized = true;
    ssh_session_wake(c->session);
    pthread_mutex_unlock(&c->session->mu);
}

size_t ssh_exec_queued(struct ssh_exec *exec)
{
    struct ssh_channel *c = exec->channel;
    size_t bytes;

    pthread_mutex_lock(&c->session->mu);
    bytes = c->out.bytes;
    pthread_mutex_unlock(&c->session->mu);
    return bytes;
}

int ssh_exec_fd(const struct ssh_exec *exec)
{
    return exec->channel->event_fd;
}

int ssh_exec_wait(const struct ctx *ctx, struct ssh_exec *exec, struct pollfd *fds, size_t count,
                  int timeout_ms, struct err *err)
{
    struct pollfd all[FOREIGN_MAX + 1] = {{.fd = exec->channel->event_fd, .events = POLLIN}};
    int ready;

    if (count > FOREIGN_MAX)
        return err_set(err, ERR_LIMIT, "ssh: %zu descriptors are too many to wait for", count);
    if (count)
        memcpy(all + 1, fds, count * sizeof(*fds));
    ready = ctx_poll(ctx, all, count + 1, timeout_ms, err);
    if (ready < 0)
        return -1;
    if (count)
        memcpy(fds, all + 1, count * sizeof(*fds));
    return ready > 0;
}
