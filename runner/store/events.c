#include <string.h>

#include "store/inside.h"

/* What is read at once: so many bytes, and what the last block has beyond; so many blocks. */
enum { READ_BYTES = 4 << 20, READ_BLOCKS = 128 };

#define SQL_RUN                                                                                    \
    "SELECT r.key, r.version, (SELECT s.version FROM runner_snapshots s WHERE s.run = r.key), "    \
    "(SELECT e.first FROM runner_events e WHERE e.run = r.key ORDER BY e.last LIMIT 1) "           \
    "FROM runner_runs r WHERE r.id = $1"
#define SQL_TREE "SELECT tree FROM runner_snapshots WHERE run = $1"
#define SQL_BLOCKS                                                                                 \
    "SELECT first, lines FROM runner_events WHERE run = $1 AND last > $2 ORDER BY last LIMIT $3"

struct reading {
    const char *id;
    int64_t after;
    bool want_snapshot;
    int64_t key;
    int64_t snapshot_version;
    int64_t first_kept; /* 0: none is */
    int64_t behind;     /* what has been read up to now */
    int64_t bytes;
    struct store_events found;
};

static int take_run(void *arg, const struct db_value *row, struct err *err)
{
    struct reading *reading = arg;

    (void)err;
    reading->key = row[0].number;
    reading->found.version = row[1].number;
    reading->snapshot_version = row[2].number;
    reading->first_kept = row[3].number;
    return 0;
}

static int take_tree(void *arg, const struct db_value *row, struct err *err)
{
    struct reading *reading = arg;

    (void)err;
    reading->found.snapshot = arena_strndup(&reading->found.arena, row[0].text, row[0].len);
    reading->found.snapshot_version = reading->snapshot_version;
    reading->behind = reading->snapshot_version;
    return 0;
}

static int take_block(void *arg, const struct db_value *row, struct err *err)
{
    struct reading *reading = arg;
    struct store_events *found = &reading->found;
    int64_t number = row[0].number;
    char *line = arena_strndup(&found->arena, row[1].text, row[1].len);

    (void)err;
    for (char *next; line; line = next, number++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (number <= reading->behind)
            continue;
        if (!found->len)
            found->first = number;
        vec_push(found, line);
    }
    reading->bytes += (int64_t)row[1].len;
    return reading->bytes >= READ_BYTES;
}

static int run(const struct ctx *ctx, struct db *db, struct reading *reading, const char *sql,
               const struct db_value *params, size_t count,
               int (*row)(void *arg, const struct db_value *row, struct err *err), struct err *err)
{
    const struct db_query query = {
        .sql = sql,
        .keep = true,
        .params = params,
        .param_count = count,
        .row = row,
        .arg = reading,
    };

    return db->ops->run(ctx, db, &query, err) < 0 ? -1 : 0;
}

static bool wants_snapshot(const struct reading *reading)
{
    bool dropped = reading->after < reading->found.version &&
                   (!reading->first_kept || reading->first_kept > reading->after + 1);

    return reading->snapshot_version > reading->after && (dropped || reading->want_snapshot);
}

static int read_body(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    struct reading *reading = arg;
    struct db_value params[3] = {DB_TEXT(reading->id)};

    (void)again;
    store_events_release(&reading->found);
    reading->found = (struct store_events){0};
    reading->key = 0;
    reading->behind = reading->after;
    reading->bytes = 0;
    if (run(ctx, db, reading, SQL_RUN, params, 1, take_run, err) < 0)
        return -1;
    if (!reading->key)
        return err_set(err, ERR_NOT_FOUND, "there is no run %s in the store", reading->id);
    params[0] = DB_NUMBER(reading->key);
    if (wants_snapshot(reading) && run(ctx, db, reading, SQL_TREE, params, 1, take_tree, err) < 0)
        return -1;
    params[1] = DB_NUMBER(reading->behind);
    params[2] = DB_NUMBER(READ_BLOCKS);
    return run(ctx, db, reading, SQL_BLOCKS, params, 3, take_block, err);
}

int store_read_events(const struct ctx *ctx, struct store *store, const char *id, int64_t after,
                      bool want_snapshot, struct store_events *ret, struct err *err)
{
    struct reading reading = {
        .id = id,
        .after = after > 0 ? after : 0,
        .want_snapshot = want_snapshot,
    };

    if (!store_id_valid(id))
        return err_set(err, ERR_NOT_FOUND, "there is no run %s in the store", id);
    if (store_work(ctx, store, DB_READS, read_body, &reading, err) < 0) {
        store_events_release(&reading.found);
        return -1;
    }
    if (!reading.found.len)
        reading.found.first = reading.behind + 1;
    *ret = reading.found;
    return 0;
}
