/* The queue of a server, from a submission to its end. */
#include "tests/unit/queue/rig.h"

#include "queue/inside.h"
#include "store/inside.h"

static int cancel(const char *id, const char *reason)
{
    const struct queue_cancel how = {.reason = reason, .by = "ann"};

    return queue_cancel(&test_ctx, queue, id, &how, &test_err);
}

/* --- starting --- */

static void a_run_from_its_submission_to_its_end(void **state)
{
    CLEANUP_SUBMISSION_OPTIONS struct submission_options options = {.image = xstrdup("a:1")};
    const struct submission submission = {
        .file = "the file",
        .name = "given",
        .client = "ann",
        .priority = 3,
        .options = &options,
    };
    CLEANUP_QUEUE_ITEMS struct queue_items items = {0};
    struct store_run run;
    char id[OWN_RUN_ID_SIZE];

    (void)state;
    open_queue(NULL);
    assert_ok(queue_submit(&test_ctx, queue, &submission, id, &test_err));
    run = stored(id);
    assert_int_equal(run.state, STATE_PENDING);
    assert_string_equal(run.name, "given");
    assert_string_equal(run.origin, "server");
    await_started(1);
    assert_string_equal(fake.runs[0].id, id);
    assert_string_equal(fake.runs[0].file, "the file");
    assert_string_equal(fake.runs[0].image, "a:1");
    fake_begin(id);
    await_state(id, STATE_RUNNING);
    run = stored(id);
    assert_int_equal(run.state, STATE_RUNNING);
    assert_string_equal(run.name, "of the run");
    assert_string_equal(run.client, "ann");
    assert_int_equal(run.priority, 3);
    queue_list(queue, 0, 10, &items);
    assert_int_equal(items.total, 1);
    assert_true(items.items[0].running);
    assert_int_equal(items.items[0].position, 0);
    assert_int_equal(items.items[0].submitted_ms, run.submitted_ms);
    fake_end(id, STATE_FAILED);
    await_state(id, STATE_FAILED);
    run = stored(id);
    assert_int_equal(run.state, STATE_FAILED);
    assert_string_equal(run.client, "ann");
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
    assert_int_equal(fake.runs[0].started, 1);
}

static void so_many_at_once(void **state)
{
    struct queue_stats stats;
    char *ids[5];

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 2});
    for (int i = 0; i < 5; i++)
        ids[i] = submit_as("ann", "x", 0);
    await_started(2);
    assert_int_equal(queue_position(queue, ids[0]), 0);
    assert_int_equal(queue_position(queue, ids[2]), 1);
    assert_int_equal(queue_position(queue, ids[4]), 3);
    assert_ok(queue_stats(&test_ctx, queue, &stats, &test_err));
    assert_int_equal(stats.total, 5);
    assert_int_equal(stats.pending, 5);
    assert_int_equal(stats.waiting, 3);
    assert_int_equal(stats.max_concurrent, 2);
    assert_int_equal(stats.current_concurrent, 2);
    fake_begin(ids[0]);
    fake_end(ids[0], STATE_SUCCEEDED);
    await_started(3);
    assert_string_equal(fake.runs[2].id, ids[2]);
    await_state(ids[0], STATE_SUCCEEDED);
    queue_set_max_concurrent(queue, 4);
    await_started(5);
    for (int i = 1; i < 5; i++) {
        fake_begin(ids[i]);
        fake_end(ids[i], STATE_SUCCEEDED);
        await_state(ids[i], STATE_SUCCEEDED);
    }
    for (int i = 0; i < 5; i++)
        free(ids[i]);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(fake.runs[i].started, 1);
}

static void the_order_of_starting(void **state)
{
    static const char *const expected = "busy now a1 b1 c1 a2 b2 a3";
    CLEANUP_FREE char *busy = NULL;
    static const struct {
        const char *client;
        const char *file;
        int64_t priority;
    } given[] = {{"a", "a1", 0}, {"a", "a2", 0}, {"a", "a3", 0}, {"b", "b1", 0},
                 {"c", "c1", 0}, {"b", "b2", 0}, {"c", "now", 5}};

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    busy = submit_as("z", "busy", 0);
    await_started(1);
    for (size_t i = 0; i < 7; i++)
        free(submit_as(given[i].client, given[i].file, given[i].priority));
    for (size_t i = 0; i < 8; i++) {
        await_started(i + 1);
        fake_begin(fake.runs[i].id);
        fake_end(fake.runs[i].id, STATE_SUCCEEDED);
    }
    await_changes(NULL, STATE_SUCCEEDED, 8);
    assert_string_equal(fake.order, expected);
}

