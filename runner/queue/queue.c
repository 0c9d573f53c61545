#include "queue/queue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/logger.h"
#include "queue/inside.h"

/* How long closing may take for what it has to write. */
enum { CLOSE_MS = 5000 };

/* --- what is active --- */

void queue_wake(struct queue *queue)
{
    const uint64_t one = 1;

    (void)!write(queue->wake_fd, &one, sizeof(one));
}

void queue_notify(struct queue *queue)
{
    const uint64_t one = 1;

    for (const struct waiter *waiter = queue->waiters; waiter; waiter = waiter->next)
        (void)!write(waiter->event_fd, &one, sizeof(one));
}

void queue_changed(struct queue *queue, const char *id, enum state state)
{
    struct change change = {.state = state};

    if (!queue->options.changed)
        return;
    memcpy(change.id, id, strlen(id) + 1);
    vec_push(&queue->changes, change);
}

struct active *queue_find_active(const struct queue *queue, const char *id)
{
    for (size_t i = 0; i < queue->active.len; i++) {
        if (strcmp(queue->active.items[i]->id, id) == 0)
            return queue->active.items[i];
    }
    return NULL;
}

struct active *queue_add_active(struct queue *queue, const char *id, const char *client,
                                int64_t priority, int64_t submitted_ms, enum active_stage stage)
{
    struct active *active = xcalloc(1, sizeof(*active));

    snprintf(active->id, sizeof(active->id), "%s", id);
    active->client = xstrdup(client);
    active->priority = priority;
    active->submitted_ms = submitted_ms;
    active->stage = stage;
    active->watch = -1;
    active->told = STATE_PENDING;
    vec_push(&queue->active, active);
    return active;
}

void queue_remove_active(struct queue *queue, struct active *active)
{
    size_t at = 0;

    while (queue->active.items[at] != active)
        at++;
    memmove(&queue->active.items[at], &queue->active.items[at + 1],
            (--queue->active.len - at) * sizeof(struct active *));
    free(active->client);
    free(active->cancel_text);
    free(active->file);
    free(active->name);
    submission_options_release(&active->options);
    free(active->failed_text);
    free(active->end_text);
    following_close(active->following);
    free(active);
    queue_notify(queue);
}

bool queue_has_room(struct queue *queue, const char *client)
{
    size_t all = 0;
    size_t of_client = 0;

    for (size_t i = 0; i < queue->active.len; i++) {
        const struct active *active = queue->active.items[i];

        all += !active->over;
        of_client += !active->over && strcmp(active->client, client) == 0;
    }
    return all < queue->max_concurrent &&
           (!queue->options.per_client || of_client < queue->options.per_client);
}

