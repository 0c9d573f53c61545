/* What a queue finds that another has left: one that was closed is, for the next, one that died. */
#include "tests/unit/queue/rig.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "queue/inside.h"

static void what_waited_waits_again(void **state)
{
    CLEANUP_FREE char *a = NULL, *b = NULL, *c = NULL;

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    a = submit_as("x", "a", 0);
    b = submit_as("x", "b", 0);
    c = submit_as("y", "c", 9);
    await_started(1);
    close_queue();
    assert_int_equal(stored(a).state, STATE_PENDING);
    /* The first was handed to the launcher, which may not have come to begin it. */
    open_queue(&(struct queue_options){.max_concurrent = 3});
    pthread_mutex_lock(&fake.mu);
    while (fake.count < 3 || fake_find(a)->started < 2)
        pthread_cond_wait(&fake.changed, &fake.mu);
    pthread_mutex_unlock(&fake.mu);
    assert_string_equal(fake.order, "a c a b");
    assert_int_equal(fake_find(b)->started, 1);
    assert_int_equal(fake_find(c)->started, 1);
}

static void what_runs_is_followed(void **state)
{
    CLEANUP_FREE char *a = NULL, *b = NULL;
    struct queue_stats stats;
    CLEANUP_QUEUE_ITEMS struct queue_items items = {0};

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    a = submit_as("ann", "a", 4);
    b = submit_as("ann", "b", 0);
    await_started(1);
    fake_begin(a);
    await_state(a, STATE_RUNNING);
    close_queue();
    open_queue(&(struct queue_options){.max_concurrent = 1});
    queue_list(queue, 0, 10, &items);
    assert_int_equal(items.total, 2);
    assert_string_equal(items.items[0].id, a);
    assert_true(items.items[0].running);
    assert_int_equal(items.items[0].priority, 4);
    assert_int_equal(items.items[1].position, 1);
    assert_ok(queue_stats(&test_ctx, queue, &stats, &test_err));
    assert_int_equal(stats.current_concurrent, 1);
    assert_int_equal(stats.running, 1);
    assert_int_equal(fake.count, 1);
    pthread_mutex_lock(&fake.mu);
    fake_end_record(fake_find(a), STATE_SUCCEEDED);
    pthread_mutex_unlock(&fake.mu);
    await_state(a, STATE_SUCCEEDED);
    assert_string_equal(stored(a).client, "ann");
    await_started(2);
    assert_string_equal(fake.runs[1].id, b);
    assert_int_equal(fake.runs[0].started, 1);
}

static void what_ended_meanwhile_has_ended(void **state)
{
    CLEANUP_FREE char *a = NULL;

    (void)state;
    open_queue(NULL);
    a = submit_as("ann", "a", 0);
    await_started(1);
    fake_begin(a);
    await_state(a, STATE_RUNNING);
    close_queue();
    fake_end_record(fake_find(a), STATE_FAILED);
    open_queue(NULL);
    await_state(a, STATE_FAILED);
    assert_int_equal(stored(a).state, STATE_FAILED);
    assert_int_equal(stored(a).reason, REASON_ERROR);
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
    assert_int_equal(fake.runs[0].started, 1);
}

static void what_died_is_lost(void **state)
{
    CLEANUP_FREE char *a = NULL;
    struct doomed doomed;

    (void)state;
    fork_doomed(&doomed);
    open_queue(NULL);
    a = submit_as("ann", "a", 0);
    await_started(1);
    close_queue();
    record_and_die(&doomed, a);
    open_queue(NULL);
    await_state(a, STATE_FAILED);
    assert_int_equal(stored(a).reason, REASON_LOST);
    assert_int_equal(fake.runs[0].started, 1);
}

static void what_dies_is_lost(void **state)
{
    CLEANUP_FREE char *a = NULL;
    struct doomed doomed;

    (void)state;
    fork_doomed(&doomed);
    open_queue(NULL);
    a = submit_as("ann", "a", 0);
    await_started(1);
    record_and_die(&doomed, a);
    fake_say(a, QUEUE_BEGUN, 0);
    fake_say(a, QUEUE_ENDED, 9);
    await_state(a, STATE_FAILED);
    assert_int_equal(stored(a).reason, REASON_LOST);
}

