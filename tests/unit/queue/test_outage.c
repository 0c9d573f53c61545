/* A database that goes away and comes back, while runs are submitted, started, followed and
 * cancelled. What was answered with an error does not run; everything else does, once. */
#include "tests/unit/queue/rig.h"

#include <libpq-fe.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "queue/inside.h"

enum { CLIENTS = 6 };

struct client {
    pthread_t thread;
    char name[24];
    atomic_int accepted;
    char *ids[RUNS_MAX / CLIENTS];
    bool cancels;
};

static atomic_bool stopping;
static atomic_int failures;

static void *be_a_client(void *arg)
{
    struct client *client = arg;
    const struct submission submission = {.file = "x", .client = client->name};
    const struct queue_cancel how = {.by = client->name};

    while (!stopping && client->accepted < RUNS_MAX / CLIENTS) {
        char id[OWN_RUN_ID_SIZE];
        struct err err = ERR_INIT;

        if (queue_submit(&test_ctx, queue, &submission, id, &err) < 0) {
            atomic_fetch_add(&failures, 1);
            continue;
        }
        client->ids[client->accepted++] = xstrdup(id);
        if (client->cancels)
            (void)!queue_cancel(&test_ctx, queue, id, &how, &err);
    }
    return NULL;
}

static int count_accepted(struct client *clients)
{
    int count = 0;

    for (int i = 0; i < CLIENTS; i++)
        count += clients[i].accepted;
    return count;
}

static void await(bool (*condition)(void *arg), void *arg)
{
    while (!condition(arg))
        usleep(2000);
}

static int wanted;

static bool are_accepted(void *arg)
{
    return count_accepted(arg) >= wanted;
}

static bool have_failed(void *arg)
{
    (void)arg;
    return failures > 0;
}

static bool have_ended(void *arg)
{
    int64_t *counts = arg;

    assert_ok(store_count(&test_ctx, history->store, counts, &test_err));
    return !counts[STATE_PENDING] && !counts[STATE_RUNNING];
}

static void a_database_that_comes_back(void **state)
{
    static struct client clients[CLIENTS];
    int64_t counts[STATE_COUNT];

    (void)state;
    /* One that is away is an error soon. */
    store_close(history->store);
    history->store = NULL;
    assert_ok(store_open(&test_ctx, stores_make(), &(struct store_options){.wait_ms = 200},
                         &history->store, &test_err));
    fake.automatic = true;
    open_queue(&(struct queue_options){.max_concurrent = 4});
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(clients[i].name, sizeof(clients[i].name), "client%d", i);
        clients[i].cancels = i % 3 == 0;
        assert_int_equal(pthread_create(&clients[i].thread, NULL, be_a_client, &clients[i]), 0);
    }
    for (int outage = 1; outage <= 2; outage++) {
        wanted = count_accepted(clients) + 60;
        await(are_accepted, clients);
        failures = 0;
        stores_kill_server();
        await(have_failed, NULL);
        stores_start_server();
    }
    wanted = count_accepted(clients) + 60;
    await(are_accepted, clients);
    stopping = true;
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i].thread, NULL);
    await(have_ended, counts);
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
    for (int i = 0; i < CLIENTS; i++) {
        for (int j = 0; j < clients[i].accepted; j++) {
            struct store_run run = stored(clients[i].ids[j]);
            const struct fake_run *ran = fake_find(run.id);

            if (run.state == STATE_CANCELLED)
                assert_true(clients[i].cancels && !ran);
            else
                assert_true(run.state == STATE_SUCCEEDED && ran && ran->started == 1);
            free(clients[i].ids[j]);
        }
    }
    /* Nobody knows of any others. */
    assert_int_equal(counts[STATE_SUCCEEDED] + counts[STATE_CANCELLED], count_accepted(clients));
    assert_int_equal(counts[STATE_SUCCEEDED], fake.count);
}

/* --- a commit that nobody answers --- */

/* Between the store and the server. When it is told so, the next COMMIT reaches the server and its
 * answer nobody; from then on it refuses connections. */
static struct {
    int listener;
    char server[108];
    atomic_bool cuts;
    atomic_bool refuses;
} cutter;

static void pass_on(int client, int server)
{
    bool cut = false;
    char data[65536];

    for (;;) {
        struct pollfd fds[] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
        bool from_client;
        ssize_t len;

        poll(fds, 2, -1);
        from_client = fds[0].revents != 0;
        len = read(from_client ? client : server, data, sizeof(data));
        if (len <= 0)
            return;
        /* With its NUL: there is READ COMMITTED, too. */
        if (from_client && memmem(data, (size_t)len, "COMMIT", sizeof("COMMIT")))
            cut = atomic_exchange(&cutter.cuts, false);
        if (!from_client && cut) {
            cutter.refuses = true;
            return;
        }
        if (write(from_client ? server : client, data, (size_t)len) != len)
            return;
    }
}