static void so_many_of_one_client(void **state)
{
    char *ids[4];

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 4, .per_client = 1});
    ids[0] = submit_as("a", "a1", 0);
    ids[1] = submit_as("a", "a2", 9);
    ids[2] = submit_as("b", "b1", 0);
    await_started(2);
    assert_string_equal(fake.order, "a1 b1");
    assert_int_equal(queue_position(queue, ids[1]), 1);
    fake_begin(ids[0]);
    fake_end(ids[0], STATE_SUCCEEDED);
    await_started(3);
    assert_string_equal(fake.order, "a1 b1 a2");
    for (int i = 0; i < 3; i++)
        free(ids[i]);
}

static void too_many_wait(void **state)
{
    const struct submission submission = {.file = "x", .client = "a"};
    char id[OWN_RUN_ID_SIZE];

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1, .max_waiting = 1});
    free(submit_as("a", "x", 0));
    free(submit_as("a", "x", 0));
    assert_error(queue_submit(&test_ctx, queue, &submission, id, &test_err), ERR_LIMIT);
    assert_string_equal(test_err.message, "1 runs wait already; try again later");
}

/* --- what cannot begin --- */

static void a_run_that_is_refused(void **state)
{
    CLEANUP_FREE char *id = NULL;
    struct store_run run;

    (void)state;
    open_queue(NULL);
    id = submit_as("ann", "x", 0);
    await_started(1);
    fake_refuse(id, ERR_INVALID, "pipeline:3:1: error: no\npipeline:4:1: error: neither");
    await_state(id, STATE_FAILED);
    run = stored(id);
    assert_int_equal(run.state, STATE_FAILED);
    assert_int_equal(run.reason, REASON_ERROR);
    assert_string_equal(run.error, "pipeline:3:1: error: no\npipeline:4:1: error: neither");
    assert_true(run.ended_ms > 0);
    assert_string_equal(run.client, "ann");
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
}

/* Behind its record, which others had seen. */
static void a_run_that_takes_its_record_back(void **state)
{
    CLEANUP_FREE char *id = NULL;
    struct fake_run *run;

    (void)state;
    open_queue(NULL);
    id = submit_as("ann", "x", 0);
    await_started(1);
    pthread_mutex_lock(&fake.mu);
    run = fake_find(id);
    fake_make_record(run);
    pthread_mutex_unlock(&fake.mu);
    do
        assert_ok(history_follow(&test_ctx, history, id, &test_err));
    while (stored(id).state != STATE_RUNNING);
    recording_discard(steal_ptr(&run->recording));
    node_release(&run->root);
    fake_refuse(id, ERR_SYSTEM, "too many open files");
    await_state(id, STATE_FAILED);
    assert_int_equal(stored(id).state, STATE_FAILED);
    assert_int_equal(stored(id).reason, REASON_LOST);
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
}

static void a_process_that_dies_before_it_begins(void **state)
{
    CLEANUP_FREE char *id = NULL;

    (void)state;
    open_queue(NULL);
    id = submit_as("ann", "x", 0);
    await_started(1);
    fake_say(id, QUEUE_ENDED, 9);
    await_state(id, STATE_FAILED);
    assert_string_equal(
        stored(id).error,
        "the process of the run was killed by signal 9 (Killed) before it had begun");
}

static void a_run_that_has_begun_before(void **state)
{
    CLEANUP_FREE char *id = NULL;

    (void)state;
    open_queue(NULL);
    id = submit_as("ann", "x", 0);
    await_started(1);
    pthread_mutex_lock(&fake.mu);
    fake_make_record(fake_find(id));
    pthread_mutex_unlock(&fake.mu);
    fake_refuse(id, ERR_CONFLICT, "it has a record");
    await_state(id, STATE_RUNNING);
    pthread_mutex_lock(&fake.mu);
    fake_end_record(fake_find(id), STATE_SUCCEEDED);
    pthread_mutex_unlock(&fake.mu);
    await_state(id, STATE_SUCCEEDED);
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
}

