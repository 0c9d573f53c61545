/* What servers have left that are gone, and what was submitted to others. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/logger.h"
#include "queue/inside.h"

enum { LAST_LOOK_MS = 2000 };

/* --- the name of this server --- */

/* "/" is what names of owners have between their parts. */
static char *mark_name(const char *owner)
{
    char *name = xstrdup(owner);

    for (char *at = name; *at; at++) {
        if (*at == '/')
            *at = '-';
    }
    return name;
}

int queue_lock_owner(struct queue *queue, struct err *err)
{
    static atomic_uint queues;
    CLEANUP_FREE char *name = NULL;
    struct own_owner owner;
    unsigned number = atomic_fetch_add(&queues, 1) + 1;
    char text[128];

    own_owner_self(&owner);
    own_owner_format(&owner, text, sizeof(text));
    /* A process may have several, one after the other, or in its tests. */
    queue->owner = number > 1 ? xasprintf("%s/%u", text, number) : xstrdup(text);
    name = mark_name(queue->owner);
    queue->owner_fd = history_server_begin(queue->history, name, err);
    return queue->owner_fd < 0 ? -1 : 0;
}

static bool is_among(const struct queue *queue, const struct store_runs *runs)
{
    vec_foreach (const struct store_run *, run, runs) {
        if (strcmp(run->owner, queue->owner) == 0)
            return true;
    }
    return false;
}

/* Whether the store may have something that is taken or held by this server. What was in doubt once
 * can still be done, by a database that has not come to it. */
static bool has_taken(struct queue *queue)
{
    CLEANUP_STORE_RUNS struct store_runs taken = {0}, held = {0};
    struct ctx ctx;
    bool found;

    if (!queue->took || queue->doubted)
        return queue->took;
    ctx_init_cleanup(&ctx, LAST_LOOK_MS);
    found = store_taken(&ctx, queue->store, &taken, NULL) < 0 ||
            store_held(&ctx, queue->store, &held, NULL) < 0 || is_among(queue, &taken) ||
            is_among(queue, &held);
    ctx_release(&ctx);
    return found;
}

void queue_unlock_owner(struct queue *queue)
{
    CLEANUP_FREE char *name = queue->owner ? mark_name(queue->owner) : NULL;

    /* What it has taken and not given back is found by its mark. The next server removes it. */
    if (queue->owner_fd >= 0 && has_taken(queue))
        close(queue->owner_fd);
    else if (queue->owner_fd >= 0)
        history_server_end(queue->history, name, queue->owner_fd);
    queue->owner_fd = -1;
    free(queue->owner);
}

/* --- what was taken --- */

static bool is_known(struct queue *queue, const char *id)
{
    bool known;

    pthread_mutex_lock(&queue->mu);
    known = queue_find_active(queue, id) != NULL;
    pthread_mutex_unlock(&queue->mu);
    return known;
}

/* Needs mu. Whoever wrote it lines it up in a moment, or nobody knows of it and it must not run. */
static bool is_of_writer(struct queue *queue, const char *id)
{
    return strvec_has(&queue->writing, id) || unsettled_has(&queue->doubts, id);
}

static void line_up(struct queue *queue, const struct store_run *run, bool late)
{
    pthread_mutex_lock(&queue->mu);
    if (is_of_writer(queue, run->id)) {
        pthread_mutex_unlock(&queue->mu);
        return;
    }
    if (!queue_find_active(queue, run->id))
        order_add(&queue->order, run->id, run->client, run->priority, run->submitted_ms);
    if (late)
        queue_add_late(queue, run->id);
    pthread_mutex_unlock(&queue->mu);
}

/* It has no record: nothing has begun, and it can wait again; unless there was one. */
static int wait_again(const struct ctx *ctx, struct queue *queue, const struct store_run *run,
                      struct err *err)
{
    struct err why = ERR_INIT;

    if (run->version > 0)
        return history_lose(ctx, queue->history, run->id, err);
    if (store_give_back(ctx, queue->store, run->id, run->owner, &why) == 0) {
        /* The process that was forked for it may not have come to make it yet. */
        line_up(queue, run, true);
        queue_wake(queue);
        return 0;
    }
    /* Another that found it was faster. */
    if (why.code == ERR_CONFLICT || why.code == ERR_NOT_FOUND)
        return 0;
    return err_set(err, why.code, "%s", why.message);
}