static void a_record_that_is_gone(void **state)
{
    CLEANUP_FREE char *a = NULL;
    CLEANUP_FREE char *directory = NULL;

    (void)state;
    open_queue(NULL);
    a = submit_as("ann", "a", 0);
    await_started(1);
    fake_begin(a);
    await_state(a, STATE_RUNNING);
    close_queue();
    fake_end_record(fake_find(a), STATE_SUCCEEDED);
    directory = fs_join(history->runs, a);
    assert_ok(fs_remove_tree(directory, &test_err));
    open_queue(NULL);
    assert_int_equal(stored(a).state, STATE_FAILED);
    assert_int_equal(stored(a).reason, REASON_LOST);
    assert_string_equal(stored(a).error, "the record of the run is gone");
    assert_int_equal(fake.runs[0].started, 1);
}

static void servers_in_other_places_are_left_alone(void **state)
{
    const struct store_run run = {.id = "theirs", .client = "c", .submitted_ms = 1};
    struct store_submission theirs = {.run = &run, .file = "x", .taken_by = "other/1/2/3"};
    const struct queue_cancel how = {0};
    CLEANUP_QUEUE_ITEMS struct queue_items items = {0};

    (void)state;
    assert_ok(store_submit(&test_ctx, history->store, &theirs, 1, &test_err));
    open_queue(NULL);
    queue_list(queue, 0, 10, &items);
    assert_int_equal(items.total, 0);
    assert_int_equal(stored("theirs").state, STATE_PENDING);
    assert_error(queue_cancel(&test_ctx, queue, "theirs", &how, &test_err), ERR_UNSUPPORTED);
    assert_string_equal(test_err.message,
                        "run theirs belongs to a server in another place: cancel it there");
}

static void a_server_that_lives_is_left_alone(void **state)
{
    CLEANUP_FREE char *a = NULL, *b = NULL;
    struct queue *other;
    CLEANUP_QUEUE_ITEMS struct queue_items items = {0};

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    a = submit_as("ann", "a", 0);
    await_started(1);
    other = queue;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    queue_list(queue, 0, 10, &items);
    assert_int_equal(items.total, 0);
    /* What waits belongs to nobody. */
    queue_close(queue);
    queue = other;
    b = submit_as("ann", "b", 0);
    assert_int_equal(queue_position(queue, b), 1);
    open_queue(&(struct queue_options){.max_concurrent = 1});
    await_started(2);
    assert_string_equal(fake.runs[1].id, b);
    queue_close(other);
    assert_int_equal(fake.runs[0].started, 1);
    assert_int_equal(fake.runs[1].started, 1);
}

static char *submit_held(const char *file)
{
    const struct submission submission = {.file = file, .client = "ann", .held = true};
    char id[OWN_RUN_ID_SIZE];

    assert_ok(queue_submit(&test_ctx, queue, &submission, id, &test_err));
    return xstrdup(id);
}

/* Whether those two, and no others, have been left; from now on none have. */
static bool were_left(const char *a, const char *b)
{
    bool left;

    pthread_mutex_lock(&fake.mu);
    left = fake.left.len == 2 && strvec_has(&fake.left, a) && strvec_has(&fake.left, b);
    strvec_release(&fake.left);
    pthread_mutex_unlock(&fake.mu);
    return left;
}

static void what_was_held_is_left_to_the_next(void **state)
{
    CLEANUP_FREE char *a = NULL, *b = NULL, *c = NULL;
    CLEANUP_STRVEC struct strvec gone = {0};

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    a = submit_held("a");
    b = submit_held("b");
    c = submit_as("ann", "c", 0);
    await_started(1);
    fake_begin(a);
    await_state(a, STATE_RUNNING);
    close_queue();
    for (int i = 0; i < 2; i++) {
        open_queue(&(struct queue_options){.max_concurrent = 1});
        assert_true(were_left(a, b));
        close_queue();
    }
    /* When all have ended nothing is left, nor are marks of servers that have held them. */
    open_queue(&(struct queue_options){.max_concurrent = 1});
    assert_true(were_left(a, b));
    fake_end_record(fake_find(a), STATE_SUCCEEDED);
    for (int i = 1; i <= 2; i++) {
        await_started((size_t)i + 1);
        fake_begin(i == 1 ? b : c);
        fake_end(i == 1 ? b : c, STATE_SUCCEEDED);
    }
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
    close_queue();
    open_queue(NULL);
    assert_int_equal(fake.left.len, 0);
    history_servers_gone(history, &gone);
    assert_int_equal(gone.len, 0);
}

