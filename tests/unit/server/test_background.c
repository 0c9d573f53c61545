/* What a server does without being asked, and how it ends, on a queue whose launcher is this
 * process. */
#include "tests/unit/queue/rig.h"

#include "queue/inside.h"
#include "server/inside.h"

static bool queue_is_closed;

void __real_queue_close(struct queue *closed);
void __wrap_queue_close(struct queue *closed);
void __real_workers_release(struct workers *workers);
void __wrap_workers_release(struct workers *workers);

void __wrap_queue_close(struct queue *closed)
{
    queue_is_closed = true;
    __real_queue_close(closed);
}

static struct server *server;

/* Those who work until here may ask the queue, which does nothing for them any more. */
void __wrap_workers_release(struct workers *workers)
{
    const struct submission submission = {.file = "x", .client = "a"};
    char id[OWN_RUN_ID_SIZE];

    assert_false(queue_is_closed);
    assert_error(queue_submit(&test_ctx, server->queue, &submission, id, &test_err),
                 ERR_UNAVAILABLE);
    __real_workers_release(workers);
}

/* A server without a transport. */
static int setup(void **state)
{
    rig_setup(state);
    queue_is_closed = false;
    open_queue(NULL);
    server = xcalloc(1, sizeof(*server));
    server->history = history;
    server->queue = steal_ptr(&queue);
    server->fatal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    workers_init(&server->workers, 2);
    pthread_mutex_init(&server->refresh_mu, NULL);
    pthread_mutex_init(&server->fatal_mu, NULL);
    clients_init(&server->clients, 0);
    assert_ok(ctx_init_root(&server->ctx, NULL, &test_err));
    assert_ok(
        feed_new(&(struct feed_options){.runs_dir = history->runs}, &server->feed, &test_err));
    server->pruned_ms = INT64_MAX / 2;
    return 0;
}

static int teardown(void **state)
{
    server_free(server);
    return rig_teardown(state);
}

static void the_queue_outlives_who_works(void **state)
{
    (void)state;
    server_free(server);
    server = NULL;
    assert_true(queue_is_closed);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(the_queue_outlives_who_works),
    };

    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
