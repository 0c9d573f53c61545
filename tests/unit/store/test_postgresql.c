/* A server that goes away, is slow, or refuses. */
#include "tests/unit/assert_err.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "store/submissions.h"
#include "tests/unit/fixture/stores.h"

static char url[256];
static struct store *store;

static int each_setup(void **state)
{
    (void)state;
    snprintf(url, sizeof(url), "%s", stores_make());
    assert_ok(ctx_init_root(&test_ctx, NULL, &test_err));
    assert_ok(store_open(&test_ctx, url, NULL, &store, &test_err));
    return 0;
}

static int each_teardown(void **state)
{
    (void)state;
    store_close(store);
    store = NULL;
    ctx_release(&test_ctx);
    return 0;
}

static int add(struct store *to, const char *id)
{
    struct store_run run = {.id = id, .name = "n"};

    return store_add(&test_ctx, to, &run, &test_err);
}

static int append(struct store *to, const char *id, int64_t version)
{
    static const char *const events[] = {"{}"};
    struct store_change change = {.id = id, .version = version, .events = events, .event_count = 1};

    return store_append(&test_ctx, to, &change, &test_err);
}

static int open_wait(const char *where, int64_t wait_ms, struct store **ret)
{
    return store_open(&test_ctx, where, &(struct store_options){.wait_ms = wait_ms}, ret,
                      &test_err);
}

static void a_server_that_was_restarted(void **state)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};

    (void)state;
    assert_ok(add(store, "r1"));
    stores_kill_server();
    stores_start_server();
    assert_ok(append(store, "r1", 0));
    stores_kill_server();
    stores_start_server();
    assert_ok(store_list(&test_ctx, store, &(struct store_query){0}, &runs, &test_err));
    assert_int_equal(runs.total, 1);
    assert_int_equal(runs.items[0].version, 1);
}

static struct store *patient;

static void *add_patiently(void *arg)
{
    struct store_run run = {.id = "r1", .name = "n"};

    return store_add(&test_ctx, patient, &run, arg) == 0 ? NULL : arg;
}

static void a_server_that_comes_back_is_waited_for(void **state)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    struct err failure = ERR_INIT;
    pthread_t thread;
    void *failed;

    (void)state;
    assert_ok(open_wait(url, 60000, &patient));
    stores_kill_server();
    assert_int_equal(pthread_create(&thread, NULL, add_patiently, &failure), 0);
    nanosleep(&pause, NULL);
    stores_start_server();
    pthread_join(thread, &failed);
    if (failed)
        fail_msg("%s", failure.message);
    store_close(patient);
    assert_string_equal(stores_sql("SELECT count(*) FROM runner_runs"), "1");
}

static void a_server_that_stays_away(void **state)
{
    CLEANUP_STORE struct store *hasty = NULL;
    struct store *other = NULL;
    char expected[ERR_MESSAGE_SIZE];

    (void)state;
    assert_ok(open_wait(url, 200, &hasty));
    stores_kill_server();
    snprintf(expected, sizeof(expected),
             "postgresql:///postgres does not answer: connection to server on socket "
             "\"%s/server/.s.PGSQL.5432\" failed: No such file or directory",
             stores_directory());
    assert_error(add(hasty, "r1"), ERR_UNAVAILABLE);
    assert_string_equal(test_err.message, expected);
    assert_error(open_wait(url, 0, &other), ERR_UNAVAILABLE);
    assert_string_equal(test_err.message, expected);
    ctx_cancel(&test_ctx, CTX_CAUSE_USER);
    assert_error(add(store, "r1"), ERR_CANCELLED);
    ctx_release(&test_ctx);
    assert_ok(ctx_init_root(&test_ctx, NULL, &test_err));
    stores_start_server();
    assert_ok(add(hasty, "r1"));
}

