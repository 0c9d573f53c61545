/* A statement that takes too long ends with the context, in the database, too. */
#include "tests/unit/assert_err.h"

#include <time.h>

#include "store/db.h"
#include "tests/unit/fixture/stores.h"

static int count_for_ever(const struct ctx *ctx, struct db *db, void *arg, bool again,
                          struct err *err)
{
    const struct db_query query = {
        .sql = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT 1 FROM c) SELECT count(*) FROM c",
    };

    (void)arg;
    (void)again;
    return db->ops->run(ctx, db, &query, err) < 0 ? -1 : 0;
}

static int take_number(void *arg, const struct db_value *row, struct err *err)
{
    (void)err;
    *(int64_t *)arg = row[0].number;
    return 0;
}

static int count_one(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    const struct db_query query = {.sql = "SELECT count(*)", .row = take_number, .arg = arg};

    (void)again;
    return db->ops->run(ctx, db, &query, err) < 0 ? -1 : 0;
}

static void an_endless_statement(void **state)
{
    static const enum db_mode modes[] = {DB_READ, DB_READS, DB_WRITE};
    const struct timespec pause = {.tv_nsec = 50000000};
    struct db *db = NULL;
    int64_t one = 0;

    (void)state;
    assert_ok(ctx_init_root(&test_ctx, NULL, &test_err));
    if (stores_are_postgresql())
        assert_ok(db_postgresql_open(&test_ctx, stores_make(), 5000, &db, &test_err));
    else
        assert_ok(db_sqlite_open(&test_ctx, stores_make(), 5000, &db, &test_err));
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        const struct db_work work = {.mode = modes[i], .body = count_for_ever};
        const struct db_work after = {.mode = DB_WRITE, .body = count_one, .arg = &one};
        struct ctx limited;

        ctx_init(&limited, &test_ctx);
        ctx_set_timeout(&limited, 50, "test");
        assert_error(db->ops->transact(&limited, db, &work, &test_err), ERR_TIMEOUT);
        assert_string_equal(test_err.message, "test timeout after 50 milliseconds");
        one = 0;
        assert_ok(db->ops->transact(&test_ctx, db, &after, &test_err));
        assert_int_equal(one, 1);
    }
    db->ops->close(db);
    ctx_release(&test_ctx);
    while (stores_are_postgresql() &&
           strcmp(stores_sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                             "query LIKE 'WITH%'"),
                  "0") != 0)
        nanosleep(&pause, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endless_statement),
    };

    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
