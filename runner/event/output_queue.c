#include "event/output_queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/vec.h"

/* Bytes of one descriptor in a row. */
struct run {
    int fd;
    size_t size;
};

struct batch {
    struct buf bytes;
    VEC(struct run)
    runs;
};

enum {
    FDS_MAX = 3,
    /* Behind a batch of so much more is to be expected: the writer then sleeps for a moment, and
     * finds a large batch, where to be woken for every piece would cost as much as to write it. */
    NAP_FROM = 16 << 10,
    NAP_NS = 300 * 1000,
};

struct output_queue {
    struct output_writer *writer; /* NULL: descriptors are written to */
    size_t enough;                /* output_writer */
    pthread_mutex_t mu;           /* guards all below, except what the writer has taken */
    pthread_cond_t changed;
    struct batch pending;
    int64_t since_ms;     /* when the first of pending.bytes came; only with `enough` */
    size_t begun_at;      /* output_queue_begin(): length of pending.bytes then */
    struct batch writing; /* the writer's alone */
    atomic_size_t writing_left;
    int room_fd;
    int ended_fd;     /* readable when the writer has ended */
    atomic_bool full; /* changed under mu */
    bool stop;
    bool broken[FDS_MAX]; /* a write to this descriptor failed; the writer's alone until it ended */
    struct err failure;
    pthread_t thread;
};

static void keep_failure(struct output_queue *q, int result, const struct err *err)
{
    if (result < 0 && !q->failure.code)
        q->failure = *err;
}

static void write_run(struct output_queue *q, int fd, char *data, size_t size)
{
    struct err err = ERR_INIT;

    if (q->writer) {
        keep_failure(q, q->writer->write(q->writer, fd, data, size, &err), &err);
        return;
    }
    if (fd < FDS_MAX && q->broken[fd])
        return;
    if (fs_write_all(fd, data, size, &err) == 0)
        return;
    if (fd < FDS_MAX)
        q->broken[fd] = true;
    if (!q->failure.code) {
        err_wrap(&err, "cannot write to %s",
                 fd == STDOUT_FILENO ? "standard output" : "standard error");
        q->failure = err;
    }
}

static void write_batch(struct output_queue *q)
{
    char *at = q->writing.bytes.data;
    struct err err = ERR_INIT;

    vec_foreach (struct run *, run, &q->writing.runs) {
        write_run(q, run->fd, at, run->size);
        atomic_fetch_sub(&q->writing_left, run->size);
        at += run->size;
    }
    if (q->writer && q->writer->flush)
        keep_failure(q, q->writer->flush(q->writer, &err), &err);
    q->writing.runs.len = 0;
    if (q->writing.bytes.cap > 2 * OUTPUT_QUEUE_MARK)
        buf_release(&q->writing.bytes);
    else
        buf_reset(&q->writing.bytes);
}

/* With the queue locked; the more it has, the more is written at once. */
static void nap(struct output_queue *q)
{
    const struct timespec time = {.tv_nsec = NAP_NS};

    pthread_mutex_unlock(&q->mu);
    nanosleep(&time, NULL);
    pthread_mutex_lock(&q->mu);
}

/* Waits, with the lock held, until there is something that need not wait any more. */
static void await_batch(struct output_queue *q)
{
    struct timespec until;
    int64_t due_ms;

    while (!q->pending.bytes.len && !q->stop)
        pthread_cond_wait(&q->changed, &q->mu);
    if (!q->enough)
        return;
    due_ms = q->since_ms + q->writer->delay_ms;
    until = (struct timespec){.tv_sec = (time_t)(due_ms / 1000),
                              .tv_nsec = (long)(due_ms % 1000) * 1000000};
    while (q->pending.bytes.len < q->enough && !q->stop) {
        if (pthread_cond_timedwait(&q->changed, &q->mu, &until) == ETIMEDOUT)
            return;
    }
}