/* A run of a server that is gone. */
static int recover(const struct ctx *ctx, struct queue *queue, const struct store_run *run,
                   struct err *err)
{
    struct err why = ERR_INIT;
    struct active *active;

    pthread_mutex_lock(&queue->mu);
    active = queue_add_active(queue, run->id, run->client, run->priority, run->submitted_ms,
                              ACTIVE_STARTING);
    pthread_mutex_unlock(&queue->mu);
    active->told = run->state;
    if (queue_follow(queue, active, run, &why) == 0)
        return 0;
    pthread_mutex_lock(&queue->mu);
    queue_remove_active(queue, active);
    pthread_mutex_unlock(&queue->mu);
    if (why.code == ERR_NOT_FOUND)
        return wait_again(ctx, queue, run, err);
    log_warn("queue", "run %s cannot be followed: %s", run->id, why.message);
    return 0;
}

/* `needed` gets the marks of those that have taken something. */
static int recover_taken(const struct ctx *ctx, struct queue *queue, struct strvec *needed,
                         struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs taken = {0};
    int status = 0;

    if (store_taken(ctx, queue->store, &taken, err) < 0)
        return -1;
    vec_foreach (const struct store_run *, run, &taken) {
        CLEANUP_FREE char *name = mark_name(run->owner);

        if (!strvec_has(needed, name))
            strvec_push(needed, name);
        if (status == 0 && strcmp(run->owner, queue->owner) != 0 && !is_known(queue, run->id) &&
            history_server_find(queue->history, name) == HISTORY_SERVER_GONE)
            status = recover(ctx, queue, run, err);
    }
    return status;
}

/* --- what was held --- */

/* Of several servers one gets it. */
static int take_over_held(const struct ctx *ctx, struct queue *queue, const char *owner,
                          const struct strvec *ids, struct err *err)
{
    CLEANUP_STRVEC struct strvec passed = {0};

    pthread_mutex_lock(&queue->mu);
    queue->took = true;
    pthread_mutex_unlock(&queue->mu);
    if (store_pass_held(ctx, queue->store, (const char *const *)ids->items, ids->len, owner,
                        queue->owner, &passed, err) < 0) {
        /* The database may have done it, or be about to. */
        pthread_mutex_lock(&queue->mu);
        queue->doubted = true;
        pthread_mutex_unlock(&queue->mu);
        return -1;
    }
    for (size_t i = 0; queue->options.left && i < passed.len; i++)
        queue->options.left(queue->options.arg, passed.items[i]);
    return 0;
}

/* All that a server which is gone has held. */
static int recover_held_by(const struct ctx *ctx, struct queue *queue, const char *mark,
                           const struct store_runs *held, struct err *err)
{
    CLEANUP_STRVEC struct strvec ids = {0};
    const char *owner = NULL;

    vec_foreach (const struct store_run *, run, held) {
        CLEANUP_FREE char *name = mark_name(run->owner);

        if (strcmp(name, mark) != 0)
            continue;
        owner = run->owner;
        strvec_push(&ids, run->id);
    }
    return owner ? take_over_held(ctx, queue, owner, &ids, err) : 0;
}

static int recover_held(const struct ctx *ctx, struct queue *queue, const struct strvec *gone,
                        struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs held = {0};
    int status = gone->len ? store_held(ctx, queue->store, &held, err) : 0;

    for (size_t i = 0; status == 0 && i < gone->len; i++)
        status = recover_held_by(ctx, queue, gone->items[i], &held, err);
    return status;
}

/* The marks of servers that were gone before the store was asked, and have nothing in it, go: one
 * that took a run meanwhile, and died, is not among them. Nor is one whose last commit may still be
 * on its way: what that brings would belong to nobody who can be told from a server elsewhere. */
