/* Cancelling, in every state that a run can be in at that moment. */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "queue/inside.h"

/* What is said of a run that had not begun. */
static char *describe(const struct queue_cancel *cancel)
{
    struct buf text = BUF_INIT;

    buf_addstr(&text, "cancelled");
    if (cancel->by && *cancel->by)
        buf_addf(&text, " by %s", cancel->by);
    buf_addstr(&text, " before it had begun");
    if (cancel->reason && *cancel->reason)
        buf_addf(&text, ": %s", cancel->reason);
    return text.data;
}

static int has_ended(const struct store_run *run, struct err *err)
{
    return err_set(err, ERR_CONFLICT, "run %s has ended already: %s", run->id,
                   state_name(run->state));
}

/* --- what has begun --- */

/* Why it could not be told: perhaps because it has ended in this moment. */
static int explain(const struct ctx *ctx, struct queue *queue, const char *id,
                   const struct err *why, struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};

    if (history_follow(ctx, queue->history, id, NULL) == 0 &&
        store_get(ctx, queue->store, id, &runs, NULL) == 0 && state_is_final(runs.items[0].state))
        return has_ended(&runs.items[0], err);
    return err_set(err, why->code, "%s", why->message);
}

static int tell_run(const struct ctx *ctx, struct queue *queue, const char *id,
                    const struct queue_cancel *cancel, struct err *err)
{
    struct err why = ERR_INIT;

    if (queue->launcher.cancel(ctx, queue->launcher.arg, id, cancel, &why) == 0)
        return 0;
    return explain(ctx, queue, id, &why, err);
}

/* --- what is being started --- */

/* Needs mu. Returns 1 when it has begun, 0 when it is not active any more, so that it has ended,
 * most likely before it began. */
static int wait_for_beginning(const struct ctx *ctx, struct queue *queue, const char *id,
                              const struct queue_cancel *cancel, struct err *err)
{
    struct active *active;

    while ((active = queue_find_active(queue, id))) {
        if (active->stage == ACTIVE_RUNNING)
            return 1;
        /* The thread sees it before it hands it over. */
        if (!active->cancel_text)
            active->cancel_text = describe(cancel);
        if (queue_wait_change(ctx, queue, err) < 0)
            return -1;
    }
    return 0;
}

/* 1: it waits again. */
static int cancel_active(const struct ctx *ctx, struct queue *queue, const char *id,
                         const struct queue_cancel *cancel, struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    int begun;

    pthread_mutex_lock(&queue->mu);
    begun = wait_for_beginning(ctx, queue, id, cancel, err);
    pthread_mutex_unlock(&queue->mu);
    if (begun < 0)
        return -1;
    if (begun)
        return tell_run(ctx, queue, id, cancel, err);
    if (queue_position(queue, id))
        return 1;
    if (store_get(ctx, queue->store, id, &runs, err) < 0)
        return -1;
    if (runs.items[0].state == STATE_CANCELLED)
        return 0;
    if (state_is_final(runs.items[0].state))
        return has_ended(&runs.items[0], err);
    return err_set(err, ERR_UNAVAILABLE, "run %s could not be cancelled just now; try again", id);
}

/* --- what waits --- */

/* Needs mu. Out of the order, so that nobody starts it. */
static struct active *leave_order(struct queue *queue, const char *id)
{
    CLEANUP_FREE char *client = NULL;
    CLEANUP_FREE struct order_item *item = order_take(&queue->order, id, false, &client);

    if (!item)
        return NULL;
    return queue_add_active(queue, id, client, item->priority, item->submitted_ms, ACTIVE_LEAVING);
}

/* Needs mu. */
static void back_into_order(struct queue *queue, struct active *active)
{
    order_add(&queue->order, active->id, active->client, active->priority, active->submitted_ms);
    queue_remove_active(queue, active);
}