static void *writer_main(void *arg)
{
    struct output_queue *q = arg;
    size_t wrote = 0; /* the last time */

    pthread_mutex_lock(&q->mu);
    for (;;) {
        struct batch taken;

        if (!q->enough && wrote >= NAP_FROM && q->pending.bytes.len < OUTPUT_QUEUE_MARK / 2 &&
            !q->stop)
            nap(q);
        await_batch(q);
        if (!q->pending.bytes.len)
            break;
        taken = q->pending;
        q->pending = q->writing;
        q->writing = taken;
        wrote = taken.bytes.len;
        atomic_store(&q->writing_left, wrote);
        if (atomic_load(&q->full)) {
            atomic_store(&q->full, false);
            eventfd_write(q->room_fd, 1);
        }
        pthread_mutex_unlock(&q->mu);
        write_batch(q);
        pthread_mutex_lock(&q->mu);
    }
    pthread_mutex_unlock(&q->mu);
    eventfd_write(q->ended_fd, 1);
    return NULL;
}

int output_queue_new_for(struct output_writer *writer, struct output_queue **ret, struct err *err)
{
    struct output_queue *q = xcalloc(1, sizeof(*q));
    pthread_condattr_t monotonic;
    int failed;

    q->writer = writer;
    q->enough = writer ? writer->enough : 0;
    pthread_mutex_init(&q->mu, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&q->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    q->pending.bytes = q->writing.bytes = (struct buf)BUF_INIT;
    q->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    q->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->room_fd < 0 || q->ended_fd < 0)
        failed = errno;
    else
        failed = pthread_create(&q->thread, NULL, writer_main, q);
    if (failed) {
        cleanup_fd(&q->room_fd);
        cleanup_fd(&q->ended_fd);
        free(q);
        errno = failed;
        return err_errno(err, "cannot start the output thread");
    }
    *ret = q;
    return 0;
}

int output_queue_new(struct output_queue **ret, struct err *err)
{
    return output_queue_new_for(NULL, ret, err);
}

struct buf *output_queue_begin(struct output_queue *q)
{
    pthread_mutex_lock(&q->mu);
    q->begun_at = q->pending.bytes.len;
    return &q->pending.bytes;
}

void output_queue_commit(struct output_queue *q, int fd)
{
    size_t size = q->pending.bytes.len - q->begun_at;
    struct run *last = q->pending.runs.len ? &q->pending.runs.items[q->pending.runs.len - 1] : NULL;
    eventfd_t ignored;

    if (size && last && last->fd == fd)
        last->size += size;
    else if (size)
        vec_push(&q->pending.runs, ((struct run){fd, size}));
    if (!atomic_load(&q->full) && q->pending.bytes.len >= OUTPUT_QUEUE_MARK) {
        eventfd_read(q->room_fd, &ignored);
        atomic_store(&q->full, true);
    }
    if (q->enough && !q->begun_at)
        q->since_ms = clock_monotonic_ms();
    /* In between, the writer has nothing to wake up for. */
    if (!q->begun_at || (q->begun_at < q->enough && q->pending.bytes.len >= q->enough))
        pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->mu);
}

void output_queue_add(struct output_queue *q, int fd, const void *data, size_t size)
{
    buf_add(output_queue_begin(q), data, size);
    output_queue_commit(q, fd);
}

int output_queue_room_fd(struct output_queue *q)
{
    return atomic_load(&q->full) ? q->room_fd : -1;
}

static void stop(struct output_queue *q)
{
    pthread_mutex_lock(&q->mu);
    q->stop = true;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->mu);
}

int output_queue_drain(struct output_queue *q, const struct ctx *ctx)
{
    struct pollfd ended = {.fd = q->ended_fd, .events = POLLIN};

    stop(q);
    return ctx_poll(ctx, &ended, 1, -1, NULL) < 0 ? -1 : 0;
}

size_t output_queue_unwritten(struct output_queue *q)
{
    size_t bytes;

    pthread_mutex_lock(&q->mu);
    bytes = q->pending.bytes.len + atomic_load(&q->writing_left);
    pthread_mutex_unlock(&q->mu);
    return bytes;
}

void output_queue_abandon(struct output_queue *q)
{
    pthread_detach(q->thread);
}

int output_queue_finish(struct output_queue *q, struct err *err)
{
    int result = 0;

    if (!q)
        return 0;
    stop(q);
    pthread_join(q->thread, NULL);
    if (q->failure.code) {
        result = -1;
        if (err)
            *err = q->failure;
    }
    close(q->room_fd);
    close(q->ended_fd);
    buf_release(&q->pending.bytes);
    buf_release(&q->writing.bytes);
    vec_release(&q->pending.runs);
    vec_release(&q->writing.runs);
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->mu);
    free(q);
    return result;
}