static int recover_from_servers(const struct ctx *ctx, struct queue *queue, struct err *err)
{
    CLEANUP_STRVEC struct strvec gone = {0};
    CLEANUP_STRVEC struct strvec needed = {0};
    struct store_moment now = {0};

    history_servers_gone(queue->history, &gone);
    pthread_mutex_lock(&queue->mu);
    unsettled_keep(&queue->gone, &gone);
    pthread_mutex_unlock(&queue->mu);
    if (gone.len && store_moment(ctx, queue->store, &now, err) < 0)
        return -1;
    if (recover_taken(ctx, queue, &needed, err) < 0 || recover_held(ctx, queue, &gone, err) < 0)
        return -1;
    for (size_t i = 0; i < gone.len; i++) {
        if (unsettled_look(&queue->gone, gone.items[i], &now) &&
            !strvec_has(&needed, gone.items[i]))
            history_server_forget(queue->history, gone.items[i]);
    }
    return 0;
}

/* --- what waits --- */

/* Needs no more than one look if there are no other servers. */
static int load_waiting(const struct ctx *ctx, struct queue *queue, struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs waiting = {0};

    if (store_waiting(ctx, queue->store, (int64_t)queue->options.max_waiting, &waiting, err) < 0)
        return -1;
    vec_foreach (const struct store_run *, run, &waiting)
        line_up(queue, run, queue_has_record(queue, run->id, NULL) != 0);
    return 0;
}

int queue_recover(const struct ctx *ctx, struct queue *queue, struct err *err)
{
    bool idle;

    pthread_mutex_lock(&queue->mu);
    idle = !queue->order.count;
    pthread_mutex_unlock(&queue->mu);
    if (recover_from_servers(ctx, queue, err) < 0)
        return -1;
    return idle ? load_waiting(ctx, queue, err) : 0;
}

/* --- what failed, and may be there --- */

enum undone { UNDO_AWAY, UNDO_NOT_THERE, UNDO_DONE };

static enum undone undo(const struct ctx *ctx, struct queue *queue, const char *id)
{
    const char *const takers[] = {"", queue->owner};
    struct err why = ERR_INIT;

    for (size_t i = 0; i < 2; i++) {
        if (queue_drop(ctx, queue, id, takers[i], STATE_CANCELLED,
                       "the store did not answer when it was submitted", &why) == 0)
            return store_delete(ctx, queue->store, &id, 1, NULL, &why) < 0 &&
                           queue_store_is_away(queue, &why)
                       ? UNDO_AWAY
                       : UNDO_DONE;
        if (queue_store_is_away(queue, &why))
            return UNDO_AWAY;
    }
    return UNDO_NOT_THERE;
}

/* It is not in the store at that moment, or not any more. */
static void settle_doubt(struct queue *queue, const char *id, enum undone undone,
                         const struct store_moment *now)
{
    pthread_mutex_lock(&queue->mu);
    if (unsettled_look(&queue->doubts, id, now) || undone == UNDO_DONE)
        unsettled_drop(&queue->doubts, id);
    pthread_mutex_unlock(&queue->mu);
}

static void list_doubts(struct queue *queue, struct strvec *ret)
{
    pthread_mutex_lock(&queue->mu);
    vec_foreach (const struct unsettled_name *, doubt, &queue->doubts.names)
        strvec_push(ret, doubt->name);
    pthread_mutex_unlock(&queue->mu);
}

size_t queue_settle_doubts(const struct ctx *ctx, struct queue *queue)
{
    CLEANUP_STRVEC struct strvec ids = {0};
    struct store_moment now;
    struct err why = ERR_INIT;
    size_t left;

    list_doubts(queue, &ids);
    if (!ids.len)
        return 0;
    if (store_moment(ctx, queue->store, &now, &why) < 0) {
        (void)queue_store_is_away(queue, &why);
        return ids.len;
    }
    for (size_t i = 0; i < ids.len; i++) {
        enum undone undone = undo(ctx, queue, ids.items[i]);

        if (undone == UNDO_AWAY)
            break;
        settle_doubt(queue, ids.items[i], undone, &now);
    }
    pthread_mutex_lock(&queue->mu);
    left = queue->doubts.names.len;
    pthread_mutex_unlock(&queue->mu);
    return left;
}
