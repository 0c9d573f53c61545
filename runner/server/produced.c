#include "server/produced.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"

enum state {
    IDLE,    /* a part is to be made */
    WORKING, /* a worker makes it */
    READY,   /* it is there */
    ENDED,   /* it was the last */
};

struct produced {
    struct web_stream stream;
    struct workers *workers;
    const struct produced_ops *ops;
    void *arg;
    struct web_waker *waker;
    pthread_mutex_t mu; /* guards the rest */
    enum state state;
    bool last;   /* nothing comes behind `part` */
    bool failed; /* likewise, and it is not whole */
    bool closed;
    struct buf part;
};

static void release(struct produced *p)
{
    p->ops->release(p->arg);
    web_waker_unref(p->waker);
    buf_release(&p->part);
    pthread_mutex_destroy(&p->mu);
    free(p);
}

static void work(void *arg)
{
    struct produced *p = arg;
    struct buf part = BUF_INIT;
    bool closed;
    int more;

    pthread_mutex_lock(&p->mu);
    closed = p->closed;
    pthread_mutex_unlock(&p->mu);
    more = closed ? 0 : p->ops->produce(p->arg, &part);
    pthread_mutex_lock(&p->mu);
    closed = p->closed;
    p->last = more <= 0;
    p->failed = more < 0;
    p->state = READY;
    buf_release(&p->part);
    p->part = part;
    /* Still locked: the next close_stream() frees it. */
    if (!closed)
        web_wake(p->waker);
    pthread_mutex_unlock(&p->mu);
    if (closed)
        release(p);
}

static struct produced *of(struct web_stream *stream)
{
    return (struct produced *)(void *)stream;
}

static void open_stream(struct web_stream *stream, struct web_waker *waker)
{
    of(stream)->waker = web_waker_ref(waker);
}

static int next(struct web_stream *stream, struct web_piece *ret)
{
    struct produced *p = of(stream);
    bool begin = false;
    int result = 0;

    pthread_mutex_lock(&p->mu);
    switch (p->state) {
    case READY:
        *ret = (struct web_piece){p->part.data, p->part.len};
        p->state = p->last ? ENDED : IDLE;
        result = 1;
        break;
    case ENDED:
        result = p->failed ? WEB_BROKEN : WEB_END;
        break;
    case IDLE:
        p->state = WORKING;
        begin = true;
        break;
    case WORKING:
        break;
    }
    pthread_mutex_unlock(&p->mu);
    if (begin)
        workers_submit(p->workers, work, p);
    return result;
}

static void close_stream(struct web_stream *stream)
{
    struct produced *p = of(stream);
    bool working;

    pthread_mutex_lock(&p->mu);
    p->closed = true;
    working = p->state == WORKING;
    pthread_mutex_unlock(&p->mu);
    if (!working)
        release(p);
}

static const struct web_stream_ops stream_ops = {
    .open = open_stream,
    .next = next,
    .close = close_stream,
};

struct web_stream *produced_new(struct workers *workers, const struct produced_ops *ops, void *arg)
{
    struct produced *p = xcalloc(1, sizeof(*p));

    p->stream.ops = &stream_ops;
    p->workers = workers;
    p->ops = ops;
    p->arg = arg;
    p->part = (struct buf)BUF_INIT;
    pthread_mutex_init(&p->mu, NULL);
    return &p->stream;
}
