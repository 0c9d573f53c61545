/* From waiting to running: a place is free, the run is taken in the store, handed to the launcher,
 * and then it has a record, or could not begin. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "queue/inside.h"
#include "record/record.h"

enum {
    STORE_RETRY_MS = 1000,
    HAND_OVER_MS = 1000,
    SEARCH_MS = 1000,
};

/* What another try would not change. */
static bool is_answer(enum err_code code)
{
    return code == ERR_CONFLICT || code == ERR_NOT_FOUND || code == ERR_INVALID ||
           code == ERR_LIMIT || code == ERR_PROTOCOL;
}

bool queue_store_is_away(struct queue *queue, const struct err *err)
{
    if (is_answer(err->code))
        return false;
    if (!queue->store_retry_ms && !queue->stopped && err->code != ERR_CANCELLED)
        log_warn("queue", "%s; it is tried again", err->message);
    queue->store_retry_ms = clock_monotonic_ms() + STORE_RETRY_MS;
    return true;
}

/* --- taking --- */

static bool may_start(void *arg, const char *client)
{
    return queue_has_room(arg, client);
}

/* The next one that can be started, out of the order; NULL: none. */
static struct active *next(struct queue *queue)
{
    const struct order_item *first = NULL;
    struct active *active = NULL;

    pthread_mutex_lock(&queue->mu);
    if (!queue->draining && !queue->closing && !queue->launcher_gone)
        first = order_next(&queue->order, may_start, queue);
    if (first) {
        CLEANUP_FREE char *client = NULL;
        CLEANUP_FREE struct order_item *item = order_take(&queue->order, first->id, true, &client);

        active = queue_add_active(queue, item->id, client, item->priority, item->submitted_ms,
                                  ACTIVE_LEAVING);
    }
    pthread_mutex_unlock(&queue->mu);
    return active;
}

/* What the store has of it becomes what is to be started. */
static int load(const struct store_submitted *submitted, struct active *active, struct err *err)
{
    json_t *options = json_loads(submitted->options, 0, NULL);
    int status = submission_options_from_json(options, &active->options, err);

    json_decref(options);
    active->file = xstrdup(submitted->file);
    active->name = xstrdup(submitted->name);
    return status;
}

static void fail(struct queue *queue, struct active *active, enum state state, const char *text)
{
    pthread_mutex_lock(&queue->mu);
    active->stage = ACTIVE_FAILED;
    active->over = true;
    active->failed_state = state;
    active->failed_text = xstrdup(text);
    queue_notify(queue);
    pthread_mutex_unlock(&queue->mu);
}

static void remove_active(struct queue *queue, struct active *active)
{
    pthread_mutex_lock(&queue->mu);
    queue_remove_active(queue, active);
    pthread_mutex_unlock(&queue->mu);
}

/* It waits again, here. */
static void wait_again(struct queue *queue, struct active *active)
{
    pthread_mutex_lock(&queue->mu);
    order_add(&queue->order, active->id, active->client, active->priority, active->submitted_ms);
    queue_remove_active(queue, active);
    pthread_mutex_unlock(&queue->mu);
}

/* One that mu guards. */
static void set_flag(struct queue *queue, bool *flag)
{
    pthread_mutex_lock(&queue->mu);
    *flag = true;
    pthread_mutex_unlock(&queue->mu);
}

/* False: the store does not answer. What another server has is not active any more, and NULL. */
static bool take(struct queue *queue, struct active **which)
{
    struct active *active = *which;
    CLEANUP_STORE_SUBMITTED struct store_submitted submitted = {0};
    struct err why = ERR_INIT;

    set_flag(queue, &queue->took);
    if (store_take(&queue->ctx, queue->store, active->id, queue->owner, &submitted, &why) < 0) {
        bool away = queue_store_is_away(queue, &why);

        if (away) {
            set_flag(queue, &queue->doubted);
            wait_again(queue, active);
        } else {
            /* Another server was faster, or somebody has cancelled it there. */
            log_debug("queue", "run %s: %s", active->id, why.message);
            remove_active(queue, active);
        }
        *which = NULL;
        return !away;
    }
    if (load(&submitted, active, &why) < 0) {
        fail(queue, active, STATE_FAILED, why.message);
        return true;
    }
    pthread_mutex_lock(&queue->mu);
    active->stage = ACTIVE_TAKEN;
    pthread_mutex_unlock(&queue->mu);
    return true;
}

