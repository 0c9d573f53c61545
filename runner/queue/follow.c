/* What the records of runs that go on say, into the store: one transaction for all that have
 * something new, at most ten times a second. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "queue/inside.h"

enum {
    FLUSH_MS = 100,
    /* At all of them, whatever was told: some file systems tell nothing. */
    LOOK_MS = 1000,
    /* The kernel tells that a file was closed an instant before it gives up its lock. */
    CLOSING_MS = 2,
    CLOSING_LOOKS = 100,
};

void queue_follow_init(struct queue *queue)
{
    queue->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
}

int queue_follow(struct queue *queue, struct active *active, const struct store_run *known,
                 struct err *err)
{
    CLEANUP_FREE char *events = NULL;

    if (!active->following) {
        if (following_open(queue->history, active->id, &active->following, err) < 0)
            return -1;
        following_set_known(active->following, known);
        events = xasprintf("%s/events", following_directory(active->following));
        if (queue->inotify_fd >= 0)
            active->watch =
                inotify_add_watch(queue->inotify_fd, events, IN_MODIFY | IN_CLOSE_WRITE);
        vec_push(&queue->followed, active);
    }
    active->dirty = true;
    pthread_mutex_lock(&queue->mu);
    active->stage = ACTIVE_RUNNING;
    queue_notify(queue);
    pthread_mutex_unlock(&queue->mu);
    return 0;
}

/* --- what is told --- */

static void take_event(struct queue *queue, const struct inotify_event *event)
{
    for (size_t i = 0; i < queue->followed.len; i++) {
        struct active *active = queue->followed.items[i];

        if (active->watch != event->wd && !(event->mask & IN_Q_OVERFLOW))
            continue;
        active->dirty = true;
        if (event->mask & IN_CLOSE_WRITE)
            active->closing_left = CLOSING_LOOKS;
    }
}

void queue_hear_records(struct queue *queue)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t got;

    while ((got = read(queue->inotify_fd, events, sizeof(events))) > 0) {
        for (const char *at = events; at < events + got;) {
            const struct inotify_event *event = (const struct inotify_event *)at;

            take_event(queue, event);
            at += sizeof(*event) + event->len;
        }
    }
}

/* --- one run --- */

/* What the owner has not been told yet; the store has it. */
static void tell(struct queue *queue, struct active *active, enum state state)
{
    if (active->told == state)
        return;
    active->told = state;
    pthread_mutex_lock(&queue->mu);
    queue_changed(queue, active->id, state);
    pthread_mutex_unlock(&queue->mu);
}

/* Another process has the store follow, too: begins where that has come to. */
static void catch_up(struct queue *queue, struct active *active)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct err why = ERR_INIT;

    if (store_get(&queue->ctx, queue->store, active->id, &runs, &why) < 0) {
        if (!queue_store_is_away(queue, &why)) {
            log_warn("queue", "run %s is not followed any more: %s", active->id, why.message);
            active->written = true;
        }
        return;
    }
    following_set_known(active->following, &runs.items[0]);
    if (!state_is_final(runs.items[0].state))
        return;
    active->written = true;
    tell(queue, active, runs.items[0].state);
}

static void take_result(struct queue *queue, struct active *active, enum err_code result)
{
    if (result != ERR_NONE) {
        catch_up(queue, active);
        return;
    }
    following_written(active->following);
    active->dirty = false;
    active->written = following_has_ended(active->following);
    tell(queue, active, following_row(active->following)->state);
}

static void read_record(struct active *active)
{
    following_read(active->following);
    active->seen = true;
}

/* Its process has ended; the launcher knows better if it is one of its own. */
static bool has_gone(const struct active *active)
{
    return !active->of_launcher && active->seen && !following_is_written(active->following);
}

/* --- all of them --- */

/* Reads what is new, and collects what the store is to know of it. */
static size_t collect(struct queue *queue, struct store_change *changes, struct active **whose)
{
    size_t count = 0;

    for (size_t i = 0; i < queue->followed.len; i++) {
        struct active *active = queue->followed.items[i];
        struct err why = ERR_INIT;
        int changed;

        if (!active->dirty)
            continue;
        read_record(active);
        active->dirty = !active->written;
        if (active->written)
            continue;
        changed = following_change(active->following, &changes[count], &why);
        if (changed < 0) {
            log_warn("queue", "%s; it is not followed any more", why.message);
            active->written = true;
        }
        if (changed > 0)
            whose[count++] = active;
        else
            active->dirty = false;
    }
    return count;
}