static void what_a_server_that_lives_holds_is_its_own(void **state)
{
    CLEANUP_FREE char *a = NULL, *b = NULL;
    struct queue *other;

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    a = submit_held("a");
    b = submit_held("b");
    await_started(1);
    other = queue;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    assert_int_equal(fake.left.len, 0);
    /* Nor is what this one runs: it is asked for again when the other has gone. */
    queue_close(other);
    assert_ok(queue_recover(&test_ctx, queue, &test_err));
    assert_true(were_left(a, b));
    assert_ok(queue_recover(&test_ctx, queue, &test_err));
    assert_int_equal(fake.left.len, 0);
}

/* One row of the store, as it is. */
static void submit_taken(const char *id, const char *taken_by)
{
    const struct store_run run = {.id = id, .client = "c", .submitted_ms = 1};
    struct store_submission submission = {.run = &run,
                                          .file = "x",
                                          .options = "{}",
                                          .taken_by = taken_by};

    assert_ok(store_submit(&test_ctx, history->store, &submission, 1, &test_err));
}

static size_t count_items(void)
{
    CLEANUP_QUEUE_ITEMS struct queue_items items = {0};

    queue_list(queue, 0, 10, &items);
    return items.total;
}

/* A database whose answer was lost has done it after all. */
static void what_was_taken_without_its_knowing(void **state)
{
    CLEANUP_STORE_SUBMITTED struct store_submitted submitted = {0};
    CLEANUP_FREE char *a = NULL;

    (void)state;
    open_queue(NULL);
    a = submit_as("ann", "a", 0);
    await_started(1);
    assert_ok(store_read_submitted(&test_ctx, history->store, a, &submitted, &test_err));
    fake_begin(a);
    fake_end(a, STATE_SUCCEEDED);
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
    submit_taken("unknown", submitted.taken_by);
    close_queue();
    open_queue(NULL);
    assert_int_equal(count_items(), 1);
    await_starts("unknown", 1);
}

/* Nor does it keep anybody waiting. */
static void what_is_no_mark_of_a_server_goes(void **state)
{
    CLEANUP_FREE char *servers = fs_join(history->dir, "servers");
    CLEANUP_FREE char *pipe = fs_join(servers, "pipe");

    (void)state;
    assert_ok(fs_mkdir_p(servers, 0700, &test_err));
    assert_int_equal(mkfifo(pipe, 0600), 0);
    open_queue(NULL);
    assert_false(fs_exists(pipe));
}

static bool looks_as_it_is_written;
static char written[OWN_RUN_ID_SIZE];
static size_t position_as_it_is_written;

int __real_store_submit(const struct ctx *ctx, struct store *store,
                        struct store_submission *submissions, size_t count, struct err *err);
int __wrap_store_submit(const struct ctx *ctx, struct store *store,
                        struct store_submission *submissions, size_t count, struct err *err);

int __wrap_store_submit(const struct ctx *ctx, struct store *store,
                        struct store_submission *submissions, size_t count, struct err *err)
{
    int status = __real_store_submit(ctx, store, submissions, count, err);

    if (looks_as_it_is_written) {
        looks_as_it_is_written = false;
        snprintf(written, sizeof(written), "%s", submissions[0].run->id);
        assert_ok(queue_recover(&test_ctx, queue, &test_err));
        position_as_it_is_written = queue_position(queue, written);
    }
    return status;
}

/* The store has it an instant before who wrote it comes to say so, or to take it back: whoever
 * looks there meanwhile must leave it to that. */
static void what_is_being_written_is_left_to_who_writes_it(void **state)
{
    CLEANUP_FREE char *a = NULL, *b = NULL;

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    a = submit_as("ann", "a", 0);
    await_started(1);
    looks_as_it_is_written = true;
    b = submit_as("ann", "b", 0);
    assert_string_equal(written, b);
    assert_int_equal(position_as_it_is_written, 0);
    assert_int_equal(queue_position(queue, b), 1);
    fake_begin(a);
    fake_end(a, STATE_SUCCEEDED);
    await_starts(b, 1);
}

/* Also when the thread that takes back what was written after all has ended before. */
static void what_was_refused_is_taken_back_as_it_ends(void **state)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};

    (void)state;
    open_queue(NULL);
    queue_stop(queue);
    submit_taken("refused", queue->owner);
    unsettled_add(&queue->doubts, "refused");
    close_queue();
    assert_error(store_get(&test_ctx, history->store, "refused", &runs, &test_err), ERR_NOT_FOUND);
    open_queue(NULL);
    assert_int_equal(count_items(), 0);
}