/* --- cancelling --- */

static void what_waits_is_cancelled_at_once(void **state)
{
    CLEANUP_FREE char *first = NULL, *second = NULL;
    struct store_run run;

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    first = submit_as("a", "x", 0);
    second = submit_as("a", "y", 0);
    assert_ok(cancel(second, "not needed"));
    run = stored(second);
    assert_int_equal(run.state, STATE_CANCELLED);
    assert_string_equal(run.error, "cancelled by ann before it had begun: not needed");
    assert_int_equal(queue_position(queue, second), 0);
    assert_error(cancel(second, NULL), ERR_CONFLICT);
    assert_message("has ended already: cancelled");
    await_state(second, STATE_CANCELLED);
    await_started(1);
    fake_begin(first);
    fake_end(first, STATE_SUCCEEDED);
    await_state(first, STATE_SUCCEEDED);
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
    assert_string_equal(fake.order, "x");
    assert_int_equal(fake.cancels, 0);
}

struct canceller {
    pthread_t thread;
    const char *id;
    int status;
    struct err err;
};

static void *cancel_in_thread(void *arg)
{
    struct canceller *canceller = arg;
    const struct queue_cancel how = {.reason = "late", .by = "bob", .hurry = true};

    canceller->status = queue_cancel(&test_ctx, queue, canceller->id, &how, &canceller->err);
    return NULL;
}

static void what_is_being_started_is_told_when_it_has_begun(void **state)
{
    struct canceller canceller = {0};
    CLEANUP_FREE char *id = NULL;

    (void)state;
    open_queue(NULL);
    canceller.id = id = submit_as("a", "x", 0);
    await_started(1);
    pthread_create(&canceller.thread, NULL, cancel_in_thread, &canceller);
    usleep(10000); /* so that it waits, most of the time */
    assert_int_equal(fake.cancels, 0);
    fake_begin(id);
    pthread_join(canceller.thread, NULL);
    assert_int_equal(canceller.status, 0);
    assert_int_equal(fake.cancels, 1);
    assert_string_equal(fake.cancelled, id);
    assert_string_equal(fake.reason, "late");
    assert_string_equal(fake.by, "bob");
    assert_true(fake.hurry);
    fake_end(id, STATE_CANCELLED);
    await_state(id, STATE_CANCELLED);
}

static void what_is_being_started_and_cannot_begin(void **state)
{
    struct canceller canceller = {0};
    CLEANUP_FREE char *id = NULL;

    (void)state;
    open_queue(NULL);
    canceller.id = id = submit_as("a", "x", 0);
    await_started(1);
    pthread_create(&canceller.thread, NULL, cancel_in_thread, &canceller);
    usleep(10000);
    fake_refuse(id, ERR_INVALID, "no");
    pthread_join(canceller.thread, NULL);
    assert_int_equal(canceller.status, -1);
    assert_int_equal(canceller.err.code, ERR_CONFLICT);
}

static void what_runs_is_told(void **state)
{
    CLEANUP_FREE char *id = NULL;

    (void)state;
    open_queue(NULL);
    id = submit_as("a", "x", 0);
    await_started(1);
    fake_begin(id);
    await_state(id, STATE_RUNNING);
    assert_ok(cancel(id, "why"));
    assert_string_equal(fake.reason, "why");
    assert_false(fake.hurry);
    fake.cancel_result = ERR_TIMEOUT;
    assert_error(cancel(id, "why"), ERR_TIMEOUT);
    assert_string_equal(test_err.message, "told so");
    /* It ends as it is told. */
    fake.cancel_result = ERR_CONFLICT;
    pthread_mutex_lock(&fake.mu);
    fake_end_record(fake_find(id), STATE_SUCCEEDED);
    pthread_mutex_unlock(&fake.mu);
    assert_error(cancel(id, "why"), ERR_CONFLICT);
    assert_message("has ended already: succeeded");
    assert_error(cancel("nothing", "why"), ERR_NOT_FOUND);
}

/* --- again --- */