/* False: the store does not answer. */
static bool write_changes(struct queue *queue, struct store_change *changes, struct active **whose,
                          size_t count)
{
    struct err why = ERR_INIT;

    if (store_write(&queue->ctx, queue->store, changes, count, &why) == 0) {
        for (size_t i = 0; i < count; i++)
            take_result(queue, whose[i], changes[i].result);
        return true;
    }
    if (queue_store_is_away(queue, &why))
        return false;
    /* One that cannot be written does not keep the others from it. */
    for (size_t i = 0; i < count && count > 1; i++) {
        if (!write_changes(queue, &changes[i], &whose[i], 1))
            return false;
    }
    if (count == 1) {
        log_warn("queue", "%s; it is not followed any more", why.message);
        whose[0]->written = true;
    }
    return true;
}

static void flush(struct queue *queue)
{
    CLEANUP_FREE struct store_change *changes =
        xcalloc(queue->followed.len + 1, sizeof(struct store_change));
    CLEANUP_FREE struct active **whose = xcalloc(queue->followed.len + 1, sizeof(struct active *));
    size_t count = collect(queue, changes, whose);

    queue->flushed_ms = clock_monotonic_ms();
    if (count)
        (void)write_changes(queue, changes, whose, count);
}

static bool is_time(const struct queue *queue, int64_t now)
{
    return now >= queue->flushed_ms + FLUSH_MS && now >= queue->store_retry_ms;
}

static bool has_dirty(const struct queue *queue)
{
    for (size_t i = 0; i < queue->followed.len; i++) {
        if (queue->followed.items[i]->dirty)
            return true;
    }
    return false;
}

/* Removes what has ended for the store and by itself. */
static void sweep(struct queue *queue)
{
    pthread_mutex_lock(&queue->mu);
    for (size_t i = queue->followed.len; i-- > 0;) {
        struct active *active = queue->followed.items[i];

        if (!active->over && has_gone(active)) {
            active->over = true;
            queue_notify(queue);
        }
        if (!active->over || !active->written)
            continue;
        following_finish(active->following);
        if (active->watch >= 0)
            inotify_rm_watch(queue->inotify_fd, active->watch);
        memmove(&queue->followed.items[i], &queue->followed.items[i + 1],
                (--queue->followed.len - i) * sizeof(struct active *));
        queue_remove_active(queue, active);
    }
    pthread_mutex_unlock(&queue->mu);
}

/* Those whose record is closed are over as soon as the lock is free. */
static void look_at_closing(struct queue *queue)
{
    for (size_t i = 0; i < queue->followed.len; i++) {
        struct active *active = queue->followed.items[i];

        if (!active->closing_left)
            continue;
        active->closing_left--;
        read_record(active);
        if (!following_is_written(active->following))
            active->closing_left = 0;
    }
}

void queue_follow_all(struct queue *queue)
{
    int64_t now = clock_monotonic_ms();

    if (now >= queue->looked_ms + LOOK_MS) {
        queue->looked_ms = now;
        for (size_t i = 0; i < queue->followed.len; i++)
            queue->followed.items[i]->dirty = true;
    }
    look_at_closing(queue);
    if (has_dirty(queue) && is_time(queue, now))
        flush(queue);
    sweep(queue);
}

static int least(int a, int64_t b)
{
    int ms = b < 0 ? 0 : (int)b;

    return a < 0 || ms < a ? ms : a;
}

int queue_follow_wait_ms(const struct queue *queue)
{
    int64_t now = clock_monotonic_ms();
    int wait = -1;

    for (size_t i = 0; i < queue->followed.len; i++) {
        const struct active *active = queue->followed.items[i];

        wait = least(wait, queue->looked_ms + LOOK_MS - now);
        if (active->closing_left)
            wait = least(wait, CLOSING_MS);
        if (active->watch < 0)
            wait = least(wait, FLUSH_MS);
        if (active->dirty)
            wait = least(wait, queue->store_retry_ms > now ? queue->store_retry_ms - now
                                                           : queue->flushed_ms + FLUSH_MS - now);
    }
    return wait;
}