/* It waits here, and its row says that it is this server's. */
static void what_was_taken_without_its_knowing_is_cancelled(void **state)
{
    const struct queue_cancel how = {.by = "ann"};
    CLEANUP_STORE_SUBMITTED struct store_submitted submitted = {0};
    CLEANUP_FREE char *a = NULL, *b = NULL;

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = 1});
    a = submit_as("ann", "a", 0);
    await_started(1);
    b = submit_as("ann", "b", 0);
    assert_ok(store_take(&test_ctx, history->store, b, queue->owner, &submitted, &test_err));
    assert_ok(queue_cancel(&test_ctx, queue, b, &how, &test_err));
    assert_int_equal(stored(b).state, STATE_CANCELLED);
    assert_int_equal(count_items(), 1);
}

/* However much waits here, what was given back has its place among it. */
static void what_is_left_does_not_wait_for_all_others(void **state)
{
    CLEANUP_FREE char *b = NULL, *c = NULL;
    int fd;

    (void)state;
    fd = history_server_begin(history, "dying", &test_err);
    assert_true(fd >= 0);
    open_queue(&(struct queue_options){.max_concurrent = 1});
    b = submit_as("x", "b", 0);
    await_starts(b, 1);
    c = submit_as("x", "c", 0);
    submit_taken("older", "dying");
    close(fd);
    assert_ok(queue_recover(&test_ctx, queue, &test_err));
    assert_int_equal(queue_position(queue, "older"), 2);
    assert_int_equal(queue_position(queue, c), 1);
}

/* The process that was forked by a launcher that is gone makes its record when the run waits again.
 */
static char *begin_late(void)
{
    CLEANUP_FREE char *b = NULL;
    char *a;

    open_queue(&(struct queue_options){.max_concurrent = 2});
    b = submit_as("x", "b", 0);
    await_starts(b, 1);
    fake_begin(b);
    await_state(b, STATE_RUNNING);
    a = submit_as("x", "a", 0);
    await_starts(a, 1);
    close_queue();
    open_queue(&(struct queue_options){.max_concurrent = 1});
    assert_int_equal(queue_position(queue, a), 1);
    pthread_mutex_lock(&fake.mu);
    fake_make_record(fake_find(a));
    pthread_mutex_unlock(&fake.mu);
    return a;
}

static void what_begins_late_is_cancelled(void **state)
{
    const struct queue_cancel how = {.by = "ann"};
    CLEANUP_FREE char *a = begin_late();

    (void)state;
    assert_ok(queue_cancel(&test_ctx, queue, a, &how, &test_err));
    assert_string_equal(fake.cancelled, a);
    assert_int_not_equal(stored(a).state, STATE_CANCELLED);
}

static void what_begins_late_is_followed(void **state)
{
    CLEANUP_FREE char *a = begin_late();

    (void)state;
    await_state(a, STATE_RUNNING);
    assert_int_equal(queue_position(queue, a), 0);
    pthread_mutex_lock(&fake.mu);
    fake_end_record(fake_find(a), STATE_SUCCEEDED);
    pthread_mutex_unlock(&fake.mu);
    await_state(a, STATE_SUCCEEDED);
    assert_int_equal(fake_find(a)->started, 1);
}

/* What was written a moment ago keeps the next from being read at once. */
static void what_was_not_read_yet_goes_on(void **state)
{
    const struct store_run known = {.submitted_ms = 1};
    struct fake_run run = {.id = "followed"};
    struct queue alone = {.history = history, .store = history->store, .inotify_fd = -1};
    struct active *active;

    (void)state;
    pthread_mutex_init(&alone.mu, NULL);
    fake_make_record(&run);
    alone.looked_ms = alone.flushed_ms = clock_monotonic_ms();
    active = queue_add_active(&alone, "followed", "c", 0, 1, ACTIVE_STARTING);
    assert_ok(queue_follow(&alone, active, &known, &test_err));
    queue_follow_all(&alone);
    assert_false(active->over);
    fake_end_record(&run, STATE_SUCCEEDED);
    queue_remove_active(&alone, active);
    vec_release(&alone.active);
    vec_release(&alone.followed);
    pthread_mutex_destroy(&alone.mu);
}

static struct stat synced[8];
static size_t synced_count;

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
    if (synced_count < 8)
        (void)fstat(fd, &synced[synced_count++]);
    return __real_fsync(fd);
}