static void a_run_is_run_again(void **state)
{
    CLEANUP_SUBMISSION_OPTIONS struct submission_options options = {.image = xstrdup("a:1")};
    const struct submission submission = {.file = "f", .client = "a", .options = &options};
    const struct store_run exec = {.id = "exec"};
    char id[OWN_RUN_ID_SIZE], again[OWN_RUN_ID_SIZE];

    (void)state;
    open_queue(NULL);
    assert_ok(queue_submit(&test_ctx, queue, &submission, id, &test_err));
    await_started(1);
    fake_begin(id);
    fake_end(id, STATE_FAILED);
    await_state(id, STATE_FAILED);
    assert_ok(queue_rerun(&test_ctx, queue, id, "bob", 1, again, &test_err));
    await_started(2);
    assert_string_equal(fake.runs[1].id, again);
    assert_string_not_equal(id, again);
    assert_string_equal(fake.runs[1].file, "f");
    assert_string_equal(fake.runs[1].image, "a:1");
    assert_string_equal(stored(again).client, "bob");
    assert_string_equal(stored(again).name, "of the run");
    assert_ok(store_add(&test_ctx, history->store, &exec, &test_err));
    assert_error(queue_rerun(&test_ctx, queue, "exec", "", 0, again, &test_err), ERR_UNSUPPORTED);
    assert_message("run exec was not submitted to a server: there is no file to run again");
    assert_error(queue_rerun(&test_ctx, queue, "none", "", 0, again, &test_err), ERR_NOT_FOUND);
}

/* --- ending --- */

static void draining(void **state)
{
    const struct submission submission = {.file = "x", .client = "a"};
    CLEANUP_FREE char *first = NULL, *second = NULL;
    char id[OWN_RUN_ID_SIZE];

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    first = submit_as("a", "x", 0);
    second = submit_as("a", "x", 0);
    await_started(1);
    fake_begin(first);
    queue_drain(queue);
    assert_error(queue_submit(&test_ctx, queue, &submission, id, &test_err), ERR_UNAVAILABLE);
    assert_string_equal(test_err.message, "the server is ending and accepts nothing any more");
    fake_end(first, STATE_SUCCEEDED);
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
    assert_int_equal(fake.count, 1);
    assert_int_equal(stored(first).state, STATE_SUCCEEDED);
    assert_int_equal(stored(second).state, STATE_PENDING);
    close_queue();
    open_queue(NULL);
    await_started(2);
    assert_string_equal(fake.runs[1].id, second);
}

/* --- a store that does not come to it --- */

struct submitter {
    pthread_t thread;
    struct ctx ctx;
    const char *file;
    struct err err;
    int status;
};

static void *submit_in_vain(void *arg)
{
    struct submitter *submitter = arg;
    const struct submission submission = {.file = submitter->file, .client = "a"};
    char id[OWN_RUN_ID_SIZE];

    submitter->status = queue_submit(&submitter->ctx, queue, &submission, id, &submitter->err);
    return NULL;
}

static void start_submitter(struct submitter *submitter, const char *file)
{
    *submitter = (struct submitter){.file = file};
    assert_ok(ctx_init_cancel(&submitter->ctx, &test_ctx, &test_err));
    assert_int_equal(pthread_create(&submitter->thread, NULL, submit_in_vain, submitter), 0);
}

static enum err_code join_submitter(struct submitter *submitter)
{
    pthread_join(submitter->thread, NULL);
    ctx_release(&submitter->ctx);
    return submitter->status < 0 ? submitter->err.code : ERR_NONE;
}

static bool are_written(void)
{
    return queue->active.len > 0;
}

static bool are_listed(void)
{
    return queue->requests != NULL;
}

static void await_requests(bool (*condition)(void))
{
    for (bool is = false; !is; sched_yield()) {
        pthread_mutex_lock(&queue->mu);
        is = condition();
        pthread_mutex_unlock(&queue->mu);
    }
}

/* One is being written, the other waits for that. What is written after all does not run. */
static void who_submits_waits_no_longer_than_it_wants(void **state)
{
    CLEANUP_FREE char *later = NULL;
    struct submitter written, listed;
    struct queue_stats stats;

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    assert_ok(gate_enter(&test_ctx, &history->store->turn, &test_err));
    start_submitter(&written, "written");
    await_requests(are_written);
    start_submitter(&listed, "listed");
    await_requests(are_listed);
    ctx_cancel(&written.ctx, CTX_CAUSE_USER);
    ctx_cancel(&listed.ctx, CTX_CAUSE_USER);
    assert_int_equal(join_submitter(&written), ERR_CANCELLED);
    assert_int_equal(join_submitter(&listed), ERR_CANCELLED);
    gate_leave(&history->store->turn);
    await_changes(NULL, STATE_CANCELLED, 1);
    later = submit_as("a", "later", 0);
    await_started(1);
    assert_string_equal(fake.order, "later");
    do
        assert_ok(queue_stats(&test_ctx, queue, &stats, &test_err));
    while (stats.total > 1);
    await_state(later, STATE_PENDING);
    assert_int_equal(count_changes(NULL, STATE_PENDING), 1);
    assert_int_equal(count_changes(NULL, STATE_CANCELLED), 1);
}

