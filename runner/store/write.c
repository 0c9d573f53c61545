#include <string.h>

#include "base/buf.h"
#include "store/inside.h"

/* A block of events has so many bytes, and what the last of them has beyond. */
#define BLOCK_BYTES ((size_t)256 * 1024)

#define SQL_ADD                                                                                    \
    "INSERT INTO runner_runs (" ROW_COLUMNS ", folded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "   \
    "$9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT (id) DO NOTHING RETURNING key"
#define SQL_CHANGE                                                                                 \
    "UPDATE runner_runs SET name = $2, state = $3, reason = $4, origin = $5, owner = $6, "         \
    "submitted_ms = $7, started_ms = $8, ended_ms = $9, error = $10, exit_status = $11, "          \
    "version = $12, log_bytes = $13, directory = $14, client = $15, priority = $16, "              \
    "folded = $17 WHERE id = $1 AND version = $18 RETURNING key"
#define SQL_ADVANCE                                                                                \
    "UPDATE runner_runs SET version = $2 WHERE id = $1 AND version = $3 RETURNING key"
#define SQL_VERSION "SELECT version FROM runner_runs WHERE id = $1"
#define SQL_EVENTS  "INSERT INTO runner_events (run, first, last, lines) VALUES ($1, $2, $3, $4)"
#define SQL_SNAPSHOT                                                                               \
    "INSERT INTO runner_snapshots (run, version, tree) VALUES ($1, $2, $3) ON CONFLICT (run) DO "  \
    "UPDATE SET version = excluded.version, tree = excluded.tree"
#define SQL_DROP   "DELETE FROM runner_events WHERE run = $1 AND last <= $2"
#define SQL_DELETE "DELETE FROM runner_runs WHERE id = $1 RETURNING key"

struct write {
    struct store_change *changes;
    size_t count;
};

static int take_number(void *arg, const struct db_value *row, struct err *err)
{
    (void)err;
    if (arg)
        *(int64_t *)arg = row[0].number;
    return 0;
}

int64_t store_run_for_number(const struct ctx *ctx, struct db *db, const char *sql,
                             const struct db_value *params, size_t count, int64_t *ret,
                             struct err *err)
{
    return db->ops->run(ctx, db,
                        &(struct db_query){.sql = sql,
                                           .keep = true,
                                           .params = params,
                                           .param_count = count,
                                           .row = take_number,
                                           .arg = ret},
                        err);
}

static int64_t target_version(const struct store_change *change)
{
    return change->version + (int64_t)change->event_count;
}

/* Writes the row; 0 when there is no such run in that version, else 1 and its key. */
static int64_t write_row(const struct ctx *ctx, struct db *db, const struct store_change *change,
                         int64_t *ret_key, struct err *err)
{
    CLEANUP_ARENA struct arena arena = {0};
    CLEANUP_BUF struct buf searched = BUF_INIT;
    struct db_value params[ROW_COLUMN_COUNT + 2];

    if (!change->run) {
        params[0] = DB_TEXT(change->id);
        params[1] = DB_NUMBER(target_version(change));
        params[2] = DB_NUMBER(change->version);
        return store_run_for_number(ctx, db, SQL_ADVANCE, params, 3, ret_key, err);
    }
    row_params(change->run, &arena, params);
    params[0] = DB_TEXT(change->id);
    params[ROW_VERSION] = DB_NUMBER(target_version(change));
    buf_addf(&searched, "%s\n%s", change->run->name ? change->run->name : "", change->id);
    params[ROW_COLUMN_COUNT] = DB_TEXT(row_fold(searched.data, &arena));
    params[ROW_COLUMN_COUNT + 1] = DB_NUMBER(change->version);
    if (change->add)
        return store_run_for_number(ctx, db, SQL_ADD, params, ROW_COLUMN_COUNT + 1, ret_key, err);
    return store_run_for_number(ctx, db, SQL_CHANGE, params, ROW_COLUMN_COUNT + 2, ret_key, err);
}

int64_t store_add_row(const struct ctx *ctx, struct db *db, const struct store_run *run,
                      int64_t *ret_key, struct err *err)
{
    const struct store_change change = {.id = run->id, .add = true, .run = run};

    return write_row(ctx, db, &change, ret_key, err);
}

/* Says why a row was not written. If an attempt before may have done it, and the row stands where
 * that would have put it, it did: the events of a version are the same, whoever brings them. */
static int mark_refused(const struct ctx *ctx, struct db *db, struct store_change *change,
                        bool again, struct err *err)
{
    const struct db_value id = DB_TEXT(change->id);
    int64_t version = -1;

    if (store_run_for_number(ctx, db, SQL_VERSION, &id, 1, &version, err) < 0)
        return -1;
    if (version < 0)
        change->result = ERR_NOT_FOUND;
    else if (!again || version != target_version(change))
        change->result = ERR_CONFLICT;
    return 0;
}

static int write_events(const struct ctx *ctx, struct db *db, const struct store_change *change,
                        int64_t key, struct err *err)
{
    CLEANUP_ARENA struct arena arena = {0};
    CLEANUP_BUF struct buf lines = BUF_INIT;
    int64_t first = change->version + 1;

    for (size_t i = 0; i < change->event_count; i++) {
        bool last = i + 1 == change->event_count;

        buf_addstr(&lines, change->events[i]);
        if (!last && lines.len < BLOCK_BYTES) {
            buf_addch(&lines, '\n');
            continue;
        }
        const struct db_value params[] = {
            DB_NUMBER(key),
            DB_NUMBER(first),
            DB_NUMBER(change->version + 1 + (int64_t)i),
            row_text(lines.data, lines.len, &arena),
        };
        if (store_run_for_number(ctx, db, SQL_EVENTS, params, 4, NULL, err) < 0)
            return -1;
        first = change->version + 2 + (int64_t)i;
        buf_reset(&lines);
    }
    return 0;
}