/* --- starting --- */

/* From here on the launcher has it, unless somebody has cancelled it meanwhile. */
static bool set_starting(struct queue *queue, struct active *active)
{
    bool starting;

    pthread_mutex_lock(&queue->mu);
    starting = !active->cancel_text;
    if (starting)
        active->stage = ACTIVE_STARTING;
    pthread_mutex_unlock(&queue->mu);
    return starting;
}

/* It is not with the launcher any more. */
static void set_taken(struct queue *queue, struct active *active)
{
    pthread_mutex_lock(&queue->mu);
    active->stage = ACTIVE_TAKEN;
    pthread_mutex_unlock(&queue->mu);
}

/* It has not begun, and may the next time. */
static void put_off(struct queue *queue, struct active *active, const char *why)
{
    if (!queue->hand_over_ms)
        log_warn("queue", "run %s cannot be started now: %s; it is tried again", active->id, why);
    queue->hand_over_ms = clock_monotonic_ms() + HAND_OVER_MS;
    set_taken(queue, active);
}

static void hand_over(struct queue *queue, struct active *active)
{
    struct err why = ERR_INIT;
    const struct queue_start start = {
        .id = active->id,
        .file = active->file,
        .name = active->name ? active->name : "",
        .client = active->client,
        .options = &active->options,
    };

    if (!set_starting(queue, active)) {
        fail(queue, active, STATE_CANCELLED, active->cancel_text);
        return;
    }
    active->of_launcher = true;
    if (queue->launcher.start(&queue->ctx, queue->launcher.arg, &start, &why) == 0) {
        queue->hand_over_ms = 0;
        return;
    }
    if (err_is_short(&why)) {
        put_off(queue, active, why.message);
        return;
    }
    if (!err_is_away(&why) && why.code != ERR_CANCELLED) {
        fail(queue, active, STATE_FAILED, why.message);
        return;
    }
    set_taken(queue, active);
    /* Else the queue is being closed. */
    if (err_is_away(&why))
        queue_launcher_is_gone(queue, &why);
}

static struct active *find_stage(struct queue *queue, enum active_stage stage)
{
    struct active *found = NULL;

    pthread_mutex_lock(&queue->mu);
    for (size_t i = 0; i < queue->active.len && !found; i++) {
        if (queue->active.items[i]->stage == stage)
            found = queue->active.items[i];
    }
    pthread_mutex_unlock(&queue->mu);
    return found;
}

static bool can_hand_over(struct queue *queue)
{
    bool can;

    pthread_mutex_lock(&queue->mu);
    can = !queue->draining && !queue->closing && !queue->launcher_gone;
    pthread_mutex_unlock(&queue->mu);
    return can;
}

/* It could not a moment ago, and need not be asked again yet. */
static bool is_put_off(const struct queue *queue)
{
    return queue->hand_over_ms && clock_monotonic_ms() < queue->hand_over_ms;
}

bool queue_lost_launcher(struct queue *queue)
{
    bool lost;

    pthread_mutex_lock(&queue->mu);
    lost = queue->launcher_gone;
    pthread_mutex_unlock(&queue->mu);
    return lost;
}

static bool is_cancelled(struct queue *queue, const struct active *active)
{
    bool cancelled;

    pthread_mutex_lock(&queue->mu);
    cancelled = active->cancel_text != NULL;
    pthread_mutex_unlock(&queue->mu);
    return cancelled;
}

