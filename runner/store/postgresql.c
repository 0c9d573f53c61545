/* Tables in a PostgreSQL database, for several servers.
 *
 * A connection that breaks is made again, and the transaction with it, for as long as the store may
 * wait. Whether a commit that was not answered was done cannot be known: the body is told so, and
 * sees by the versions. */
#include "base/alloc.h"
#include "store/pq_connection.h"

/* What the advisory lock of the migrations is called: "runner". */
#define MIGRATION_LOCK "128021020406130"

enum { DELAY_MIN_MS = 20, DELAY_MAX_MS = 500, SILENCE_FACTOR = 3 };

struct postgresql_db {
    struct db db;
    struct pq_connection connection;
};

static int64_t run(const struct ctx *ctx, struct db *base, const struct db_query *query,
                   struct err *err)
{
    return pq_connection_run(ctx, &((struct postgresql_db *)base)->connection, query, err);
}

static int run_sql(const struct ctx *ctx, struct postgresql_db *db, const char *sql,
                   struct err *err)
{
    return pq_connection_run(ctx, &db->connection, &(struct db_query){.sql = sql}, err) < 0 ? -1
                                                                                            : 0;
}

static const char *const begins[] = {
    [DB_READ] = NULL,
    [DB_READS] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    [DB_WRITE] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    /* Unless its administrator has told it otherwise, that is what the server does anyway. */
    [DB_WRITE_SYNCED] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
};

/* One attempt. *in_doubt is set when the commit was sent. */
static int attempt(const struct ctx *ctx, struct postgresql_db *db, const struct db_work *work,
                   bool *in_doubt, struct err *err)
{
    const char *begin = begins[work->mode];
    bool again = *in_doubt;
    int status = begin ? run_sql(ctx, db, begin, err) : 0;

    if (status == 0)
        status = work->body(ctx, &db->db, work->arg, again, err);
    if (status == 0 && begin) {
        status = run_sql(ctx, db, "COMMIT", err);
        *in_doubt = again || (status < 0 && db->connection.failure == PQ_FAILURE_LOST &&
                              db_mode_writes(work->mode));
    }
    if (status < 0 && begin && db->connection.handle && run_sql(ctx, db, "ROLLBACK", NULL) < 0)
        pq_connection_close(&db->connection);
    return status;
}

static int try_once(const struct ctx *ctx, struct postgresql_db *db, const struct db_work *work,
                    bool *in_doubt, struct err *err)
{
    if (!db->connection.handle && pq_connection_open(ctx, &db->connection, err) < 0)
        return -1;
    db->connection.failure = PQ_FAILURE_NONE;
    return attempt(ctx, db, work, in_doubt, err);
}

static int transact(const struct ctx *ctx, struct db *base, const struct db_work *work,
                    struct err *err)
{
    struct postgresql_db *db = (struct postgresql_db *)base;
    struct pq_connection *connection = &db->connection;
    bool in_doubt = false;
    struct ctx limited;

    ctx_init(&limited, ctx);
    ctx_set_timeout(&limited, connection->wait_ms, "store");
    for (int64_t delay = DELAY_MIN_MS;;
         delay = delay * 2 < DELAY_MAX_MS ? delay * 2 : DELAY_MAX_MS) {
        enum pq_failure failure;

        if (try_once(ctx, db, work, &in_doubt, err) == 0)
            return 0;
        /* That of the failure, not of the rollback behind it. */
        failure = connection->failure;
        if (failure == PQ_FAILURE_LOST)
            pq_connection_close(connection);
        if (failure != PQ_FAILURE_LOST && failure != PQ_FAILURE_AGAIN)
            return -1;
        if (ctx_sleep(&limited, delay, NULL) < 0)
            return ctx_done(ctx) ? ctx_check(ctx, err) : -1;
    }
}

static void close_db(struct db *base)
{
    struct postgresql_db *db = (struct postgresql_db *)base;

    pq_connection_release(&db->connection);
    free(db);
}