static int write_snapshot(const struct ctx *ctx, struct db *db, const struct store_change *change,
                          int64_t key, struct err *err)
{
    CLEANUP_ARENA struct arena arena = {0};
    const struct db_value params[] = {
        DB_NUMBER(key),
        DB_NUMBER(target_version(change)),
        row_text(change->snapshot, strlen(change->snapshot), &arena),
    };

    return store_run_for_number(ctx, db, SQL_SNAPSHOT, params, 3, NULL, err) < 0 ? -1 : 0;
}

static int write_change(const struct ctx *ctx, struct db *db, struct store_change *change,
                        bool again, struct err *err)
{
    int64_t key = 0;
    int64_t found;

    change->result = ERR_NONE;
    found = write_row(ctx, db, change, &key, err);
    if (found <= 0)
        return found < 0 ? -1 : mark_refused(ctx, db, change, again, err);
    if (change->snapshot) {
        if (write_snapshot(ctx, db, change, key, err) < 0)
            return -1;
        if (change->drop_events) {
            const struct db_value params[] = {DB_NUMBER(key), DB_NUMBER(change->version)};

            return store_run_for_number(ctx, db, SQL_DROP, params, 2, NULL, err) < 0 ? -1 : 0;
        }
    }
    return write_events(ctx, db, change, key, err);
}

static int write_body(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    const struct write *write = arg;

    for (size_t i = 0; i < write->count; i++) {
        if (write_change(ctx, db, &write->changes[i], again, err) < 0)
            return -1;
    }
    return 0;
}

static int check_event(const char *event, size_t number, const char *id, struct err *err)
{
    size_t len = strlen(event);

    if (len > STORE_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "event %zu of run %s has more than %zu bytes", number, id,
                       STORE_TEXT_MAX);
    if (memchr(event, '\n', len))
        return err_set(err, ERR_INVALID, "event %zu of run %s has several lines", number, id);
    return 0;
}

static bool drops_events(const struct store_change *change)
{
    return change->snapshot && change->drop_events;
}

static int check_change(const struct store_change *change, struct err *err)
{
    if (!change->id || !store_id_valid(change->id))
        return err_set(err, ERR_INVALID, "\"%s\" cannot be the id of a run",
                       change->id ? change->id : "");
    if (change->version < 0 || (change->add && (change->version || !change->run)))
        return err_set(err, ERR_INVALID, "run %s cannot be written in version %lld", change->id,
                       (long long)change->version);
    if (change->snapshot && strlen(change->snapshot) > STORE_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "the snapshot of run %s has more than %zu bytes", change->id,
                       STORE_TEXT_MAX);
    for (size_t i = 0; i < change->event_count && !drops_events(change); i++) {
        if (check_event(change->events[i], (size_t)change->version + 1 + i, change->id, err) < 0)
            return -1;
    }
    return 0;
}

int store_write(const struct ctx *ctx, struct store *store, struct store_change *changes,
                size_t count, struct err *err)
{
    struct write write = {.changes = changes, .count = count};

    for (size_t i = 0; i < count; i++) {
        if (check_change(&changes[i], err) < 0)
            return -1;
    }
    return store_work(ctx, store, DB_WRITE, write_body, &write, err);
}

int store_append(const struct ctx *ctx, struct store *store, struct store_change *change,
                 struct err *err)
{
    if (store_write(ctx, store, change, 1, err) < 0)
        return -1;
    if (change->result == ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND, "there is no run %s in the store", change->id);
    if (change->result == ERR_CONFLICT && change->add)
        return err_set(err, ERR_CONFLICT, "run %s is in the store already", change->id);
    if (change->result == ERR_CONFLICT)
        return err_set(err, ERR_CONFLICT, "run %s is not at version %lld any more", change->id,
                       (long long)change->version);
    return 0;
}

int store_add(const struct ctx *ctx, struct store *store, const struct store_run *run,
              struct err *err)
{
    struct store_change change = {.id = run->id, .add = true, .run = run};

    return store_append(ctx, store, &change, err);
}

struct removal {
    const char *const *ids;
    size_t count;
    int64_t deleted;
};

static int delete_body(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    struct removal *removal = arg;
    int64_t deleted = 0;

    for (size_t i = 0; i < removal->count; i++) {
        const struct db_value id = DB_TEXT(removal->ids[i]);
        int64_t key;
        int64_t found;

        if (!store_id_valid(removal->ids[i]))
            continue;
        found = store_run_for_number(ctx, db, SQL_DELETE, &id, 1, &key, err);
        if (found < 0)
            return -1;
        deleted += found;
    }
    /* What went in an attempt before is not there to be counted. */
    if (!again || deleted > removal->deleted)
        removal->deleted = deleted;
    return 0;
}

int store_delete(const struct ctx *ctx, struct store *store, const char *const *ids, size_t count,
                 int64_t *ret_deleted, struct err *err)
{
    struct removal removal = {.ids = ids, .count = count};

    if (store_work(ctx, store, DB_WRITE, delete_body, &removal, err) < 0)
        return -1;
    if (ret_deleted)
        *ret_deleted = removal.deleted;
    return 0;
}
