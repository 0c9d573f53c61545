/* A file of SQLite's, in WAL mode: readers and one writer at a time do not wait for each other.
 *
 * A lock of another process is waited for by SQLite's busy handler, which sleeps under the context,
 * and a statement that takes long asks the context now and then. A commit is not synced to the
 * disk, unless it is of what no record has: a machine that crashes may lose the newest, which are
 * found again in the records, and keeps the file whole. The log of changes stays when the file is
 * closed, because to empty it needs the disk twice, for which each `exec` would wait. */
#include "store/sqlite.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"

enum {
    /* Instructions of SQLite's machine between two looks at the context: some 0.1 ms. */
    LOOK_AFTER = 10000,
    /* Pages of the log of changes, which the first process that opens the file reads again. */
    LOG_PAGES = 256,
    CACHE_KB = 16 << 10,
    WAIT_MIN_MS = 1,
    WAIT_MAX_MS = 25,
};

static int64_t wait_left(struct sqlite_db *db)
{
    int64_t now = clock_monotonic_ms();

    if (!db->waiting_since_ms)
        db->waiting_since_ms = now;
    return db->waiting_since_ms + db->wait_ms - now;
}

/* Sleeps for a while; whether to try again. */
static bool wait_for_lock(struct sqlite_db *db, int tries)
{
    int64_t left = wait_left(db);
    int64_t ms = tries < WAIT_MAX_MS ? WAIT_MIN_MS + tries : WAIT_MAX_MS;

    if (left <= 0 || !db->ctx)
        return false;
    return ctx_sleep(db->ctx, ms < left ? ms : left, NULL) == 0;
}

static int on_busy(void *arg, int tries)
{
    struct sqlite_db *db = arg;

    if (tries == 0)
        db->waiting_since_ms = 0;
    return wait_for_lock(db, tries);
}

static int on_progress(void *arg)
{
    const struct sqlite_db *db = arg;

    return db->ctx && ctx_done(db->ctx);
}

/* SQLite's own way leaves the file as long as it is, to be written from its beginning by whoever
 * knows that nobody needs it. Processes that open and close it one after the other never do. */
static int on_commit(void *arg, sqlite3 *handle, const char *name, int pages)
{
    struct sqlite_db *db = arg;
    const struct ctx *ctx = db->ctx;

    if (pages < LOG_PAGES)
        return SQLITE_OK;
    db->ctx = NULL; /* nobody waits for readers: the next who writes tries again */
    sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    db->ctx = ctx;
    return SQLITE_OK;
}

int sqlite_db_exec(struct sqlite_db *db, const char *sql, struct err *err)
{
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : sqlite_db_error(db, code, err);
}

int sqlite_db_begin(struct sqlite_db *db, const char *sql, struct err *err)
{
    int code = SQLITE_OK;

    db->waiting_since_ms = 0;
    /* The busy handler is not asked where two that wait would wait for each other. */
    for (int tries = 0; tries == 0 || wait_for_lock(db, tries); tries++) {
        code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
        if ((code & 0xff) != SQLITE_BUSY)
            break;
    }
    return code == SQLITE_OK ? 0 : sqlite_db_error(db, code, err);
}

/* Rolls back even if the context has ended. Nothing is to be rolled back if SQLite did it itself.
 */
