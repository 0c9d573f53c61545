#include "feed/feed.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/state_dir.h"
#include "feed/inside.h"

/* --- subscribers, with the feed locked --- */

static struct feed *feed_of(const struct feed_subscriber *s)
{
    return s->channel->run->feed;
}

void feed_wake_looker(struct feed *feed)
{
    eventfd_write(feed->wake_fd, 1);
}

static size_t waiting_chunks(const struct feed_subscriber *s)
{
    return s->queue.len - s->queue_at;
}

void feed_kick(struct feed_subscriber *s)
{
    struct feed_run *run = s->channel->run;

    if (!s->asked || s->at_head || s->busy || s->ended || waiting_chunks(s) || !run->record ||
        (s->ahead && !run->ended && run->looks_done <= s->wait_since))
        return;
    s->busy = true;
    s->next_job = NULL;
    *run->feed->jobs_end = s;
    run->feed->jobs_end = &s->next_job;
    pthread_cond_signal(&run->feed->work);
}

void feed_tell(struct feed_subscriber *s)
{
    if (!s->asked || s->gone || !(waiting_chunks(s) || s->ended))
        return;
    s->asked = false;
    s->wake(s->wake_arg);
}

void feed_push(struct feed_subscriber *s, struct feed_chunk *chunk)
{
    if (s->queue_at == s->queue.len)
        s->queue_at = s->queue.len = 0;
    vec_push(&s->queue, chunk);
    s->queued += chunk->bytes.len;
}

void feed_join(struct feed_subscriber *s)
{
    s->at_head = true;
    s->ahead = false;
    s->skip_behind = 0;
    if (!waiting_chunks(s)) {
        s->position = s->channel->run->head;
        s->skip = 0;
    }
    s->channel->at_head++;
}

static void leave_head(struct feed_subscriber *s)
{
    if (s->at_head)
        s->channel->at_head--;
    s->at_head = false;
}

static void drop_queue(struct feed_subscriber *s)
{
    for (size_t i = s->queue_at; i < s->queue.len; i++)
        feed_chunk_unref(s->queue.items[i]);
    vec_release(&s->queue);
    s->queue_at = s->queued = 0;
}

void feed_fall_behind(struct feed_subscriber *s)
{
    leave_head(s);
    drop_queue(s);
    feed_kick(s);
}

void feed_end(struct feed_subscriber *s)
{
    leave_head(s);
    s->ended = true;
    feed_tell(s);
}

void feed_outcome_set(struct feed_outcome *o, const struct feed_done *done)
{
    snprintf(o->status, sizeof(o->status), "%s", done->status);
    snprintf(o->reason, sizeof(o->reason), "%s", done->reason ? done->reason : "");
    free(o->error);
    o->error = xstrdup_null(done->error);
    o->has_exit_code = done->exit_code != NULL;
    o->exit_code = done->exit_code ? *done->exit_code : 0;
}

void feed_outcome_done(const struct feed_outcome *outcome, struct feed_done *ret)
{
    *ret = (struct feed_done){.status = outcome->status,
                              .reason = outcome->reason,
                              .error = outcome->error,
                              .exit_code = outcome->has_exit_code ? &outcome->exit_code : NULL};
}

void feed_give_done(struct feed_subscriber *s)
{
    struct feed_run *run = s->channel->run;
    struct feed_formatter formatter;
    struct feed_done done;

    feed_outcome_done(&run->outcome, &done);
    feed_formatter_init(&formatter, s->channel->format, run->id, run->feed->headroom);
    formatter.position = run->head;
    feed_format_done(&formatter, &done);
    feed_push(s, feed_formatter_take(&formatter, run->head));
    feed_formatter_release(&formatter);
    feed_end(s);
}

void feed_subscriber_free(struct feed_subscriber *s)
{
    struct feed_run *run = s->channel->run;

    leave_head(s);
    drop_queue(s);
    if (s->prev)
        s->prev->next = s->next;
    else
        s->channel->subscribers = s->next;
    if (s->next)
        s->next->prev = s->prev;
    if (!--run->subscriber_count)
        feed_wake_looker(run->feed);
    free(s);
}

struct record_log_filter feed_filter(const struct feed_channel *channel)
{
    return (struct record_log_filter){.node = channel ? channel->node : NULL,
                                      .streams = RECORD_STDOUT_BIT | RECORD_STDERR_BIT};
}

/* --- subscribing --- */

static struct feed_run **bucket(struct feed *feed, const char *id)
{
    unsigned hash = 0;

    while (*id)
        hash = hash * 31 + (unsigned char)*id++;
    return &feed->runs[hash % FEED_BUCKETS];
}

static struct feed_run *find_run(struct feed *feed, const char *id)
{
    struct feed_run *run = *bucket(feed, id);

    while (run && strcmp(run->id, id) != 0)
        run = run->next;
    return run;
}

static struct feed_run *get_run(struct feed *feed, const char *id)
{
    struct feed_run *run = find_run(feed, id);

    if (run)
        return run;
    run = xcalloc(1, sizeof(*run));
    run->feed = feed;
    run->id = xstrdup(id);
    run->wanted = true;
    run->next = *bucket(feed, id);
    *bucket(feed, id) = run;
    feed_wake_looker(feed);
    return run;
}

static struct feed_channel *get_channel(struct feed_run *run, enum feed_format format,
                                        const char *node)
{
    struct feed_channel *channel = run->channels;

    while (channel && (channel->format != format || !channel->node != !node ||
                       (node && strcmp(channel->node, node) != 0)))
        channel = channel->next;
    if (channel)
        return channel;
    channel = xcalloc(1, sizeof(*channel));
    channel->run = run;
    channel->format = format;
    channel->node = xstrdup_null(node);
    channel->next = run->channels;
    run->channels = channel;
    return channel;
}