int queue_wait_change(const struct ctx *ctx, struct queue *queue, struct err *err)
{
    struct waiter waiter = {.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    struct pollfd fd = {.fd = waiter.event_fd, .events = POLLIN};
    struct waiter **at = &queue->waiters;
    int status;

    if (waiter.event_fd < 0)
        return err_errno(err, "cannot wait for the queue");
    waiter.next = queue->waiters;
    queue->waiters = &waiter;
    pthread_mutex_unlock(&queue->mu);
    status = ctx_poll(ctx, &fd, 1, -1, err);
    pthread_mutex_lock(&queue->mu);
    while (*at != &waiter)
        at = &(*at)->next;
    *at = waiter.next;
    close(waiter.event_fd);
    return status < 0 ? -1 : 0;
}

void queue_add_late(struct queue *queue, const char *id)
{
    if (!strvec_has(&queue->late, id))
        strvec_push(&queue->late, id);
}

int queue_has_record(const struct queue *queue, const char *id, struct err *err)
{
    CLEANUP_RECORD struct record *record = NULL;
    struct err why = ERR_INIT;

    if (record_open(queue->history->runs, id, &record, &why) == 0)
        return 1;
    return why.code == ERR_NOT_FOUND ? 0 : err_set(err, why.code, "%s", why.message);
}

int queue_drop(const struct ctx *ctx, struct queue *queue, const char *id, const char *taken_by,
               enum state state, const char *error, struct err *err)
{
    struct store_drop drop = {
        .id = id,
        .taken_by = taken_by,
        .state = state,
        .reason = state == STATE_FAILED ? REASON_ERROR : REASON_NONE,
        .error = error,
        .ended_ms = clock_wall_ms(),
        .exit_status = -1,
    };
    CLEANUP_FREE char *event = NULL;
    char now[CLOCK_RFC3339_SIZE];
    json_t *object = json_object();
    int status;

    clock_rfc3339(drop.ended_ms, now);
    json_object_set_new(object, "seq", json_integer(1));
    json_object_set_new(object, "event", json_string("RunEnded"));
    json_object_set_new(object, "time", json_string(now));
    json_object_set_new(object, "id", json_string(id));
    json_object_set_new(object, "status", json_string(state_name(state)));
    json_object_set_new(object, "text", json_safe_string(error));
    drop.event = event = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    status = store_drop(ctx, queue->store, &drop, err);
    if (status < 0)
        return -1;
    pthread_mutex_lock(&queue->mu);
    queue_changed(queue, id, state);
    pthread_mutex_unlock(&queue->mu);
    return 0;
}

/* --- the queue --- */

static int init(struct queue *queue, struct err *err)
{
    queue->owner_fd = queue->wake_fd = queue->submit_fd = queue->inotify_fd = -1;
    queue->requests_end = &queue->requests;
    pthread_mutex_init(&queue->mu, NULL);
    if (ctx_init_root(&queue->ctx, NULL, err) < 0)
        return -1;
    queue->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    queue->submit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return queue->wake_fd < 0 || queue->submit_fd < 0 ? err_errno(err, "cannot make a queue") : 0;
}

int queue_open(const struct ctx *ctx, struct history *history,
               const struct queue_launcher *launcher, const struct queue_options *options,
               struct queue **ret, struct err *err)
{
    CLEANUP_QUEUE struct queue *queue = xcalloc(1, sizeof(*queue));

    queue->history = history;
    queue->store = history->store;
    queue->launcher = *launcher;
    if (options)
        queue->options = *options;
    if (!queue->options.max_waiting)
        queue->options.max_waiting = QUEUE_MAX_WAITING;
    queue->max_concurrent = queue->options.max_concurrent;
    if (!queue->max_concurrent)
        queue->max_concurrent = QUEUE_MAX_CONCURRENT;
    if (init(queue, err) < 0 || queue_lock_owner(queue, err) < 0)
        return -1;
    queue_follow_init(queue);
    if (queue_recover(ctx, queue, err) < 0)
        return err_wrap(err, "the queue cannot be read");
    if (pthread_create(&queue->thread, NULL, queue_thread, queue) != 0)
        return err_set(err, ERR_SYSTEM, "cannot start the thread of the queue");
    queue->has_thread = true;
    if (pthread_create(&queue->writer, NULL, queue_writer, queue) != 0)
        return err_set(err, ERR_SYSTEM, "cannot start the thread that writes submissions");
    queue->has_writer = true;
    *ret = steal_ptr(&queue);
    return 0;
}

/* What has not been handed to the launcher can be started by the next server; what was refused, and
 * may have been written after all, must not be. */
static void leave_to_next(struct queue *queue)
{
    struct ctx ctx;
    size_t doubts;

    ctx_init_cleanup(&ctx, CLOSE_MS);
    doubts = queue_settle_doubts(&ctx, queue);
    if (doubts)
        log_warn("queue", "the next server may run %zu pipelines that were refused here", doubts);
    for (size_t i = 0; i < queue->active.len; i++) {
        const struct active *active = queue->active.items[i];

        /* Those that it is not done for have it done by the next server. */
        if (active->stage == ACTIVE_TAKEN)
            (void)!store_give_back(&ctx, queue->store, active->id, queue->owner, NULL);
    }
    ctx_release(&ctx);
}

void queue_stop(struct queue *queue)
{
    if (!queue || !queue->has_thread)
        return;
    pthread_mutex_lock(&queue->mu);
    queue->closing = true;
    pthread_mutex_unlock(&queue->mu);
    ctx_cancel(&queue->ctx, CTX_CAUSE_USER);
    queue_wake(queue);
    pthread_join(queue->thread, NULL);
    if (queue->has_writer)
        pthread_join(queue->writer, NULL);
    queue->has_thread = queue->has_writer = false;
    queue->stopped = true;
}

void queue_close(struct queue *queue)
{
    if (!queue)
        return;
    queue_stop(queue);
    if (queue->stopped)
        leave_to_next(queue);
    while (queue->active.len)
        queue_remove_active(queue, queue->active.items[0]);
    vec_release(&queue->active);
    vec_release(&queue->followed);
    vec_release(&queue->changes);
    unsettled_release(&queue->doubts);
    strvec_release(&queue->late);
    order_release(&queue->order);
    queue_unlock_owner(queue);
    unsettled_release(&queue->gone);
    cleanup_fd(&queue->inotify_fd);
    cleanup_fd(&queue->wake_fd);
    cleanup_fd(&queue->submit_fd);
    ctx_release(&queue->ctx);
    pthread_mutex_destroy(&queue->mu);
    free(queue);
}

/* --- looking --- */

size_t queue_position(struct queue *queue, const char *id)
{
    size_t position;

    pthread_mutex_lock(&queue->mu);
    position = order_position(&queue->order, id);
    pthread_mutex_unlock(&queue->mu);
    return position;
}

void queue_items_release(struct queue_items *items)
{
    vec_release(items);
}

static void list_active(const struct queue *queue, size_t offset, size_t limit,
                        struct queue_items *ret)
{
    for (size_t i = 0; i < queue->active.len; i++) {
        const struct active *active = queue->active.items[i];
        struct queue_item item = {
            .running = active->stage == ACTIVE_RUNNING,
            .priority = active->priority,
            .submitted_ms = active->submitted_ms,
        };

        if (active->over)
            continue;
        memcpy(item.id, active->id, sizeof(item.id));
        if (ret->total++ >= offset && ret->len < limit)
            vec_push(ret, item);
    }
}

static void list_waiting(struct queue *queue, size_t offset, size_t limit, struct queue_items *ret)
{
    const struct order_item **items = order_list(&queue->order);

    for (size_t i = 0; i < queue->order.count; i++) {
        struct queue_item item = {
            .position = i + 1,
            .priority = items[i]->priority,
            .submitted_ms = items[i]->submitted_ms,
        };

        memcpy(item.id, items[i]->id, sizeof(item.id));
        if (ret->total++ >= offset && ret->len < limit)
            vec_push(ret, item);
    }
    free(items);
}

void queue_list(struct queue *queue, size_t offset, size_t limit, struct queue_items *ret)
{
    pthread_mutex_lock(&queue->mu);
    list_active(queue, offset, limit, ret);
    list_waiting(queue, offset, limit, ret);
    pthread_mutex_unlock(&queue->mu);
}

int queue_stats(const struct ctx *ctx, struct queue *queue, struct queue_stats *ret,
                struct err *err)
{
    int64_t counts[STATE_COUNT];
    struct queue_stats stats = {0};

    if (store_count(ctx, queue->store, counts, err) < 0)
        return -1;
    for (int i = 0; i < STATE_COUNT; i++)
        stats.total += counts[i];
    stats.pending = counts[STATE_PENDING];
    stats.running = counts[STATE_RUNNING];
    stats.succeeded = counts[STATE_SUCCEEDED];
    stats.failed = counts[STATE_FAILED];
    stats.cancelled = counts[STATE_CANCELLED];
    stats.skipped = counts[STATE_SKIPPED];
    pthread_mutex_lock(&queue->mu);
    stats.waiting = queue->order.count;
    stats.max_concurrent = queue->max_concurrent;
    for (size_t i = 0; i < queue->active.len; i++)
        stats.current_concurrent += !queue->active.items[i]->over;
    pthread_mutex_unlock(&queue->mu);
    *ret = stats;
    return 0;
}

/* --- telling it --- */

void queue_set_max_concurrent(struct queue *queue, unsigned max_concurrent)
{
    pthread_mutex_lock(&queue->mu);
    queue->max_concurrent = max_concurrent ? max_concurrent : QUEUE_MAX_CONCURRENT;
    pthread_mutex_unlock(&queue->mu);
    queue_wake(queue);
}

void queue_drain(struct queue *queue)
{
    pthread_mutex_lock(&queue->mu);
    queue->draining = true;
    pthread_mutex_unlock(&queue->mu);
    queue_wake(queue);
}

int queue_wait_idle(const struct ctx *ctx, struct queue *queue, struct err *err)
{
    int status = 0;

    pthread_mutex_lock(&queue->mu);
    while (status == 0 && queue->active.len)
        status = queue_wait_change(ctx, queue, err);
    pthread_mutex_unlock(&queue->mu);
    return status;
}