static void set_late(struct queue *queue, const struct active *active)
{
    pthread_mutex_lock(&queue->mu);
    if (queue->launcher_gone)
        queue_add_late(queue, active->id);
    pthread_mutex_unlock(&queue->mu);
}

/* What is taken and will not be started waits for the next server. */
static void give_back_taken(struct queue *queue)
{
    struct active *active;
    struct err why = ERR_INIT;

    while ((active = find_stage(queue, ACTIVE_TAKEN))) {
        /* After a launcher that died, who cancels looks for a record first. */
        if (is_cancelled(queue, active) && !queue_lost_launcher(queue)) {
            fail(queue, active, STATE_CANCELLED, active->cancel_text);
            continue;
        }
        if (store_give_back(&queue->ctx, queue->store, active->id, queue->owner, &why) < 0) {
            if (queue_store_is_away(queue, &why))
                return;
            log_warn("queue", "run %s cannot wait again: %s", active->id, why.message);
            remove_active(queue, active);
            continue;
        }
        /* The process that was forked for it may not have come to make its record yet. */
        set_late(queue, active);
        wait_again(queue, active);
    }
}

static bool store_answers(struct queue *queue)
{
    if (queue->store_retry_ms && clock_monotonic_ms() < queue->store_retry_ms)
        return false;
    queue->store_retry_ms = 0;
    return true;
}

/* Others may have had the store follow a record which its process then took back. */
static int lose_failed(struct queue *queue, const struct active *active, struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    CLEANUP_RECORD struct record *record = NULL;
    struct err why = ERR_INIT;

    if (record_open(queue->history->runs, active->id, &record, &why) == 0 ||
        why.code != ERR_NOT_FOUND)
        return err_set(err, ERR_CONFLICT, "there is a record");
    if (history_lose(&queue->ctx, queue->history, active->id, err) < 0 ||
        store_get(&queue->ctx, queue->store, active->id, &runs, err) < 0)
        return -1;
    if (!state_is_final(runs.items[0].state))
        return err_set(err, ERR_CONFLICT, "somebody else has taken it");
    pthread_mutex_lock(&queue->mu);
    queue_changed(queue, active->id, runs.items[0].state);
    pthread_mutex_unlock(&queue->mu);
    return 0;
}

static int drop_failed(struct queue *queue, const struct active *active, struct err *err)
{
    struct err why = ERR_INIT;

    if (queue_drop(&queue->ctx, queue, active->id, queue->owner, active->failed_state,
                   active->failed_text, &why) == 0)
        return 0;
    if (why.code == ERR_CONFLICT)
        return lose_failed(queue, active, err);
    *err = why;
    return -1;
}

/* Ends in the store what has not begun. */
static void settle_failed(struct queue *queue)
{
    struct active *active;

    while ((active = find_stage(queue, ACTIVE_FAILED))) {
        struct err why = ERR_INIT;

        if (drop_failed(queue, active, &why) < 0) {
            if (queue_store_is_away(queue, &why))
                return;
            log_warn("queue", "run %s has not begun: %s; the store does not take that: %s",
                     active->id, active->failed_text, why.message);
        }
        remove_active(queue, active);
    }
}

void queue_start_what_can(struct queue *queue)
{
    struct active *active;

    while (can_hand_over(queue) && !is_put_off(queue) && (active = find_stage(queue, ACTIVE_TAKEN)))
        hand_over(queue, active);
    if (!store_answers(queue))
        return;
    if (!can_hand_over(queue))
        give_back_taken(queue);
    while (!is_put_off(queue) && (active = next(queue)) && take(queue, &active)) {
        if (active && active->stage == ACTIVE_TAKEN)
            hand_over(queue, active);
    }
    settle_failed(queue);
}

/* --- what becomes of it --- */

static int begun(struct queue *queue, struct active *active, struct err *err)
{
    const struct store_run known = {
        .name = active->name,
        .client = active->client,
        .priority = active->priority,
        .submitted_ms = active->submitted_ms,
    };

    return queue_follow(queue, active, &known, err);
}

