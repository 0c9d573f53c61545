/* What a server does without being asked, and how it ends, on a queue whose launcher is this
 * process. */
#include "tests/unit/queue/rig.h"

#include "base/clock.h"
#include "history/mark.h"
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
    pthread_mutex_init(&server->again_mu, NULL);
    snprintf(server->name, sizeof(server->name), "here");
    clients_init(&server->clients, 0, history, server->name);
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

/* --- followers of what has no record --- */

struct follower {
    struct feed_subscriber *subscriber;
    int event_fd;
};

static void wake_follower(void *arg)
{
    eventfd_write(((struct follower *)arg)->event_fd, 1);
}

static void follow(struct follower *f, const char *id)
{
    const struct feed_subscription subscription = {.run_id = id,
                                                   .format = FEED_PLAIN,
                                                   .wake = wake_follower,
                                                   .wake_arg = f};

    f->event_fd = eventfd(0, EFD_CLOEXEC);
    assert_ok(feed_subscribe(server->feed, &subscription, &f->subscriber, &test_err));
}

/* A failed look has been put down for the next tick; all that was looked is behind us. */
static bool looks_again(const char *id)
{
    bool again;

    pthread_mutex_lock(&server->again_mu);
    again = strvec_has(&server->again, id);
    pthread_mutex_unlock(&server->again_mu);
    return again;
}

static void assert_done(struct follower *f, const char *text)
{
    struct feed_chunk *chunk;
    eventfd_t count;
    const char *message;
    size_t size;
    enum feed_got got;

    while ((got = feed_next(f->subscriber, &chunk)) == FEED_NONE_YET)
        assert_int_equal(eventfd_read(f->event_fd, &count), 0);
    assert_int_equal(got, FEED_CHUNK);
    message = feed_chunk_message(chunk, 0, &size);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(message, text, size);
    feed_chunk_unref(chunk);
    feed_unsubscribe(f->subscriber);
    close(f->event_fd);
}

static struct ctx ended;

/* As long as the store does not answer nobody knows; when it does, it is told. */
static void followers_wait_for_the_store(void **state)
{
    const struct queue_cancel cancel = {.reason = "no more", .by = "ann"};
    const struct submission submission = {.file = "x", .client = "a"};
    char id[OWN_RUN_ID_SIZE];
    struct feed_chunk *chunk;
    struct follower follower;
    struct ctx before = server->ctx;

    (void)state;
    queue_set_max_concurrent(server->queue, 1);
    assert_ok(queue_submit(&test_ctx, server->queue, &submission, id, &test_err));
    assert_ok(queue_submit(&test_ctx, server->queue, &submission, id, &test_err));
    assert_ok(queue_cancel(&test_ctx, server->queue, id, &cancel, &test_err));
    follow(&follower, id);
    /* So the store says nothing. */
    assert_ok(ctx_init_root(&ended, NULL, &test_err));
    ctx_cancel(&ended, CTX_CAUSE_USER);
    server->ctx = ended;
    server_look_behind(server, id);
    while (!looks_again(id))
        assert_int_equal(feed_next(follower.subscriber, &chunk), FEED_NONE_YET);
    server->ctx = before;
    server_tick(server);
    assert_done(&follower, "{\"type\":\"done\",\"payload\":"
                           "\"cancelled by ann before it had begun: no more\"}");
    ctx_release(&ended);
}

/* --- runs whose clients have gone --- */

static bool is_kept(const char *id)
{
    bool kept = false;

    pthread_mutex_lock(&server->clients.mu);
    vec_foreach (const struct clients_run *, run, &server->clients.runs)
        kept |= strcmp(run->id, id) == 0;
    pthread_mutex_unlock(&server->clients.mu);
    return kept;
}

/* That it goes on because nobody could be told is not for ever. */
static void what_nobody_waits_for_is_cancelled_later(void **state)
{
    const struct submission submission = {.file = "x", .client = "a"};
    char id[OWN_RUN_ID_SIZE];

    (void)state;
    assert_ok(queue_submit(&test_ctx, server->queue, &submission, id, &test_err));
    await_started(1);
    fake_begin(id);
    await_state(id, STATE_RUNNING);
    clients_add(&server->clients, id);
    clients_let_go(&server->clients, id, 0);
    pthread_mutex_lock(&fake.mu);
    fake.cancel_result = ERR_UNAVAILABLE;
    pthread_mutex_unlock(&fake.mu);
    server_tick(server);
    while (!is_kept(id))
        sched_yield();
    pthread_mutex_lock(&fake.mu);
    assert_int_equal(fake.cancels, 1);
    fake.cancel_result = ERR_NONE;
    pthread_mutex_unlock(&fake.mu);
    server_tick(server);
    pthread_mutex_lock(&fake.mu);
    while (fake.cancels < 2)
        pthread_cond_wait(&fake.changed, &fake.mu);
    assert_string_equal(fake.reason, "its client has gone");
    pthread_mutex_unlock(&fake.mu);
}

