#include "history/history.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/json_at.h"
#include "base/logger.h"
#include "base/state_dir.h"
#include "event/json.h"
#include "event/read.h"
#include "history/following.h"
#include "history/mark.h"
#include "history/tree.h"
#include "record/events.h"

#define STORE_NAME "runs.db"

/* Others may write the same run at the same moment; each time one of them got further. */
enum { TRIES_MAX = 8 };

/* Whoever can write there could have any process looked at and cancelled as if it were a run. It
 * may be a link, as it was given. */
static char *given_dir(const char *given, struct err *err)
{
    CLEANUP_FD int fd = -1;

    if (fs_mkdir_p(given, 0700, err) < 0)
        return NULL;
    fd = open(given, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        err_errno(err, "cannot open %s", given);
        return NULL;
    }
    return state_dir_check(fd, given, err) < 0 ? NULL : fs_absolute(given);
}

char *history_dir(const char *given, struct err *err)
{
    CLEANUP_STRVEC struct strvec dirs = {0};

    if (given)
        return given_dir(given, err);
    state_dirs(false, &dirs);
    for (size_t i = 0; i < dirs.len; i++) {
        CLEANUP_FD int fd = state_dir_open(dirs.items[i], err);

        if (fd >= 0)
            return xstrdup(dirs.items[i]);
    }
    return NULL;
}

int history_open(const struct ctx *ctx, const char *dir, const struct store_options *options,
                 struct history **ret, struct err *err)
{
    return history_open_at(ctx, dir, NULL, options, ret, err);
}

int history_open_at(const struct ctx *ctx, const char *dir, const char *where,
                    const struct store_options *options, struct history **ret, struct err *err)
{
    CLEANUP_HISTORY struct history *history = xcalloc(1, sizeof(*history));
    CLEANUP_FREE char *file = NULL;

    history->dir = history_dir(dir, err);
    if (!history->dir)
        return err_wrap(err, "there is no place for the history of runs");
    history->runs = fs_join(history->dir, "runs");
    file = where ? xstrdup(where) : fs_join(history->dir, STORE_NAME);
    if (store_open(ctx, file, options, &history->store, err) < 0)
        return -1;
    *ret = steal_ptr(&history);
    return 0;
}

void history_close(struct history *history)
{
    if (!history)
        return;
    store_close(history->store);
    free(history->work);
    free(history->runs);
    free(history->dir);
    free(history);
}

/* --- following --- */

/* 1: what the store has of it, as runs->items[0]; 0: nothing. */
static int known_of(const struct ctx *ctx, struct history *history, const char *run_id,
                    struct store_runs *runs, struct err *err)
{
    struct err why = ERR_INIT;

    if (store_get(ctx, history->store, run_id, runs, &why) == 0)
        return 1;
    return why.code == ERR_NOT_FOUND ? 0 : err_set(err, why.code, "%s", why.message);
}

static int try_follow(const struct ctx *ctx, struct history *history, const char *run_id,
                      bool *ret_ended, struct err *err)
{
    CLEANUP_FOLLOWING struct following *following = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct store_change change;
    int known = known_of(ctx, history, run_id, &runs, err);
    int changed;

    *ret_ended = known > 0 && state_is_final(runs.items[0].state);
    if (known < 0 || *ret_ended)
        return known < 0 ? -1 : 0;
    if (following_open(history, run_id, &following, err) < 0)
        return -1;
    if (known)
        following_set_known(following, &runs.items[0]);
    following_read(following);
    *ret_ended = following_has_ended(following);
    /* Deleted meanwhile. */
    if (!known && !fs_is_directory(following_directory(following)))
        return err_set(err, ERR_NOT_FOUND, "run %s is gone", run_id);
    changed = following_change(following, &change, err);
    return changed > 0 ? store_append(ctx, history->store, &change, err) : changed;
}