/* Of one that is being started. Only that there is no record tells that it has not begun; one that
 * cannot be opened, because too much is open already, is looked for again. What the launcher did
 * not come to begin before it died waits for the next server. */
static void find_record(struct queue *queue, struct active *active)
{
    struct err why = ERR_INIT;

    if (begun(queue, active, &why) == 0)
        return;
    if (why.code == ERR_NOT_FOUND && active->end_text) {
        fail(queue, active, STATE_FAILED, active->end_text);
        return;
    }
    if (why.code == ERR_NOT_FOUND && queue_lost_launcher(queue)) {
        set_taken(queue, active);
        return;
    }
    if (why.code != ERR_NOT_FOUND && !active->sought)
        log_warn("queue", "run %s cannot be followed: %s; it is tried again", active->id,
                 why.message);
    active->sought = true;
    if (!queue->search_ms)
        queue->search_ms = clock_monotonic_ms() + SEARCH_MS;
}

/* Nothing more comes of it than there is. */
static void conclude(struct queue *queue, struct active *active, const char *text)
{
    free(active->end_text);
    active->end_text = xstrdup(text);
    find_record(queue, active);
}

static void refused(struct queue *queue, struct active *active, enum err_code code,
                    const char *text)
{
    active->of_launcher = false;
    if (code == ERR_UNAVAILABLE)
        put_off(queue, active, text);
    else if (code == ERR_CONFLICT) /* it was begun before, by the launcher of a server before */
        conclude(queue, active, text);
    else
        fail(queue, active, STATE_FAILED, text);
}

static char *describe_end(int status)
{
    if (WIFSIGNALED(status))
        return xasprintf("the process of the run was killed by signal %d (%s) before it had begun",
                         WTERMSIG(status), strsignal(WTERMSIG(status)));
    return xasprintf("the process of the run ended with status %d before it had begun",
                     WIFEXITED(status) ? WEXITSTATUS(status) : status);
}

static void ended(struct queue *queue, struct active *active, int status)
{
    CLEANUP_FREE char *text = describe_end(status);

    active->of_launcher = false;
    /* It may have made its record, and not have come to say so. */
    if (active->stage == ACTIVE_STARTING)
        conclude(queue, active, text);
    pthread_mutex_lock(&queue->mu);
    active->over = true;
    queue_notify(queue);
    pthread_mutex_unlock(&queue->mu);
    active->dirty = true;
}

static void take_told(struct queue *queue, const struct queue_told *told)
{
    struct active *active;

    pthread_mutex_lock(&queue->mu);
    active = queue_find_active(queue, told->id);
    pthread_mutex_unlock(&queue->mu);
    if (!active) {
        log_debug("queue", "the launcher tells of run %s, which has ended", told->id);
        return;
    }
    switch (told->kind) {
    case QUEUE_BEGUN:
        find_record(queue, active);
        break;
    case QUEUE_REFUSED:
        refused(queue, active, told->code, told->text ? told->text : "");
        break;
    case QUEUE_ENDED:
        ended(queue, active, told->wait_status);
        break;
    }
}

void queue_hear_launcher(struct queue *queue)
{
    struct queue_told told;
    struct err why = ERR_INIT;
    int got;

    for (;;) {
        told = (struct queue_told){0};
        got = queue->launcher.next(queue->launcher.arg, &told, &why);
        if (got <= 0)
            break;
        take_told(queue, &told);
    }
    if (got < 0)
        queue_launcher_is_gone(queue, &why);
}

/* Those that are looked for; all that are started if nobody will tell of them. */
static struct active **list_sought(struct queue *queue, size_t *ret_count)
{
    struct active **sought;

    *ret_count = 0;
    pthread_mutex_lock(&queue->mu);
    sought = xcalloc(queue->active.len + 1, sizeof(struct active *));
    for (size_t i = 0; i < queue->active.len; i++) {
        struct active *active = queue->active.items[i];

        if (active->stage == ACTIVE_STARTING && (active->sought || queue->launcher_gone))
            sought[(*ret_count)++] = active;
    }
    pthread_mutex_unlock(&queue->mu);
    return sought;
}