static const struct db_ops ops = {
    .contains = "strpos",
    /* A number of its own, behind all that were given; and the smallest of those that go on. */
    .moment = "SELECT txid_current(), txid_snapshot_xmin(txid_current_snapshot())",
    .run = run,
    .transact = transact,
    .close = close_db,
};

static int take_number(void *arg, const struct db_value *row, struct err *err)
{
    (void)err;
    *(int64_t *)arg = row[0].number;
    return 0;
}

/* 0: there are no tables yet. */
static int read_version(const struct ctx *ctx, struct postgresql_db *db, int64_t *ret,
                        struct err *err)
{
    int64_t is_there = 0;
    struct db_query query = {
        /* By way of a table, at which the server looks for what others have changed. */
        .sql = "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('runner_meta')",
        .row = take_number,
        .arg = &is_there,
    };

    *ret = 0;
    if (run(ctx, &db->db, &query, err) < 0)
        return -1;
    query.sql = "SELECT version FROM runner_meta";
    query.arg = ret;
    if (is_there && run(ctx, &db->db, &query, err) < 0)
        return -1;
    if (*ret > db_postgresql_version) {
        db->connection.failure = PQ_FAILURE_FINAL;
        return err_set(err, ERR_UNSUPPORTED,
                       "the store in %s has version %lld, made by a newer runner; this one knows "
                       "version %d: use the newer one, or name another database",
                       db->connection.place, (long long)*ret, db_postgresql_version);
    }
    return 0;
}

static int version_body(const struct ctx *ctx, struct db *base, void *arg, bool again,
                        struct err *err)
{
    (void)again;
    return read_version(ctx, (struct postgresql_db *)base, arg, err);
}

static int migrate_body(const struct ctx *ctx, struct db *base, void *arg, bool again,
                        struct err *err)
{
    struct postgresql_db *db = (struct postgresql_db *)base;
    int64_t version;
    char done[80];

    (void)arg;
    (void)again;
    /* Another process may be at it, or have been faster. */
    if (run_sql(ctx, db, "SELECT pg_advisory_xact_lock(" MIGRATION_LOCK ")", err) < 0 ||
        read_version(ctx, db, &version, err) < 0)
        return -1;
    for (; version < db_postgresql_version; version++) {
        if (run_sql(ctx, db, db_postgresql_migrations[version], err) < 0)
            return -1;
    }
    snprintf(done, sizeof(done), "UPDATE runner_meta SET version = %d", db_postgresql_version);
    return run_sql(ctx, db, done, err);
}

static int migrate(const struct ctx *ctx, struct postgresql_db *db, struct err *err)
{
    int64_t silence_ms = db->connection.silence_ms;
    int64_t version = 0;
    const struct db_work look = {.mode = DB_READS, .body = version_body, .arg = &version};
    const struct db_work work = {.mode = DB_WRITE, .body = migrate_body};

    int status;

    if (transact(ctx, &db->db, &look, err) < 0)
        return -1;
    if (version == db_postgresql_version)
        return 0;
    /* Tables that are large take their time. */
    db->connection.silence_ms = 0;
    status = transact(ctx, &db->db, &work, err);
    db->connection.silence_ms = silence_ms;
    return status;
}

int db_postgresql_open(const struct ctx *ctx, const char *url, int64_t wait_ms, struct db **ret,
                       struct err *err)
{
    struct postgresql_db *db = xcalloc(1, sizeof(*db));

    db->db.ops = &ops;
    if (pq_connection_init(&db->connection, url, wait_ms, err) < 0) {
        close_db(&db->db);
        return -1;
    }
    /* A lock is waited for in silence. */
    db->connection.silence_ms = SILENCE_FACTOR * wait_ms;
    /* One that is not there at the start is not waited for. */
    if (pq_connection_open(ctx, &db->connection, err) < 0 || migrate(ctx, db, err) < 0) {
        close_db(&db->db);
        return -1;
    }
    *ret = &db->db;
    return 0;
}
