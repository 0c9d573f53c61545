/* Many who submit and cancel at the same moment, and several queues on one store. */
#include "tests/unit/queue/rig.h"

#include <stdatomic.h>

#include "base/clock.h"

enum { CLIENTS = 16, EACH_SUBMITS = 15, ALL = CLIENTS * EACH_SUBMITS };

struct client {
    pthread_t thread;
    char name[24];
    struct queue *queue;
    bool cancels; /* every third, at once */
    int cancelled;
    bool failed;
};

static void *be_a_client(void *arg)
{
    struct client *client = arg;
    const struct submission submission = {.file = "x", .client = client->name};
    const struct queue_cancel how = {.by = client->name};
    struct err err = ERR_INIT;

    for (int i = 0; i < EACH_SUBMITS && !client->failed; i++) {
        char id[OWN_RUN_ID_SIZE];
        int status = queue_submit(&test_ctx, client->queue, &submission, id, &err);

        if (status == 0 && client->cancels && i % 3 == 0) {
            status = queue_cancel(&test_ctx, client->queue, id, &how, &err);
            client->cancelled += status == 0;
            if (status < 0 && err.code == ERR_CONFLICT)
                status = 0;
        }
        client->failed = status < 0;
    }
    if (client->failed)
        fprintf(stderr, "%s: %s\n", client->name, err.message);
    return NULL;
}

static void run_clients(struct client *clients)
{
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(clients[i].name, sizeof(clients[i].name), "client%d", i);
        assert_int_equal(pthread_create(&clients[i].thread, NULL, be_a_client, &clients[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_false(clients[i].failed);
    }
}

static void assert_each_once(void)
{
    for (size_t i = 0; i < fake.count; i++)
        assert_int_equal(fake.runs[i].started, 1);
}

static void none_is_lost_and_none_runs_twice(void **state)
{
    struct client clients[CLIENTS] = {0};
    int64_t began_ms = clock_monotonic_ms();
    int64_t counts[STATE_COUNT];

    (void)state;
    fake.automatic = true;
    open_queue(&(struct queue_options){.max_concurrent = 8});
    for (int i = 0; i < CLIENTS; i++)
        clients[i].queue = queue;
    run_clients(clients);
    print_message("%d were submitted in %lld ms\n", ALL,
                  (long long)(clock_monotonic_ms() - began_ms));
    await_changes(NULL, STATE_SUCCEEDED, ALL);
    assert_ok(store_count(&test_ctx, history->store, counts, &test_err));
    assert_int_equal(counts[STATE_SUCCEEDED], ALL);
    assert_int_equal(fake.count, ALL);
    assert_each_once();
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
}

static void what_is_cancelled_has_not_run_or_was_told(void **state)
{
    struct client clients[CLIENTS] = {0};
    int64_t counts[STATE_COUNT];
    int cancelled = 0;

    (void)state;
    fake.automatic = true;
    open_queue(&(struct queue_options){.max_concurrent = 2});
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].queue = queue;
        clients[i].cancels = true;
    }
    run_clients(clients);
    for (int i = 0; i < CLIENTS; i++)
        cancelled += clients[i].cancelled;
    pthread_mutex_lock(&fake.mu);
    while (count_changes(NULL, STATE_SUCCEEDED) + count_changes(NULL, STATE_CANCELLED) < ALL)
        pthread_cond_wait(&fake.changed, &fake.mu);
    pthread_mutex_unlock(&fake.mu);
    assert_ok(store_count(&test_ctx, history->store, counts, &test_err));
    assert_int_equal(counts[STATE_SUCCEEDED] + counts[STATE_CANCELLED], ALL);
    assert_int_equal(counts[STATE_SUCCEEDED], fake.count);
    /* Those that had begun were told, and had other plans. */
    assert_int_equal(counts[STATE_CANCELLED] + fake.cancels, cancelled);
    assert_each_once();
}

static void several_servers_share_what_waits(void **state)
{
    struct client clients[CLIENTS] = {0};
    struct queue *queues[3];

    (void)state;
    fake.automatic = true;
    for (int i = 0; i < 3; i++) {
        open_queue(&(struct queue_options){.max_concurrent = 3});
        queues[i] = queue;
    }
    for (int i = 0; i < CLIENTS; i++)
        clients[i].queue = queues[i % 3];
    run_clients(clients);
    await_changes(NULL, STATE_SUCCEEDED, ALL);
    assert_int_equal(fake.count, ALL);
    assert_each_once();
    queue_close(queues[0]);
    queue_close(queues[1]);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        EACH(none_is_lost_and_none_runs_twice),
        EACH(what_is_cancelled_has_not_run_or_was_told),
        EACH(several_servers_share_what_waits),
    };

    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
