#include <string.h>

#include "base/buf.h"
#include "store/inside.h"

enum { LIMIT = 100, EXCESS = 1000, PARAMS_MAX = STATE_COUNT + 8, SHOWN = 3 };

/* A statement whose conditions depend on what is asked. */
struct asked {
    struct buf where;
    struct db_value params[PARAMS_MAX];
    size_t count;
};

static void ask(struct asked *asked, const char *before, struct db_value value, const char *after)
{
    asked->params[asked->count++] = value;
    buf_addf(&asked->where, "%s$%zu%s", before, asked->count, after);
}

struct listing {
    struct asked asked;
    const char *count_sql; /* NULL: no total */
    const char *rows_sql;
    struct store_runs found;
    struct err unread; /* of the first row that is left out */
};

/* One that a newer program has written does not hide the others. */
static int take_run(void *arg, const struct db_value *row, struct err *err)
{
    struct listing *listing = arg;
    struct store_runs *runs = &listing->found;
    struct store_run run;

    (void)err;
    if (row_read(row, &runs->arena, &run, runs->left_out ? NULL : &listing->unread) < 0)
        runs->left_out++;
    else
        vec_push(runs, run);
    return 0;
}

static int take_total(void *arg, const struct db_value *row, struct err *err)
{
    (void)err;
    ((struct listing *)arg)->found.total = row[0].number;
    return 0;
}

/* The last two parameters are limit and offset, which the total is without. */
static int list_body(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    struct listing *listing = arg;
    struct db_query query = {.params = listing->asked.params, .arg = listing};

    (void)again;
    store_runs_release(&listing->found);
    listing->found.left_out = 0;
    if (listing->count_sql) {
        query.sql = listing->count_sql;
        query.param_count = listing->asked.count - 2;
        query.row = take_total;
        if (db->ops->run(ctx, db, &query, err) < 0)
            return -1;
        /* A search goes through all of them. */
        if (listing->found.total <= listing->asked.params[query.param_count + 1].number)
            return 0;
    }
    query.sql = listing->rows_sql;
    query.param_count = listing->asked.count;
    query.row = take_run;
    return db->ops->run(ctx, db, &query, err) < 0 ? -1 : 0;
}

static int list(const struct ctx *ctx, struct store *store, struct listing *listing,
                struct store_runs *ret, struct err *err)
{
    int status =
        store_work(ctx, store, listing->count_sql ? DB_READS : DB_READ, list_body, listing, err);

    if (status < 0) {
        store_runs_release(&listing->found);
        return -1;
    }
    *ret = listing->found;
    return 0;
}

static void ask_states(struct asked *asked, unsigned states)
{
    const char *before = " AND state IN (";

    if (!(states & ((1u << STATE_COUNT) - 1)))
        return;
    for (int state = 0; state < STATE_COUNT; state++) {
        if (states & STORE_STATE(state)) {
            ask(asked, before, DB_TEXT(state_name((enum state)state)), "");
            before = ", ";
        }
    }
    buf_addstr(&asked->where, ")");
}

static void ask_query(struct asked *asked, const struct store_query *query, const char *contains,
                      struct arena *arena)
{
    buf_addstr(&asked->where, " WHERE 1 = 1");
    ask_states(asked, query->states);
    if (query->from_ms)
        ask(asked, " AND submitted_ms >= ", DB_NUMBER(query->from_ms), "");
    if (query->until_ms)
        ask(asked, " AND submitted_ms < ", DB_NUMBER(query->until_ms), "");
    if (query->origin && *query->origin)
        ask(asked, " AND origin = ", row_text(query->origin, strlen(query->origin), arena), "");
    if (query->search && *query->search) {
        buf_addf(&asked->where, " AND %s(folded, ", contains);
        ask(asked, "", DB_TEXT(row_fold(query->search, arena)), ") > 0");
    }
}

/* Of those the number is kept. */
static bool asks_for_states_alone(const struct store_query *query)
{
    return !query->from_ms && !query->until_ms && !(query->origin && *query->origin) &&
           !(query->search && *query->search);
}

int store_list(const struct ctx *ctx, struct store *store, const struct store_query *query,
               struct store_runs *ret, struct err *err)
{
    CLEANUP_ARENA struct arena arena = {0};
    CLEANUP_BUF struct buf count_sql = BUF_INIT;
    CLEANUP_BUF struct buf rows_sql = BUF_INIT;
    struct listing listing = {.asked = {.where = BUF_INIT}};
    struct asked *asked = &listing.asked;
    int64_t limit = query->limit > 0 ? query->limit : LIMIT;
    int status;

    ask_query(asked, query, store->db->ops->contains, &arena);
    buf_addf(&count_sql, "SELECT %s%s",
             asks_for_states_alone(query) ? "CAST(sum(runs) AS BIGINT) FROM runner_counts"
                                          : "count(*) FROM runner_runs",
             asked->where.data);
    ask(asked, " ORDER BY submitted_ms DESC, id DESC LIMIT ",
        DB_NUMBER(limit < STORE_LIST_MAX ? limit : STORE_LIST_MAX), "");
    ask(asked, " OFFSET ", DB_NUMBER(query->offset > 0 ? query->offset : 0), "");
    buf_addf(&rows_sql, "SELECT " ROW_COLUMNS " FROM runner_runs%s", asked->where.data);
    listing.count_sql = count_sql.data;
    listing.rows_sql = rows_sql.data;
    status = list(ctx, store, &listing, ret, err);
    buf_release(&asked->where);
    return status;
}