static void who_submits_while_it_stops(void **state)
{
    const struct submission submission = {.file = "x", .client = "a"};
    struct submitter written, listed;
    char id[OWN_RUN_ID_SIZE];

    (void)state;
    open_queue(NULL);
    assert_ok(gate_enter(&test_ctx, &history->store->turn, &test_err));
    start_submitter(&written, "written");
    await_requests(are_written);
    start_submitter(&listed, "listed");
    await_requests(are_listed);
    queue_stop(queue);
    assert_int_equal(join_submitter(&written), ERR_UNAVAILABLE);
    assert_int_equal(join_submitter(&listed), ERR_UNAVAILABLE);
    assert_string_equal(listed.err.message, "the server is ending and accepts nothing any more");
    assert_error(queue_submit(&test_ctx, queue, &submission, id, &test_err), ERR_UNAVAILABLE);
    gate_leave(&history->store->turn);
    close_queue();
    assert_int_equal(fake.count, 0);
}

static void a_launcher_that_dies(void **state)
{
    const struct submission submission = {.file = "x", .client = "a"};
    CLEANUP_FREE char *running = NULL, *waiting = NULL;
    char id[OWN_RUN_ID_SIZE];

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    running = submit_as("a", "x", 0);
    await_started(1);
    fake_begin(running);
    await_state(running, STATE_RUNNING);
    waiting = submit_as("a", "y", 0);
    fake_die();
    pthread_mutex_lock(&fake.mu);
    while (!fake.fatals)
        pthread_cond_wait(&fake.changed, &fake.mu);
    pthread_mutex_unlock(&fake.mu);
    assert_error(queue_submit(&test_ctx, queue, &submission, id, &test_err), ERR_UNAVAILABLE);
    /* Nobody says that its process has ended, but the record does. */
    pthread_mutex_lock(&fake.mu);
    fake_end_record(fake_find(running), STATE_SUCCEEDED);
    pthread_mutex_unlock(&fake.mu);
    await_state(running, STATE_SUCCEEDED);
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
    assert_int_equal(fake.fatals, 1);
    assert_int_equal(stored(waiting).state, STATE_PENDING);
    close_queue();
    open_queue(NULL);
    await_started(2);
    assert_string_equal(fake.runs[1].id, waiting);
}

/* Whether it could start at once or had to wait. */
static void the_name_that_was_given(void **state)
{
    CLEANUP_FREE char *first = NULL, *second = NULL;

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    first = submit_as("x", "a", 0);
    second = submit_as("x", "b", 0);
    await_started(1);
    fake_begin(first);
    fake_end(first, STATE_SUCCEEDED);
    await_started(2);
    assert_string_equal(fake_find(first)->name, "given");
    assert_string_equal(fake_find(second)->name, "given");
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        EACH(a_run_from_its_submission_to_its_end),
        EACH(so_many_at_once),
        EACH(the_order_of_starting),
        EACH(so_many_of_one_client),
        EACH(too_many_wait),
        EACH(a_run_that_is_refused),
        EACH(a_run_that_takes_its_record_back),
        EACH(a_process_that_dies_before_it_begins),
        EACH(a_run_that_has_begun_before),
        EACH(what_waits_is_cancelled_at_once),
        EACH(what_is_being_started_is_told_when_it_has_begun),
        EACH(what_is_being_started_and_cannot_begin),
        EACH(what_runs_is_told),
        EACH(a_run_is_run_again),
        EACH(draining),
        EACH(who_submits_waits_no_longer_than_it_wants),
        EACH(who_submits_while_it_stops),
        EACH(a_launcher_that_dies),
        EACH(the_name_that_was_given),
    };

    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