static void *be_cutter(void *arg)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int client;

    memcpy(address.sun_path, cutter.server, sizeof(cutter.server));
    while ((client = accept(cutter.listener, NULL, NULL)) >= 0) {
        int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (!cutter.refuses && connect(server, (struct sockaddr *)&address, sizeof(address)) == 0)
            pass_on(client, server);
        close(server);
        close(client);
    }
    return arg;
}

/* Puts it in the way of a store; returns how it is reached. */
static const char *start_cutter(const char *url, pthread_t *thread)
{
    static char where[400];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[200];

    snprintf(directory, sizeof(directory), "%.60s/cutter", stores_directory());
    assert_int_equal(mkdir(directory, 0700), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/.s.PGSQL.5432", directory);
    snprintf(cutter.server, sizeof(cutter.server), "%.70s/server/.s.PGSQL.5432",
             stores_directory());
    cutter.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(cutter.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(cutter.listener, 8), 0);
    assert_int_equal(pthread_create(thread, NULL, be_cutter, NULL), 0);
    snprintf(where, sizeof(where), "postgresql://runner@/postgres?host=%s&options=%s", directory,
             strstr(url, "options=") + strlen("options="));
    return where;
}

static int64_t count_runs(struct store *store)
{
    int64_t counts[STATE_COUNT];
    int64_t total = 0;

    assert_ok(store_count(&test_ctx, store, counts, &test_err));
    for (int i = 0; i < STATE_COUNT; i++)
        total += counts[i];
    return total;
}

/* It is in the store although nobody was told so, and goes again. */
static void submit_in_vain(struct store *direct)
{
    const struct submission submission = {.file = "never", .client = "a"};
    int64_t before = count_runs(direct);
    char id[OWN_RUN_ID_SIZE];

    cutter.cuts = true;
    assert_error(queue_submit(&test_ctx, queue, &submission, id, &test_err), ERR_UNAVAILABLE);
    assert_int_equal(count_runs(direct), before + 1);
    cutter.refuses = false;
    while (count_runs(direct) != before)
        usleep(2000);
}

static void what_was_answered_with_an_error_does_not_run(void **state)
{
    CLEANUP_STORE struct store *direct = NULL;
    CLEANUP_FREE char *first = NULL, *second = NULL;
    const char *url = stores_make();
    pthread_t thread;

    (void)state;
    assert_ok(store_open(&test_ctx, url, NULL, &direct, &test_err));
    store_close(history->store);
    history->store = NULL;
    assert_ok(store_open(&test_ctx, start_cutter(url, &thread),
                         &(struct store_options){.wait_ms = 200}, &history->store, &test_err));
    open_queue(&(struct queue_options){.max_concurrent = 1});
    submit_in_vain(direct); /* as taken */
    first = submit_as("a", "first", 0);
    await_started(1);
    submit_in_vain(direct); /* as one that waits */
    second = submit_as("a", "second", 0);
    fake_begin(first);
    fake_end(first, STATE_SUCCEEDED);
    await_started(2);
    assert_string_equal(fake.order, "first second");
    close_queue();
    store_close(history->store);
    history->store = NULL;
    shutdown(cutter.listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(cutter.listener);
}

/* --- a commit that takes its time --- */

static void signal_sessions(const char *pids, int signal)
{
    char *end;

    for (long pid = strtol(pids, &end, 10); pid > 0; pid = strtol(end, &end, 10))
        assert_int_equal(kill((pid_t)pid, signal), 0);
}

struct submitter {
    struct ctx ctx;
    struct err err;
    int status;
};

static void *submit_until(void *arg)
{
    struct submitter *submitter = arg;
    const struct submission submission = {.file = "slow", .client = "a"};
    char id[OWN_RUN_ID_SIZE];

    submitter->status = queue_submit(&submitter->ctx, queue, &submission, id, &submitter->err);
    return NULL;
}

/* Nobody waits any more when it is done: then it is taken back. */
static void a_database_that_stands_still(void **state)
{
    CLEANUP_FREE char *later = NULL;
    struct submitter submitter = {0};
    char pids[200];
    pthread_t thread;
    bool written = false;

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    snprintf(pids, sizeof(pids), "%s",
             stores_sql("SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE "
                        "application_name = 'runner'"));
    signal_sessions(pids, SIGSTOP);
    assert_ok(ctx_init_cancel(&submitter.ctx, &test_ctx, &test_err));
    assert_int_equal(pthread_create(&thread, NULL, submit_until, &submitter), 0);
    for (; !written; usleep(1000)) {
        pthread_mutex_lock(&queue->mu);
        written = queue->active.len;
        pthread_mutex_unlock(&queue->mu);
    }
    ctx_cancel(&submitter.ctx, CTX_CAUSE_USER);
    pthread_join(thread, NULL);
    assert_int_equal(submitter.status, -1);
    assert_int_equal(submitter.err.code, ERR_CANCELLED);
    assert_string_equal(stores_sql("SELECT count(*) FROM runner_runs"), "0");
    signal_sessions(pids, SIGCONT);
    await_changes(NULL, STATE_CANCELLED, 1);
    later = submit_as("a", "later", 0);
    await_started(1);
    assert_string_equal(fake.order, "later");
    while (count_runs(history->store) != 1)
        usleep(2000);
    ctx_release(&submitter.ctx);
}

/* --- a commit that comes later than the next server --- */

static bool mark_is_there(const char *name)
{
    CLEANUP_STRVEC struct strvec gone = {0};

    history_servers_gone(history, &gone);
    return strvec_has(&gone, name);
}

/* A server has died behind its last commit, which the database has not come to. */
static void what_a_server_that_is_gone_did_late(void **state)
{
    const struct store_run run = {.id = "late", .client = "c", .submitted_ms = 1};
    struct store_submission submission = {.run = &run,
                                          .file = "late",
                                          .options = "{}",
                                          .taken_by = "elsewhere"};
    CLEANUP_STORE_RUNS struct store_runs held = {0};
    PGconn *dying = PQconnectdb(stores_place());
    int mark = history_server_begin(history, "dying", &test_err);

    (void)state;
    assert_true(mark >= 0);
    assert_ok(store_submit(&test_ctx, history->store, &submission, 1, &test_err));
    PQclear(PQexec(dying,
                   "BEGIN; UPDATE runner_submissions SET taken_by = 'dying', held_by = 'dying'"));
    close(mark);
    open_queue(NULL);
    assert_ok(queue_recover(&test_ctx, queue, &test_err));
    assert_true(mark_is_there("dying"));
    PQclear(PQexec(dying, "COMMIT"));
    PQfinish(dying);
    assert_ok(queue_recover(&test_ctx, queue, &test_err));
    await_starts("late", 1);
    assert_true(strvec_has(&fake.left, "late"));
    assert_ok(store_held(&test_ctx, history->store, &held, &test_err));
    assert_string_equal(held.items[0].owner, queue->owner);
    while (mark_is_there("dying"))
        assert_ok(queue_recover(&test_ctx, queue, &test_err));
}

/* --- a commit that comes later than its error --- */

/* That this one failed has been told; the database has not come to the last of it. */
static void what_failed_and_is_done_late(void **state)
{
    const struct store_run run = {.id = "late", .client = "c", .submitted_ms = 1};
    struct store_submission submission = {.run = &run,
                                          .file = "late",
                                          .options = "{}",
                                          .taken_by = "elsewhere"};
    PGconn *connection = PQconnectdb(stores_place());
    bool looked = false;

    (void)state;
    fake.automatic = true;
    open_queue(NULL);
    assert_ok(store_submit(&test_ctx, history->store, &submission, 1, &test_err));
    PQclear(PQexec(connection, "BEGIN; UPDATE runner_submissions SET taken_by = ''"));
    pthread_mutex_lock(&queue->mu);
    unsettled_add(&queue->doubts, "late");
    pthread_mutex_unlock(&queue->mu);
    queue_wake(queue);
    for (; !looked; usleep(1000)) {
        pthread_mutex_lock(&queue->mu);
        looked = !queue->doubts.names.len || queue->doubts.names.items[0].begun;
        pthread_mutex_unlock(&queue->mu);
    }
    PQclear(PQexec(connection, "COMMIT"));
    PQfinish(connection);
    while (count_runs(history->store))
        usleep(1000);
    assert_int_equal(fake.count, 0);
    for (; looked; usleep(1000)) {
        pthread_mutex_lock(&queue->mu);
        looked = queue->doubts.names.len;
        pthread_mutex_unlock(&queue->mu);
    }
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        EACH(what_was_answered_with_an_error_does_not_run),
        EACH(a_database_that_stands_still),
        EACH(what_a_server_that_is_gone_did_late),
        EACH(what_failed_and_is_done_late),
        EACH(a_database_that_comes_back),
    };

    setenv("RUNNER_TEST_STORE", "postgresql", 1);
    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