static bool was_synced(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    for (size_t i = 0; i < synced_count; i++) {
        if (synced[i].st_dev == st.st_dev && synced[i].st_ino == st.st_ino)
            return true;
    }
    return false;
}

/* A database elsewhere does not forget what it has taken when the power is lost. */
static void its_name_is_on_the_disk(void **state)
{
    CLEANUP_FREE char *marks = fs_join(history->dir, "servers");
    CLEANUP_FREE char *mark = fs_join(marks, "name");
    int fd;

    (void)state;
    synced_count = 0;
    fd = history_server_begin(history, "name", &test_err);
    assert_true(fd >= 0);
    assert_true(was_synced(mark));
    assert_true(was_synced(marks));
    assert_true(was_synced(history->dir));
    history_server_end(history, "name", fd);
}

static int dying_fd = -1;

int __real_store_taken(const struct ctx *ctx, struct store *store, struct store_runs *ret,
                       struct err *err);
int __wrap_store_taken(const struct ctx *ctx, struct store *store, struct store_runs *ret,
                       struct err *err);

int __wrap_store_taken(const struct ctx *ctx, struct store *store, struct store_runs *ret,
                       struct err *err)
{
    int status = __real_store_taken(ctx, store, ret, err);

    if (dying_fd >= 0) {
        submit_taken("orphan", "dying");
        close(steal_fd(&dying_fd));
    }
    return status;
}

static void a_server_that_takes_and_dies_while_it_is_looked(void **state)
{
    (void)state;
    dying_fd = history_server_begin(history, "dying", &test_err);
    assert_true(dying_fd >= 0);
    open_queue(NULL);
    assert_int_equal(dying_fd, -1);
    assert_int_equal(count_items(), 0);
    close_queue();
    open_queue(NULL);
    assert_int_equal(count_items(), 1);
    await_starts("orphan", 1);
}

enum { MANY = 100 };

static void many_that_run(void **state)
{
    struct queue_stats stats;
    int64_t began_ms, took_ms;

    (void)state;
    open_queue(&(struct queue_options){.max_concurrent = MANY});
    for (int i = 0; i < MANY; i++)
        free(submit_as("ann", "a", 0));
    await_started(MANY);
    for (int i = 0; i < MANY; i++)
        fake_begin(fake.runs[i].id);
    await_changes(NULL, STATE_RUNNING, MANY);
    close_queue();
    began_ms = clock_monotonic_ms();
    open_queue(&(struct queue_options){.max_concurrent = MANY});
    took_ms = clock_monotonic_ms() - began_ms;
    assert_ok(queue_stats(&test_ctx, queue, &stats, &test_err));
    assert_int_equal(stats.current_concurrent, MANY);
    assert_int_equal(stats.running, MANY);
    print_message("%d that run were found in %lld ms\n", MANY, (long long)took_ms);
    pthread_mutex_lock(&fake.mu);
    for (int i = 0; i < MANY; i++)
        fake_end_record(&fake.runs[i], STATE_SUCCEEDED);
    pthread_mutex_unlock(&fake.mu);
    await_changes(NULL, STATE_SUCCEEDED, MANY);
    assert_ok(queue_wait_idle(&test_ctx, queue, &test_err));
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        EACH(what_waited_waits_again),
        EACH(what_runs_is_followed),
        EACH(what_ended_meanwhile_has_ended),
        EACH(what_died_is_lost),
        EACH(what_dies_is_lost),
        EACH(a_record_that_is_gone),
        EACH(servers_in_other_places_are_left_alone),
        EACH(a_server_that_lives_is_left_alone),
        EACH(what_was_held_is_left_to_the_next),
        EACH(what_a_server_that_lives_holds_is_its_own),
        EACH(what_was_taken_without_its_knowing),
        EACH(what_is_no_mark_of_a_server_goes),
        EACH(what_is_being_written_is_left_to_who_writes_it),
        EACH(what_was_refused_is_taken_back_as_it_ends),
        EACH(what_was_taken_without_its_knowing_is_cancelled),
        EACH(what_is_left_does_not_wait_for_all_others),
        EACH(what_begins_late_is_cancelled),
        EACH(what_begins_late_is_followed),
        EACH(what_was_not_read_yet_goes_on),
        EACH(its_name_is_on_the_disk),
        EACH(a_server_that_takes_and_dies_while_it_is_looked),
        EACH(many_that_run),
    };

    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