/* A server that takes connections and says nothing. */
static void a_server_that_is_silent(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[200], where[300];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct store *silent = NULL;

    (void)state;
    snprintf(directory, sizeof(directory), "%s/silent", stores_directory());
    assert_int_equal(mkdir(directory, 0700), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/.s.PGSQL.5432", directory);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    snprintf(where, sizeof(where), "postgresql://runner:secret@/x?host=%s", directory);
    assert_error(open_wait(where, 100, &silent), ERR_UNAVAILABLE);
    assert_string_equal(test_err.message, "postgresql:///x does not answer");
    close(fd);
}

static void signal_sessions(const char *pids, int signal)
{
    char *end;

    for (long pid = strtol(pids, &end, 10); pid > 0; pid = strtol(end, &end, 10))
        assert_int_equal(kill((pid_t)pid, signal), 0);
}

static void a_server_that_stands_still(void **state)
{
    CLEANUP_STORE struct store *hasty = NULL;
    char pids[200];
    int status;

    (void)state;
    assert_ok(open_wait(url, 200, &hasty));
    assert_ok(add(hasty, "r1"));
    snprintf(pids, sizeof(pids), "%s",
             stores_sql("SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE "
                        "application_name = 'runner'"));
    signal_sessions(pids, SIGSTOP);
    status = add(hasty, "r2");
    signal_sessions(pids, SIGCONT);
    assert_error(status, ERR_UNAVAILABLE);
    assert_message("does not answer: it has said nothing for 600 ms");
    assert_ok(add(hasty, "r3"));
}

static PGconn *connect_other(void)
{
    PGconn *other = PQconnectdb(url);

    assert_int_equal(PQstatus(other), CONNECTION_OK);
    return other;
}

static void *cancel(void *arg)
{
    (void)arg;
    ctx_cancel(&test_ctx, CTX_CAUSE_USER);
    return NULL;
}

static void a_lock_of_another(void **state)
{
    CLEANUP_STORE struct store *hasty = NULL;
    PGconn *other = connect_other();
    pthread_t thread;

    (void)state;
    assert_ok(open_wait(url, 100, &hasty));
    PQclear(PQexec(other, "BEGIN; LOCK TABLE runner_runs"));
    assert_error(add(hasty, "r1"), ERR_UNAVAILABLE);
    assert_string_equal(test_err.message,
                        "postgresql:///postgres: canceling statement due to lock timeout (55P03); "
                        "another program holds a lock for too long");
    assert_int_equal(pthread_create(&thread, NULL, cancel, NULL), 0);
    assert_error(add(store, "r1"), ERR_CANCELLED);
    pthread_join(thread, NULL);
    ctx_release(&test_ctx);
    assert_ok(ctx_init_root(&test_ctx, NULL, &test_err));
    PQfinish(other);
    assert_ok(add(hasty, "r1"));
    assert_ok(append(store, "r1", 0));
}

/* How many there are is kept by all who write. */
static void counting_waits_for_nobody(void **state)
{
    enum { MANY = 260 };
    CLEANUP_STORE struct store *hasty = NULL;
    PGconn *other = connect_other();
    int64_t counts[STATE_COUNT];

    (void)state;
    assert_ok(open_wait(url, 1000, &hasty));
    for (int i = 0; i < MANY; i++) {
        char id[16];

        /* What there is by then stays locked. */
        if (i == MANY / 2)
            PQclear(PQexec(other, "BEGIN; SELECT * FROM runner_counts FOR UPDATE"));
        snprintf(id, sizeof(id), "r%d", i);
        assert_ok(add(hasty, id));
    }
    assert_ok(store_count(&test_ctx, store, counts, &test_err));
    assert_int_equal(counts[STATE_PENDING], MANY);
    PQfinish(other);
    /* It does not grow with what has ever been. */
    assert_true(strtol(stores_sql("SELECT count(*) FROM runner_counts"), NULL, 10) < MANY / 2);
    stores_sql("TRUNCATE runner_runs CASCADE");
    assert_ok(store_count(&test_ctx, store, counts, &test_err));
    assert_int_equal(counts[STATE_PENDING], 0);
}

/* By the name of the schema, as pg_restore and a hand do, and where all changes are published. */
static void counting_is_for_whoever_writes(void **state)
{
    static const char *const ids[] = {"r127", "r128", "r129"};
    PGconn *other = connect_other();
    int64_t counts[STATE_COUNT];
    PGresult *result;
    char sql[128];

    (void)state;
    stores_sql("SELECT setval(pg_get_serial_sequence('runner_runs', 'key'), 126); "
               "CREATE PUBLICATION everything FOR ALL TABLES");
    for (int i = 0; i < 3; i++)
        assert_ok(add(store, ids[i]));
    stores_sql("UPDATE runner_meta SET version = version; DROP PUBLICATION everything");
    snprintf(sql, sizeof(sql), "DELETE FROM %s.runner_runs WHERE id < 'r129'",
             stores_sql("SELECT current_schema()"));
    PQclear(PQexec(other, "SELECT set_config('search_path', '', false)"));
    result = PQexec(other, sql);
    assert_string_equal(PQresultErrorMessage(result), "");
    PQclear(result);
    result = PQexec(other, "SHOW search_path");
    assert_string_equal(PQgetvalue(result, 0, 0), "");
    PQclear(result);
    PQfinish(other);
    assert_ok(store_count(&test_ctx, store, counts, &test_err));
    assert_int_equal(counts[STATE_PENDING], 1);
}

static void what_a_server_refuses(void **state)
{
    struct store *poor = NULL;
    char where[300];

    (void)state;
    stores_sql("UPDATE runner_meta SET version = 7");
    assert_error(open_wait(url, 0, &poor), ERR_UNSUPPORTED);
    assert_string_equal(
        test_err.message,
        "the store in postgresql:///postgres has version 7, made by a newer runner; "
        "this one knows version 4: use the newer one, or name another database");
    stores_sql(
        "CREATE ROLE poor LOGIN; CREATE SCHEMA closed; GRANT USAGE ON SCHEMA closed TO poor");
    snprintf(where, sizeof(where),
             "postgresql://poor@/postgres?host=%s/server&options=-csearch_path%%3Dclosed",
             stores_directory());
    assert_error(open_wait(where, 0, &poor), ERR_DENIED);
    assert_string_equal(test_err.message,
                        "postgresql:///postgres: permission denied for schema closed (42501); let "
                        "the user create tables there, or name another schema: "
                        "?options=-csearch_path%3DNAME");
    snprintf(where, sizeof(where),
             "postgresql://runner@/postgres?host=%s/server&options=-csearch_path%%3Dnone",
             stores_directory());
    assert_error(open_wait(where, 0, &poor), ERR_INVALID);
    assert_string_equal(test_err.message,
                        "postgresql:///postgres: no schema has been selected to create in (3F000); "
                        "create the schema of the search_path");
    assert_error(open_wait("postgresql://host:port/x?nonsense=1", 0, &poor), ERR_UNAVAILABLE);
    assert_message("postgresql://host:port/x does not answer: invalid URI query parameter");
}

#define WITHOUT_COUNTS "DROP FUNCTION runner_count CASCADE; DROP TABLE runner_counts; "

static void an_older_store_is_brought_up_to_date(void **state)
{
    CLEANUP_STORE struct store *newer = NULL;
    CLEANUP_STORE_RUNS struct store_runs waiting = {0}, all = {0};

    (void)state;
    assert_ok(add(store, "r1"));
    stores_sql(WITHOUT_COUNTS "DROP TABLE runner_submissions; UPDATE runner_meta SET version = 1");
    assert_ok(open_wait(url, 0, &newer));
    assert_ok(store_waiting(&test_ctx, newer, 0, &waiting, &test_err));
    assert_int_equal(waiting.len, 0);
    assert_error(add(newer, "r1"), ERR_CONFLICT);
    /* Who has had it open meanwhile is counted, too. */
    assert_ok(add(store, "r2"));
    assert_ok(store_list(&test_ctx, newer, &(struct store_query){0}, &all, &test_err));
    assert_int_equal(all.total, 2);
}

static void what_an_older_store_has_is_held_by_nobody(void **state)
{
    CLEANUP_STORE struct store *newer = NULL;
    CLEANUP_STORE_RUNS struct store_runs waiting = {0}, held = {0};

    (void)state;
    assert_ok(add(store, "r1"));
    stores_sql(WITHOUT_COUNTS "ALTER TABLE runner_submissions DROP COLUMN held_by; "
                              "UPDATE runner_meta SET version = 2; "
                              "INSERT INTO runner_submissions (run, taken_by, options, file) "
                              "SELECT key, '', '{}', 'x' FROM runner_runs; "
                              "UPDATE runner_runs SET state = 'pending'");
    assert_ok(open_wait(url, 0, &newer));
    assert_ok(store_waiting(&test_ctx, newer, 0, &waiting, &test_err));
    assert_int_equal(waiting.len, 1);
    assert_ok(store_held(&test_ctx, newer, &held, &test_err));
    assert_int_equal(held.len, 0);
}

/* Between the store and the server: passes all on, but the first connection is closed when the
 * server has answered a COMMIT. */
struct cutter {
    int listener;
    char server[108];
    atomic_int commits;
};

static int connect_server(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void pass_on(struct cutter *cutter, int client, int server)
{
    bool committed = false;
    char data[65536];

    for (;;) {
        struct pollfd fds[] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
        ssize_t len;

        poll(fds, 2, -1);
        if (fds[0].revents) {
            len = read(client, data, sizeof(data));
            if (len <= 0)
                return;
            /* With its NUL: there is READ COMMITTED, too. */
            committed = memmem(data, (size_t)len, "COMMIT", sizeof("COMMIT")) != NULL;
            if (write(server, data, (size_t)len) != len)
                return;
        } else {
            len = read(server, data, sizeof(data));
            if (len <= 0 || (committed && atomic_fetch_add(&cutter->commits, 1) == 0))
                return;
            if (write(client, data, (size_t)len) != len)
                return;
        }
    }
}

static void *cut(void *arg)
{
    struct cutter *cutter = arg;

    for (;;) {
        int client = accept(cutter->listener, NULL, NULL);
        int server;

        if (client < 0)
            return NULL;
        server = connect_server(cutter->server);
        pass_on(cutter, client, server);
        close(client);
        close(server);
    }
}

/* Each of them is done twice, and counts once. */
static void submissions_that_nobody_answered(struct cutter *cutter, struct store *through)
{
    CLEANUP_STORE_SUBMITTED struct store_submitted got = {0};
    const struct store_run run = {.id = "s1"};
    struct store_submission submission = {.run = &run, .file = "x"};
    const struct store_drop drop = {.id = "s1", .state = STATE_CANCELLED, .event = "{}"};

    cutter->commits = 0;
    assert_ok(store_submit(&test_ctx, through, &submission, 1, &test_err));
    assert_int_equal(submission.result, ERR_NONE);
    assert_true(cutter->commits > 1);
    cutter->commits = 0;
    assert_ok(store_take(&test_ctx, through, "s1", "me", &got, &test_err));
    assert_true(cutter->commits > 1);
    cutter->commits = 0;
    assert_ok(store_give_back(&test_ctx, through, "s1", "me", &test_err));
    assert_true(cutter->commits > 1);
    cutter->commits = 0;
    assert_ok(store_drop(&test_ctx, through, &drop, &test_err));
    assert_true(cutter->commits > 1);
    assert_error(store_drop(&test_ctx, through, &drop, &test_err), ERR_CONFLICT);
}

static void a_commit_that_nobody_answered(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP_STORE struct store *through = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct cutter cutter = {.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    char directory[200], where[400];
    pthread_t thread;

    (void)state;
    snprintf(directory, sizeof(directory), "%s/cutter", stores_directory());
    assert_int_equal(mkdir(directory, 0700), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/.s.PGSQL.5432", directory);
    snprintf(cutter.server, sizeof(cutter.server), "%.70s/server/.s.PGSQL.5432",
             stores_directory());
    assert_int_equal(bind(cutter.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(cutter.listener, 8), 0);
    assert_int_equal(pthread_create(&thread, NULL, cut, &cutter), 0);
    snprintf(where, sizeof(where), "postgresql://runner@/postgres?host=%s&options=%s", directory,
             strstr(url, "options=") + strlen("options="));
    cutter.commits = 1; /* those of opening it */
    assert_ok(open_wait(where, 60000, &through));
    cutter.commits = 0;
    assert_ok(add(through, "r1"));
    assert_true(cutter.commits > 1);
    cutter.commits = 0;
    assert_ok(append(through, "r1", 0));
    assert_true(cutter.commits > 1);
    assert_error(append(through, "r1", 0), ERR_CONFLICT);
    assert_ok(store_get(&test_ctx, through, "r1", &runs, &test_err));
    assert_int_equal(runs.items[0].version, 1);
    assert_string_equal(stores_sql("SELECT count(*) FROM runner_events"), "1");
    submissions_that_nobody_answered(&cutter, through);
    store_close(through);
    through = NULL;
    shutdown(cutter.listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(cutter.listener);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        EACH(a_server_that_was_restarted),
        EACH(a_server_that_comes_back_is_waited_for),
        EACH(a_server_that_stays_away),
        EACH(a_server_that_is_silent),
        EACH(a_server_that_stands_still),
        EACH(a_lock_of_another),
        EACH(counting_waits_for_nobody),
        EACH(counting_is_for_whoever_writes),
        EACH(what_a_server_refuses),
        EACH(an_older_store_is_brought_up_to_date),
        EACH(what_an_older_store_has_is_held_by_nobody),
        EACH(a_commit_that_nobody_answered),
    };

    setenv("RUNNER_TEST_STORE", "postgresql", 1);
    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