int history_lose(const struct ctx *ctx, struct history *history, const char *run_id,
                 struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    static const char *const event = "{\"event\":\"RunLost\"}";
    struct store_change change = {.id = run_id, .events = &event, .event_count = 1};
    struct store_run row;
    struct err why = ERR_INIT;

    if (store_get(ctx, history->store, run_id, &runs, &why) < 0)
        return why.code == ERR_NOT_FOUND ? 0 : err_set(err, why.code, "%s", why.message);
    row = runs.items[0];
    /* One that no record was ever known of has not begun: it waits in a queue, for who has taken
     * it, or for the next. */
    if (state_is_final(row.state) || row.version == 0)
        return 0;
    change.version = row.version;
    row.state = STATE_FAILED;
    row.reason = REASON_LOST;
    row.error = "the record of the run is gone";
    row.ended_ms = row.started_ms ? row.started_ms : row.submitted_ms;
    change.run = &row;
    return store_append(ctx, history->store, &change, err);
}

/* Whether the mark is one without a record; then, if that is wanted, it is removed. */
static bool is_left_over(struct history *history, const char *run_id, bool remove)
{
    CLEANUP_FD int mark = mark_take(history->dir, MARKS_OPEN, run_id);
    CLEANUP_RECORD struct record *record = NULL;

    /* It may have come between the look and the question. */
    if (mark < 0 || record_open(history->runs, run_id, &record, NULL) == 0)
        return false;
    if (remove)
        mark_remove(history->dir, MARKS_OPEN, run_id);
    return true;
}

/* Unless the record is on its way, it is gone. The store is not waited for with the mark held,
 * which a run waits for that begins. */
static void drop_mark(const struct ctx *ctx, struct history *history, const char *run_id)
{
    if (is_left_over(history, run_id, false) && history_lose(ctx, history, run_id, NULL) == 0)
        (void)is_left_over(history, run_id, true);
}

int history_follow(const struct ctx *ctx, struct history *history, const char *run_id,
                   struct err *err)
{
    struct err why = ERR_INIT;
    bool ended = false;
    int result = -1;

    for (int i = 0; result < 0 && i < TRIES_MAX; i++) {
        result = try_follow(ctx, history, run_id, &ended, &why);
        ended = ended && result == 0;
        if (result < 0 && why.code != ERR_CONFLICT)
            break;
    }
    if (result < 0 && why.code == ERR_NOT_FOUND)
        drop_mark(ctx, history, run_id);
    if (ended)
        mark_remove(history->dir, MARKS_OPEN, run_id);
    return result < 0 ? err_set(err, why.code, "%s", why.message) : 0;
}

/* A store that is new although there are records: the one before is lost. All are followed again.
 */
static int mark_unknown(const struct ctx *ctx, struct history *history, struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs any = {0};
    CLEANUP_RECORD_LIST struct record_list records = {0};

    if (store_list(ctx, history->store, &(struct store_query){.limit = 1}, &any, err) < 0)
        return -1;
    if (any.total || !fs_is_directory(history->runs))
        return 0;
    if (record_list_add(&records, history->runs, err) < 0)
        return -1;
    vec_foreach (struct record_entry *, record, &records) {
        CLEANUP_FD int mark = mark_add(history->dir, MARKS_OPEN, record->run_id, err);

        if (mark < 0)
            return -1;
    }
    return 0;
}

int history_update(const struct ctx *ctx, struct history *history, struct err *err)
{
    CLEANUP_STRVEC struct strvec open = {0};

    if (mark_unknown(ctx, history, err) < 0 || marks_list(history->dir, MARKS_OPEN, &open, err) < 0)
        return -1;
    for (size_t i = 0; i < open.len; i++) {
        struct err why = ERR_INIT;

        if (ctx_check(ctx, err) < 0)
            return -1;
        if (!record_id_is_valid(open.items[i]))
            continue;
        if (history_follow(ctx, history, open.items[i], &why) == 0 || why.code == ERR_NOT_FOUND)
            continue;
        /* The store, which the others need as well. */
        if (why.code == ERR_UNAVAILABLE || why.code == ERR_TIMEOUT || why.code == ERR_CANCELLED)
            return err_set(err, why.code, "%s", why.message);
        log_warn("history", "run %s: %s", open.items[i], why.message);
    }
    return 0;
}

/* --- looking --- */