static int several(const char *id, const struct store_runs *runs, struct err *err)
{
    CLEANUP_BUF struct buf some = BUF_INIT;

    for (size_t i = 0; i < runs->len && i < SHOWN; i++)
        buf_addf(&some, "%s%s", i ? ", " : "", runs->items[i].id);
    if (runs->len > SHOWN)
        buf_addstr(&some, " and more");
    return err_set(err, ERR_INVALID, "several runs begin with \"%s\": %s; give more of the id", id,
                   some.data);
}

int store_get(const struct ctx *ctx, struct store *store, const char *id, struct store_runs *ret,
              struct err *err)
{
    CLEANUP_BUF struct buf end = BUF_INIT;
    CLEANUP_STORE_RUNS struct store_runs found = {0};
    struct listing listing = {
        .rows_sql = "SELECT " ROW_COLUMNS " FROM runner_runs WHERE id >= $1 AND id < $2 ORDER BY "
                    "id LIMIT $3",
        .asked = {.where = BUF_INIT, .count = 3},
    };

    if (store_id_valid(id)) {
        /* "{" is behind "z", the last letter of an id. */
        buf_addf(&end, "%s{", id);
        listing.asked.params[0] = DB_TEXT(id);
        listing.asked.params[1] = DB_TEXT(end.data);
        listing.asked.params[2] = DB_NUMBER(SHOWN + 1);
        if (list(ctx, store, &listing, &found, err) < 0)
            return -1;
    }
    if (!found.len && found.left_out)
        return err_set(err, listing.unread.code, "%s", listing.unread.message);
    if (!found.len)
        return err_set(err, ERR_NOT_FOUND, "there is no run %s in the store", id);
    /* The whole id comes first, whatever begins with it. */
    if (found.len > 1 && strcmp(found.items[0].id, id) != 0)
        return several(id, &found, err);
    found.len = 1;
    found.total = 1;
    *ret = found;
    found = (struct store_runs){0};
    return 0;
}

#define SQL_EXCESS                                                                                 \
    "SELECT " ROW_COLUMNS " FROM (SELECT runner_runs.*, "                                          \
    "row_number() OVER newest AS place, "                                                          \
    "CAST(sum(log_bytes) OVER newest AS BIGINT) AS bytes FROM runner_runs "                        \
    "WINDOW newest AS (ORDER BY submitted_ms DESC, id DESC)) AS ranked "                           \
    "WHERE state IN ('succeeded', 'failed', 'cancelled', 'skipped') AND place > 1 AND ("           \
    "CASE WHEN ended_ms > 0 THEN ended_ms ELSE submitted_ms END < CAST($1 AS BIGINT) "             \
    "OR place > CAST($2 AS BIGINT) OR bytes > CAST($3 AS BIGINT)) "                                \
    "ORDER BY submitted_ms, id LIMIT $4"

int store_list_excess(const struct ctx *ctx, struct store *store,
                      const struct store_retention *keep, int64_t limit, struct store_runs *ret,
                      struct err *err)
{
    struct listing listing = {
        .rows_sql = SQL_EXCESS,
        .asked =
            {
                .where = BUF_INIT,
                .count = 4,
                .params =
                    {
                        DB_NUMBER(keep->ended_before_ms),
                        DB_NUMBER(keep->max_runs >= 0 ? keep->max_runs : INT64_MAX),
                        DB_NUMBER(keep->max_log_bytes >= 0 ? keep->max_log_bytes : INT64_MAX),
                        DB_NUMBER(limit > 0 ? limit : EXCESS),
                    },
            },
    };

    return list(ctx, store, &listing, ret, err);
}

static int take_count(void *arg, const struct db_value *row, struct err *err)
{
    int64_t *counts = arg;

    (void)err;
    for (int state = 0; state < STATE_COUNT; state++) {
        if (strcmp(row[0].text, state_name((enum state)state)) == 0)
            counts[state] = row[1].number;
    }
    return 0;
}

static int count_body(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    (void)again;
    memset(arg, 0, sizeof(int64_t) * STATE_COUNT);
    return db->ops->run(ctx, db,
                        &(struct db_query){
                            .sql = "SELECT state, CAST(sum(runs) AS BIGINT) FROM "
                                   "runner_counts GROUP BY state",
                            .keep = true,
                            .row = take_count,
                            .arg = arg,
                        },
                        err) < 0
               ? -1
               : 0;
}

int store_count(const struct ctx *ctx, struct store *store, int64_t ret_counts[STATE_COUNT],
                struct err *err)
{
    int64_t counts[STATE_COUNT];

    if (store_work(ctx, store, DB_READ, count_body, counts, err) < 0)
        return -1;
    memcpy(ret_counts, counts, sizeof(counts));
    return 0;
}