/* For its client may be there. */
static void what_is_followed_at_another_server_goes_on(void **state)
{
    const struct submission submission = {.file = "x", .client = "a", .held = true};
    char id[OWN_RUN_ID_SIZE];
    struct clients there;

    (void)state;
    clients_init(&there, 0, history, "there");
    assert_ok(queue_submit(&test_ctx, server->queue, &submission, id, &test_err));
    await_started(1);
    fake_begin(id);
    await_state(id, STATE_RUNNING);
    clients_add(&server->clients, id);
    clients_hold(&there, id);
    clients_let_go(&server->clients, id, 0);
    server_tick(server);
    while (!is_kept(id)) {
        pthread_mutex_lock(&fake.mu);
        assert_int_equal(fake.cancels, 0);
        pthread_mutex_unlock(&fake.mu);
        sched_yield();
    }
    clients_let_go(&there, id, 0);
    /* Nor does a server that died count. */
    close(history_follower_begin(history, id, "dead", &test_err));
    server_tick(server);
    pthread_mutex_lock(&fake.mu);
    while (fake.cancels < 1)
        pthread_cond_wait(&fake.changed, &fake.mu);
    pthread_mutex_unlock(&fake.mu);
    clients_release(&there);
}

static void *look_who_follows(void *arg)
{
    while (!atomic_load((atomic_bool *)arg))
        (void)history_is_followed(history, "run", "here");
    return NULL;
}

/* Who looks removes what was left behind, and nothing that came in its place. */
static void what_is_followed_is_seen_whoever_looks(void **state)
{
    enum { LOOKERS = 2, TIMES = 8000 };
    pthread_t lookers[LOOKERS];
    atomic_bool end = false;

    (void)state;
    for (int i = 0; i < LOOKERS; i++)
        assert_int_equal(pthread_create(&lookers[i], NULL, look_who_follows, &end), 0);
    for (int i = 0; i < TIMES; i++) {
        int mark = history_follower_begin(history, "run", "there", &test_err);

        assert_true(mark >= 0);
        assert_true(history_is_followed(history, "run", "here"));
        history_follower_end(history, "run", "there", mark);
    }
    atomic_store(&end, true);
    for (int i = 0; i < LOOKERS; i++)
        pthread_join(lookers[i], NULL);
}

static void what_a_dead_server_has_left_of_it_goes(void **state)
{
    int alive = history_follower_begin(history, "one", "alive", &test_err);

    (void)state;
    close(history_follower_begin(history, "two", "dead", &test_err));
    assert_true(mark_exists(history->dir, MARKS_FOLLOWED, "two.dead"));
    history_followers_clean(history);
    assert_false(mark_exists(history->dir, MARKS_FOLLOWED, "two.dead"));
    assert_true(history_is_followed(history, "one", "here"));
    history_follower_end(history, "one", "alive", alive);
    assert_false(mark_exists(history->dir, MARKS_FOLLOWED, "one.alive"));
}

/* It was submitted to a server that is gone. */
static void what_was_left_is_cancelled_unless_its_client_comes(void **state)
{
    const struct submission submission = {.file = "x", .client = "a"};
    char id[OWN_RUN_ID_SIZE];

    (void)state;
    assert_ok(queue_submit(&test_ctx, server->queue, &submission, id, &test_err));
    await_started(1);
    fake_begin(id);
    await_state(id, STATE_RUNNING);
    /* Who looks at what needs nobody is nothing to it. */
    clients_hold(&server->clients, id);
    clients_let_go(&server->clients, id, 0);
    assert_false(is_kept(id));
    clients_hold(&server->clients, id);
    server_run_left(server, id);
    server_tick(server);
    assert_true(is_kept(id));
    clients_let_go(&server->clients, id, 0);
    server_tick(server);
    pthread_mutex_lock(&fake.mu);
    while (fake.cancels < 1)
        pthread_cond_wait(&fake.changed, &fake.mu);
    assert_string_equal(fake.cancelled, id);
    assert_string_equal(fake.reason, "its client has gone");
    pthread_mutex_unlock(&fake.mu);
}

/* --- a clock that is set --- */

/* All that it makes old would be removed at once. */
static void a_clock_that_was_set_is_not_believed(void **state)
{
    int64_t hour_ms = 60 * 60 * 1000;
    int64_t now_ms = clock_monotonic_ms();
    int64_t apart_ms = clock_wall_ms() - now_ms;

    (void)state;
    server->clocks_apart_ms = apart_ms - 2 * hour_ms;
    server->pruned_ms = 0;
    server_tick(server);
    assert_true(server->pruned_ms >= now_ms + hour_ms);
    server_tick(server);
    assert_true(server->pruned_ms >= now_ms + hour_ms);
    /* One that was set back makes nothing old. */
    server->clocks_apart_ms = apart_ms + 2 * hour_ms;
    server->pruned_ms = 0;
    server_tick(server);
    assert_in_range(server->pruned_ms, now_ms, now_ms + hour_ms - 1);
}

/* --- the end --- */

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
        EACH(followers_wait_for_the_store),
        EACH(what_nobody_waits_for_is_cancelled_later),
        EACH(what_is_followed_at_another_server_goes_on),
        EACH(what_is_followed_is_seen_whoever_looks),
        EACH(what_a_dead_server_has_left_of_it_goes),
        EACH(what_was_left_is_cancelled_unless_its_client_comes),
        EACH(a_clock_that_was_set_is_not_believed),
        EACH(the_queue_outlives_who_works),
    };

    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