static int drop_waiting(const struct ctx *ctx, struct queue *queue, const char *id,
                        const char *taken_by, const struct queue_cancel *cancel, struct err *err)
{
    CLEANUP_FREE char *text = describe(cancel);
    int status = queue_drop(ctx, queue, id, taken_by, STATE_CANCELLED, text, err);

    /* A server that is gone came to begin it meanwhile. */
    if (status == 0 && queue_has_record(queue, id, NULL) > 0)
        (void)!queue->launcher.cancel(ctx, queue->launcher.arg, id, cancel, NULL);
    queue_wake(queue);
    return status;
}

/* Nobody here starts it. A database whose answer was lost may have given it to this server. */
static int drop_leaving(const struct ctx *ctx, struct queue *queue, const char *id,
                        const struct queue_cancel *cancel, struct err *err)
{
    int status = drop_waiting(ctx, queue, id, "", cancel, err);

    if (status == 0 || err->code != ERR_CONFLICT)
        return status;
    err_clear(err);
    return drop_waiting(ctx, queue, id, queue->owner, cancel, err);
}

/* --- what this server knows nothing of, or has lost to another --- */

static int cancel_of_others(const struct ctx *ctx, struct queue *queue, const char *id,
                            const struct queue_cancel *cancel, struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    CLEANUP_STORE_SUBMITTED struct store_submitted submitted = {0};
    int begun;

    if (store_get(ctx, queue->store, id, &runs, err) < 0)
        return -1;
    id = runs.items[0].id;
    if (state_is_final(runs.items[0].state))
        return has_ended(&runs.items[0], err);
    begun = queue_has_record(queue, id, err);
    if (begun != 0)
        return begun < 0 ? -1 : tell_run(ctx, queue, id, cancel, err);
    if (store_read_submitted(ctx, queue->store, id, &submitted, NULL) == 0 && !*submitted.taken_by)
        return drop_waiting(ctx, queue, id, "", cancel, err);
    return err_set(err, ERR_UNSUPPORTED,
                   "run %s belongs to a server in another place: cancel it there", id);
}

/* --- all of them --- */

static void leave_to_order(struct queue *queue, struct active *leaving, bool late)
{
    pthread_mutex_lock(&queue->mu);
    if (late)
        queue_add_late(queue, leaving->id);
    back_into_order(queue, leaving);
    pthread_mutex_unlock(&queue->mu);
    queue_wake(queue);
}

/* What nobody has begun is the caller's when it returns 1; NULL: it is not known here. */
static int leave_or_cancel(const struct ctx *ctx, struct queue *queue, const char *id,
                           const struct queue_cancel *cancel, struct active **ret_leaving,
                           struct err *err)
{
    int status = 1;
    bool active;

    do {
        pthread_mutex_lock(&queue->mu);
        active = queue_find_active(queue, id) != NULL;
        if (!active)
            *ret_leaving = leave_order(queue, id);
        pthread_mutex_unlock(&queue->mu);
        if (active)
            status = cancel_active(ctx, queue, id, cancel, err);
    } while (active && status > 0);
    return status;
}

int queue_cancel(const struct ctx *ctx, struct queue *queue, const char *id,
                 const struct queue_cancel *cancel, struct err *err)
{
    struct err why = ERR_INIT;
    struct active *leaving = NULL;
    int begun = leave_or_cancel(ctx, queue, id, cancel, &leaving, err);

    if (begun <= 0)
        return begun;
    if (!leaving)
        return cancel_of_others(ctx, queue, id, cancel, err);
    /* A server that is gone may have begun it, which the store does not know yet. */
    begun = queue_has_record(queue, id, err);
    if (begun != 0) {
        leave_to_order(queue, leaving, begun > 0);
        return begun < 0 ? -1 : tell_run(ctx, queue, id, cancel, err);
    }
    if (drop_leaving(ctx, queue, id, cancel, &why) < 0 && why.code != ERR_CONFLICT &&
        why.code != ERR_NOT_FOUND) {
        leave_to_order(queue, leaving, false);
        return err_set(err, why.code, "%s", why.message);
    }
    pthread_mutex_lock(&queue->mu);
    queue_remove_active(queue, leaving);
    pthread_mutex_unlock(&queue->mu);
    /* Another server has taken it meanwhile. */
    return why.code != ERR_NONE ? cancel_of_others(ctx, queue, id, cancel, err) : 0;
}