int queue_start_wait_ms(struct queue *queue)
{
    int64_t at = queue->search_ms;
    int64_t wait;

    if (queue->hand_over_ms && (!at || queue->hand_over_ms < at) && can_hand_over(queue) &&
        find_stage(queue, ACTIVE_TAKEN))
        at = queue->hand_over_ms;
    if (!at)
        return -1;
    wait = at - clock_monotonic_ms();
    return wait < 0 ? 0 : (int)wait;
}

/* One that waits here has a record: it is followed, unless another server does. */
static void take_begun(struct queue *queue, const char *id)
{
    CLEANUP_FREE struct order_item *item = NULL;
    CLEANUP_FREE char *client = NULL;
    struct active *active = NULL;

    pthread_mutex_lock(&queue->mu);
    item = order_take(&queue->order, id, true, &client);
    if (item)
        active =
            queue_add_active(queue, id, client, item->priority, item->submitted_ms, ACTIVE_LEAVING);
    pthread_mutex_unlock(&queue->mu);
    if (!active || !take(queue, &active) || !active || active->stage != ACTIVE_TAKEN)
        return;
    pthread_mutex_lock(&queue->mu);
    active->stage = ACTIVE_STARTING;
    pthread_mutex_unlock(&queue->mu);
    conclude(queue, active, "the record of the run is gone");
}

/* Needs mu. One that is out of the order for a moment comes back. */
static bool waits(struct queue *queue, const char *id)
{
    const struct active *active = queue_find_active(queue, id);

    return active ? active->stage == ACTIVE_LEAVING : order_position(&queue->order, id) > 0;
}

/* Those that have a record by now do not wait. */
static void look_at_late(struct queue *queue)
{
    CLEANUP_STRVEC struct strvec late = {0};

    pthread_mutex_lock(&queue->mu);
    late = queue->late;
    queue->late = (struct strvec){0};
    pthread_mutex_unlock(&queue->mu);
    for (size_t i = 0; i < late.len; i++) {
        const char *id = late.items[i];

        if (queue_has_record(queue, id, NULL) > 0)
            take_begun(queue, id);
        pthread_mutex_lock(&queue->mu);
        if (waits(queue, id))
            queue_add_late(queue, id);
        if (queue->late.len)
            queue->search_ms = clock_monotonic_ms() + SEARCH_MS;
        pthread_mutex_unlock(&queue->mu);
    }
}

static bool has_late(struct queue *queue)
{
    bool has;

    pthread_mutex_lock(&queue->mu);
    has = queue->late.len > 0;
    pthread_mutex_unlock(&queue->mu);
    return has;
}

void queue_search_records(struct queue *queue)
{
    CLEANUP_FREE struct active **sought = NULL;
    size_t count;

    if (!queue->search_ms && has_late(queue))
        queue->search_ms = clock_monotonic_ms();
    if (!queue->search_ms || clock_monotonic_ms() < queue->search_ms)
        return;
    queue->search_ms = 0;
    sought = list_sought(queue, &count);
    for (size_t i = 0; i < count; i++)
        find_record(queue, sought[i]);
    look_at_late(queue);
}

/* Nobody tells of beginnings and ends any more: the records do. */
void queue_launcher_is_gone(struct queue *queue, const struct err *err)
{
    bool first;

    pthread_mutex_lock(&queue->mu);
    first = !queue->launcher_gone;
    queue->launcher_gone = true;
    for (size_t i = 0; i < queue->active.len; i++)
        queue->active.items[i]->of_launcher = false;
    pthread_mutex_unlock(&queue->mu);
    queue->search_ms = clock_monotonic_ms();
    if (first && queue->options.fatal)
        queue->options.fatal(queue->options.arg, err);
}