static int tree_in_store(const struct ctx *ctx, struct history *history,
                         const struct store_run *run, struct node *ret, struct err *err)
{
    CLEANUP_STORE_EVENTS struct store_events events = {0};
    json_t *tree;
    int result;

    if (store_read_events(ctx, history->store, run->id, 0, true, &events, err) < 0)
        return -1;
    tree = events.snapshot ? json_loads(events.snapshot, 0, NULL) : NULL;
    if (!tree)
        return err_set(err, ERR_NOT_FOUND, "the record of run %s is gone", run->id);
    result = node_tree_from_json(tree, ret, err);
    json_decref(tree);
    return result;
}

int history_tree(const struct ctx *ctx, struct history *history, const struct store_run *run,
                 struct node *ret, struct err *err)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_TOLD struct told told = {0};

    /* Once it has ended the store has all of it, the loss of a run included. */
    if (state_is_final(run->state))
        return tree_in_store(ctx, history, run, ret, err);
    if (record_open(history->runs, run->id, &record, err) < 0)
        return -1;
    told_read(record, &told);
    if (!told.grown)
        return err_set(err, ERR_NOT_FOUND, "run %s has not begun yet", run->id);
    node_move(ret, &told.root);
    return 0;
}

/* --- removing --- */

/* What the first event of a record says. */
static char *recorded_directory(const struct record *record)
{
    CLEANUP_RECORD_EVENTS struct record_events *events = NULL;
    struct record_event event;
    json_t *began = NULL;
    char *directory;

    record_events_open(record, 0, &events);
    if (record_events_next(events, &event, NULL) == RECORD_ITEM && event.seq == 1)
        began = json_loads(event.json, 0, NULL);
    directory = json_at_dup(began, "directory");
    json_decref(began);
    return directory;
}

/* Where the run was, by its record, if that is its own: it is named after it, and no symbolic link
 * leads there, which somebody may have put in its place since. Else NULL. */
static char *find_work(const struct history *history, const char *run_id)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_FREE char *recorded = NULL;
    CLEANUP_FREE char *resolved = NULL;
    const char *slash;

    if (record_open(history->runs, run_id, &record, NULL) < 0)
        return NULL;
    recorded = recorded_directory(record);
    slash = strrchr(recorded, '/');
    if (*recorded != '/' || slash == recorded || strcmp(slash + 1, run_id) != 0)
        return NULL;
    resolved = realpath(recorded, NULL);
    return resolved && strcmp(resolved, recorded) == 0 ? steal_ptr(&recorded) : NULL;
}

/* What is left of a failure. That it cannot be removed keeps no run from being deleted. */
static void remove_work(const char *path, const char *run_id)
{
    struct err err = ERR_INIT;

    if (path && fs_remove_tree(path, &err) < 0)
        log_warn("history", "the directory of run %s could not be removed: %s", run_id,
                 err.message);
}

int history_remove(const struct ctx *ctx, struct history *history, const struct store_run *run,
                   struct err *err)
{
    bool has_name = record_id_is_valid(run->id);
    CLEANUP_FREE char *work = has_name ? find_work(history, run->id) : NULL;
    CLEANUP_FREE char *given = history->work && has_name ? fs_join(history->work, run->id) : NULL;
    struct err why = ERR_INIT;

    if (!state_is_final(run->state))
        return err_set(err, ERR_CONFLICT, "run %s has not ended: cancel it first", run->id);
    if (record_remove(history->runs, run->id, &why) < 0 && why.code != ERR_NOT_FOUND)
        return err_set(err, why.code, "%s", why.message);
    remove_work(work, run->id);
    remove_work(given, run->id);
    return store_delete(ctx, history->store, &run->id, 1, NULL, err);
}

int history_prune(const struct ctx *ctx, struct history *history,
                  const struct store_retention *keep, int64_t *ret_removed, struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs excess = {0};
    int result = 0;

    if (ret_removed)
        *ret_removed = 0;
    if (store_list_excess(ctx, history->store, keep, 0, &excess, err) < 0)
        return -1;
    vec_foreach (struct store_run *, run, &excess) {
        int removed = history_remove(ctx, history, run, result == 0 ? err : NULL);

        if (removed < 0)
            result = -1;
        else if (ret_removed)
            ++*ret_removed;
    }
    return result;
}
