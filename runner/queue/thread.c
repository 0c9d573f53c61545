/* The thread of the queue: looks at everything that may have changed, and waits until it is told of
 * something, or until it is time to write or to look again. */
#include <unistd.h>

#include "base/clock.h"
#include "base/logger.h"
#include "queue/inside.h"

/* How often it looks at what other servers have left; what is submitted here needs no such look. */
enum { OTHERS_MS = 5000 };
/* How often it looks for what the store may still come to write. */
enum { DOUBTS_MS = 1000 };

static void drain_wake(struct queue *queue)
{
    uint64_t count;

    (void)!read(queue->wake_fd, &count, sizeof(count));
}

static bool is_closing(struct queue *queue)
{
    bool closing;

    pthread_mutex_lock(&queue->mu);
    closing = queue->closing;
    pthread_mutex_unlock(&queue->mu);
    return closing;
}

/* Something is to be written into the store that did not answer. */
static bool has_unwritten(struct queue *queue)
{
    bool found;

    pthread_mutex_lock(&queue->mu);
    found = queue->order.count || queue->doubts.names.len || queue->active.len;
    pthread_mutex_unlock(&queue->mu);
    return found;
}

static void tell_owner(struct queue *queue)
{
    for (size_t i = 0;; i++) {
        struct change change;

        pthread_mutex_lock(&queue->mu);
        if (i == queue->changes.len) {
            queue->changes.len = 0;
            pthread_mutex_unlock(&queue->mu);
            return;
        }
        change = queue->changes.items[i];
        pthread_mutex_unlock(&queue->mu);
        queue->options.changed(queue->options.arg, change.id, change.state);
    }
}

static int64_t doubts_due_ms(const struct queue *queue)
{
    return queue->doubts_ms > queue->store_retry_ms ? queue->doubts_ms : queue->store_retry_ms;
}

static void settle_doubts(struct queue *queue, int64_t now)
{
    if (now < doubts_due_ms(queue))
        return;
    queue->doubts_ms = queue_settle_doubts(&queue->ctx, queue) ? now + DOUBTS_MS : 0;
}

static void look_at_others(struct queue *queue, int64_t now)
{
    struct err why = ERR_INIT;

    if (now < queue->others_ms + OTHERS_MS || now < queue->store_retry_ms)
        return;
    queue->others_ms = now;
    if (queue_recover(&queue->ctx, queue, &why) < 0 && !queue_store_is_away(queue, &why))
        log_warn("queue", "what other servers have left cannot be read: %s", why.message);
}

static void work(struct queue *queue)
{
    int64_t now = clock_monotonic_ms();

    settle_doubts(queue, now);
    queue_follow_all(queue);
    queue_search_records(queue);
    queue_start_what_can(queue);
    look_at_others(queue, now);
    tell_owner(queue);
}

static int wait_ms(struct queue *queue)
{
    int64_t now = clock_monotonic_ms();
    int64_t wait = queue->others_ms + OTHERS_MS - now;
    int follow = queue_follow_wait_ms(queue);
    int start = queue_start_wait_ms(queue);

    if (start >= 0 && start < wait)
        wait = start;
    if (follow >= 0 && follow < wait)
        wait = follow;
    if (queue->doubts_ms && doubts_due_ms(queue) - now < wait)
        wait = doubts_due_ms(queue) - now;
    if (queue->store_retry_ms && queue->store_retry_ms - now < wait && has_unwritten(queue))
        wait = queue->store_retry_ms - now;
    return wait < 0 ? 0 : (int)wait;
}

static void wait(struct queue *queue)
{
    struct pollfd fds[3] = {{.fd = queue->wake_fd, .events = POLLIN}};
    bool listens = !queue_lost_launcher(queue);
    size_t count = 1;

    if (listens)
        fds[count++] =
            (struct pollfd){.fd = queue->launcher.fd(queue->launcher.arg), .events = POLLIN};
    if (queue->inotify_fd >= 0)
        fds[count++] = (struct pollfd){.fd = queue->inotify_fd, .events = POLLIN};
    if (ctx_poll(&queue->ctx, fds, count, wait_ms(queue), NULL) <= 0)
        return;
    if (fds[0].revents)
        drain_wake(queue);
    if (listens && fds[1].revents)
        queue_hear_launcher(queue);
    if (queue->inotify_fd >= 0 && fds[count - 1].revents)
        queue_hear_records(queue);
}

void *queue_thread(void *arg)
{
    struct queue *queue = arg;

    queue->others_ms = clock_monotonic_ms();
    while (!is_closing(queue)) {
        work(queue);
        wait(queue);
    }
    return NULL;
}