int feed_subscribe(struct feed *feed, const struct feed_subscription *subscription,
                   struct feed_subscriber **ret, struct err *err)
{
    const char *node = subscription->node && *subscription->node ? subscription->node : NULL;
    struct feed_subscriber *s;

    if (!record_id_is_valid(subscription->run_id))
        return err_set(err, ERR_INVALID, "\"%.40s\" is not the id of a run", subscription->run_id);
    s = xcalloc(1, sizeof(*s));
    s->position = subscription->position;
    s->tail = subscription->tail ? *subscription->tail : -1;
    s->wake = subscription->wake;
    s->wake_arg = subscription->wake_arg;
    s->asked = true;
    pthread_mutex_lock(&feed->mu);
    s->channel = get_channel(get_run(feed, subscription->run_id), subscription->format, node);
    s->next = s->channel->subscribers;
    if (s->next)
        s->next->prev = s;
    s->channel->subscribers = s;
    s->channel->run->subscriber_count++;
    if (s->channel->run->ended && !s->channel->run->record)
        feed_give_done(s);
    else
        feed_kick(s);
    pthread_mutex_unlock(&feed->mu);
    *ret = s;
    return 0;
}

void feed_unsubscribe(struct feed_subscriber *s)
{
    struct feed *feed = s ? feed_of(s) : NULL;

    if (!s)
        return;
    pthread_mutex_lock(&feed->mu);
    if (s->busy)
        s->gone = true;
    else
        feed_subscriber_free(s);
    pthread_mutex_unlock(&feed->mu);
}

enum feed_got feed_next(struct feed_subscriber *s, struct feed_chunk **ret)
{
    struct feed *feed = feed_of(s);
    enum feed_got got = FEED_CHUNK;

    pthread_mutex_lock(&feed->mu);
    if (waiting_chunks(s)) {
        *ret = s->queue.items[s->queue_at++];
        s->queued -= (*ret)->bytes.len;
        s->position = (*ret)->end;
        s->skip = s->skip_behind;
    } else if (s->ended) {
        got = FEED_END;
    } else {
        got = FEED_NONE_YET;
        s->asked = true;
        feed_kick(s);
    }
    pthread_mutex_unlock(&feed->mu);
    return got;
}

struct record_position feed_position(struct feed_subscriber *s)
{
    struct feed *feed = feed_of(s);
    struct record_position position;

    pthread_mutex_lock(&feed->mu);
    position = s->position;
    pthread_mutex_unlock(&feed->mu);
    return position;
}

void feed_conclude(struct feed *feed, const char *run_id, const struct feed_done *done)
{
    struct feed_run *run;

    pthread_mutex_lock(&feed->mu);
    run = find_run(feed, run_id);
    if (run && !run->record && !run->ended) {
        feed_outcome_set(&run->outcome, done);
        run->ended = true;
        for (struct feed_channel *channel = run->channels; channel; channel = channel->next) {
            for (struct feed_subscriber *s = channel->subscribers; s; s = s->next)
                feed_give_done(s);
        }
    }
    pthread_mutex_unlock(&feed->mu);
}

/* --- the feed --- */

static int start_thread(struct feed *feed, pthread_t *thread, void *(*run)(void *feed),
                        struct err *err)
{
    sigset_t all, before;
    int failed;

    /* Signals are handled elsewhere. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(thread, NULL, run, feed);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        errno = failed;
        return err_errno(err, "cannot start a thread to follow runs");
    }
    feed->thread_count++;
    return 0;
}

static int start(struct feed *feed, struct err *err)
{
    CLEANUP_FD int dir = state_dir_open(feed->runs_dir, err);

    if (dir < 0)
        return -1;
    feed_watch_init(&feed->watch, feed->runs_dir);
    feed->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (feed->wake_fd < 0)
        return err_errno(err, "cannot follow runs");
    if (start_thread(feed, &feed->looker, feed_look, err) < 0)
        return -1;
    for (size_t i = 0; i < FEED_READERS; i++) {
        if (start_thread(feed, &feed->readers[i], feed_read, err) < 0)
            return -1;
    }
    return 0;
}

int feed_new(const struct feed_options *options, struct feed **ret, struct err *err)
{
    struct feed *feed = xcalloc(1, sizeof(*feed));

    feed->runs_dir = fs_absolute(options->runs_dir);
    feed->headroom = options->headroom;
    pthread_mutex_init(&feed->mu, NULL);
    pthread_cond_init(&feed->work, NULL);
    feed->jobs_end = &feed->jobs;
    feed->wake_fd = feed->watch.fd = -1;
    if (start(feed, err) < 0) {
        feed_free(feed);
        return -1;
    }
    *ret = feed;
    return 0;
}

static void stop_threads(struct feed *feed)
{
    pthread_mutex_lock(&feed->mu);
    feed->stop = true;
    pthread_cond_broadcast(&feed->work);
    pthread_mutex_unlock(&feed->mu);
    if (feed->thread_count) {
        feed_wake_looker(feed);
        pthread_join(feed->looker, NULL);
    }
    for (size_t i = 1; i < feed->thread_count; i++)
        pthread_join(feed->readers[i - 1], NULL);
}

void feed_free(struct feed *feed)
{
    if (!feed)
        return;
    stop_threads(feed);
    for (size_t i = 0; i < FEED_BUCKETS; i++) {
        for (struct feed_run *run = feed->runs[i], *next; run; run = next) {
            next = run->next;
            feed_run_free(run);
        }
    }
    feed_watch_release(&feed->watch);
    cleanup_fd(&feed->wake_fd);
    pthread_cond_destroy(&feed->work);
    pthread_mutex_destroy(&feed->mu);
    free(feed->runs_dir);
    free(feed);
}