void sqlite_db_rollback(struct sqlite_db *db)
{
    db->ctx = NULL;
    if (!sqlite3_get_autocommit(db->handle))
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

static int take_number(void *arg, const struct db_value *row, struct err *err)
{
    (void)err;
    *(int64_t *)arg = row[0].number;
    return 0;
}

static sqlite3_stmt *prepare(struct sqlite_db *db, const struct db_query *query, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    bool keep = query->keep && db->kept_count < SQLITE_DB_KEPT;
    int code;

    for (size_t i = 0; query->keep && i < db->kept_count; i++) {
        if (strcmp(db->kept[i].sql, query->sql) == 0)
            return db->kept[i].statement;
    }
    code = sqlite3_prepare_v3(db->handle, query->sql, -1, keep ? SQLITE_PREPARE_PERSISTENT : 0,
                              &statement, NULL);
    if (code != SQLITE_OK) {
        sqlite_db_error(db, code, err);
        return NULL;
    }
    if (keep) {
        db->kept[db->kept_count].sql = query->sql;
        db->kept[db->kept_count++].statement = statement;
    }
    return statement;
}

static bool is_kept(const struct sqlite_db *db, const sqlite3_stmt *statement)
{
    for (size_t i = 0; i < db->kept_count; i++) {
        if (db->kept[i].statement == statement)
            return true;
    }
    return false;
}

/* SQLite numbers $1, $2 … in the order in which they come in the statement. */
static int bind(struct sqlite_db *db, sqlite3_stmt *statement, const struct db_query *query,
                struct err *err)
{
    for (size_t i = 0; i < query->param_count; i++) {
        const struct db_value *value = &query->params[i];
        char name[24];
        int at, code;

        snprintf(name, sizeof(name), "$%zu", i + 1);
        at = sqlite3_bind_parameter_index(statement, name);
        code = value->text ? sqlite3_bind_text64(statement, at, value->text, value->len,
                                                 SQLITE_STATIC, SQLITE_UTF8)
                           : sqlite3_bind_int64(statement, at, value->number);
        if (code != SQLITE_OK)
            return sqlite_db_error(db, code, err);
    }
    return 0;
}

enum { COLUMNS_MAX = 20 };

static int give_row(sqlite3_stmt *statement, const struct db_query *query, struct err *err)
{
    struct db_value row[COLUMNS_MAX] = {0};
    int count = sqlite3_column_count(statement);

    for (int i = 0; i < count && i < COLUMNS_MAX; i++) {
        if (sqlite3_column_type(statement, i) == SQLITE_TEXT) {
            row[i].text = (const char *)sqlite3_column_text(statement, i);
            row[i].len = (size_t)sqlite3_column_bytes(statement, i);
        } else {
            row[i].number = sqlite3_column_int64(statement, i);
        }
    }
    return query->row ? query->row(query->arg, row, err) : 0;
}

static int64_t step(struct sqlite_db *db, sqlite3_stmt *statement, const struct db_query *query,
                    struct err *err)
{
    int64_t rows = 0;
    int status = 0;
    int code;

    while (status == 0 && (code = sqlite3_step(statement)) != SQLITE_DONE) {
        if (code != SQLITE_ROW)
            return sqlite_db_error(db, code, err);
        status = give_row(statement, query, err);
        rows++;
    }
    return status < 0 ? -1 : rows;
}

static int64_t run(const struct ctx *ctx, struct db *base, const struct db_query *query,
                   struct err *err)
{
    struct sqlite_db *db = (struct sqlite_db *)base;
    sqlite3_stmt *statement;
    int64_t rows = -1;

    (void)ctx; /* that of transact() */
    statement = prepare(db, query, err);
    if (!statement)
        return -1;
    if (bind(db, statement, query, err) == 0)
        rows = step(db, statement, query, err);
    if (!is_kept(db, statement)) {
        sqlite3_finalize(statement);
        return rows;
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return rows;
}

int sqlite_db_number(struct sqlite_db *db, const char *sql, int64_t *ret, struct err *err)
{
    const struct db_query query = {.sql = sql, .row = take_number, .arg = ret};

    return run(NULL, &db->db, &query, err) < 0 ? -1 : 0;
}

static const char *const begins[] = {
    [DB_READ] = NULL,
    [DB_READS] = "BEGIN",
    [DB_WRITE] = "BEGIN IMMEDIATE",
    [DB_WRITE_SYNCED] = "BEGIN IMMEDIATE",
};

/* The log of changes is synced at each commit, or not. Cannot be changed in a transaction. */
static int set_synced(struct sqlite_db *db, bool synced, struct err *err)
{
    return sqlite_db_exec(db, synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
                          err);
}

static int transact(const struct ctx *ctx, struct db *base, const struct db_work *work,
                    struct err *err)
{
    struct sqlite_db *db = (struct sqlite_db *)base;
    const char *begin = begins[work->mode];
    bool synced = work->mode == DB_WRITE_SYNCED;
    int status;

    db->ctx = ctx;
    status = synced ? set_synced(db, true, err) : 0;
    if (status == 0 && begin)
        status = sqlite_db_begin(db, begin, err);
    if (status == 0)
        status = work->body(ctx, base, work->arg, false, err);
    if (status == 0 && begin)
        status = sqlite_db_exec(db, "COMMIT", err);
    if (status < 0)
        sqlite_db_rollback(db);
    db->ctx = NULL;
    /* Failing, it syncs more than it has to. */
    if (synced)
        (void)set_synced(db, false, NULL);
    return status;
}

static void close_db(struct db *base)
{
    struct sqlite_db *db = (struct sqlite_db *)base;

    for (size_t i = 0; i < db->kept_count; i++)
        sqlite3_finalize(db->kept[i].statement);
    sqlite3_close(db->handle);
    free(db->path);
    free(db);
}

static const struct db_ops ops = {
    .contains = "instr",
    .moment = "SELECT 0, 0", /* nothing is done for who is gone */
    .run = run,
    .transact = transact,
    .close = close_db,
};

static int set_up(struct sqlite_db *db, struct err *err)
{
    char cache[64];

    sqlite3_busy_handler(db->handle, on_busy, db);
    sqlite3_progress_handler(db->handle, LOOK_AFTER, on_progress, db);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_wal_hook(db->handle, on_commit, db);
    if (sqlite_db_migrate(db, err) < 0)
        return -1;
    snprintf(cache, sizeof(cache), "PRAGMA cache_size = -%d", CACHE_KB);
    return sqlite_db_exec(db, "PRAGMA synchronous = NORMAL", err) < 0 ||
                   sqlite_db_exec(db, cache, err) < 0
               ? -1
               : 0;
}

int db_sqlite_open(const struct ctx *ctx, const char *path, int64_t wait_ms, struct db **ret,
                   struct err *err)
{
    struct sqlite_db *db = xcalloc(1, sizeof(*db));
    int code;

    db->db.ops = &ops;
    db->wait_ms = wait_ms;
    db->path = fs_absolute(path); /* "file:…" and ":memory:" are names of files, too */
    db->ctx = ctx;
    if (sqlite_db_make(db->path, err) < 0)
        goto failed;
    code = sqlite3_open_v2(db->path, &db->handle,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                               SQLITE_OPEN_EXRESCODE,
                           NULL);
    if (code != SQLITE_OK) {
        sqlite_db_error(db, code, err);
        goto failed;
    }
    if (set_up(db, err) < 0)
        goto failed;
    db->ctx = NULL;
    *ret = &db->db;
    return 0;
failed:
    close_db(&db->db);
    return -1;
}
