/* Submissions: what waits, who has taken it, and how it ends without having begun. */
#include "tests/unit/assert_err.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/vec.h"
#include "store/submissions.h"
#include "tests/unit/fixture/stores.h"

#define ME    "boot/1/10/1"
#define OTHER "boot/1/20/1"

static struct store *store;
static char place[512];

static int each_setup(void **state)
{
    (void)state;
    assert_ok(ctx_init_root(&test_ctx, NULL, &test_err));
    snprintf(place, sizeof(place), "%s", stores_make());
    assert_ok(store_open(&test_ctx, place, NULL, &store, &test_err));
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

static struct store_run a_run(const char *id, int64_t priority, int64_t submitted_ms)
{
    return (struct store_run){
        .id = id,
        .name = "n",
        .origin = "server",
        .client = "c",
        .submitted_ms = submitted_ms,
        .priority = priority,
        .exit_status = -1,
    };
}

static void submit(const char *id, int64_t priority, int64_t submitted_ms, const char *taken_by)
{
    const struct store_run run = a_run(id, priority, submitted_ms);
    struct store_submission submission = {
        .run = &run,
        .file = "steps: [echo]\n",
        .options = "{\"a\":1}",
        .taken_by = taken_by,
    };

    assert_ok(store_submit(&test_ctx, store, &submission, 1, &test_err));
    assert_int_equal(submission.result, ERR_NONE);
}

/* "a b", or "a=OWNER" where it is not that of nobody. */
static const char *ids(struct store_runs *runs)
{
    static char text[512];
    struct buf out = BUF_INIT;

    vec_foreach (struct store_run *, run, runs)
        buf_addf(&out, "%s%s%s%s", out.len ? " " : "", run->id, *run->owner ? "=" : "", run->owner);
    snprintf(text, sizeof(text), "%s", out.data);
    buf_release(&out);
    store_runs_release(runs);
    return text;
}

static const char *waiting(int64_t limit)
{
    struct store_runs runs = {0};

    assert_ok(store_waiting(&test_ctx, store, limit, &runs, &test_err));
    return ids(&runs);
}

static const char *taken(void)
{
    struct store_runs runs = {0};

    assert_ok(store_taken(&test_ctx, store, &runs, &test_err));
    return ids(&runs);
}

static int take(const char *id, const char *who)
{
    CLEANUP_STORE_SUBMITTED struct store_submitted got = {0};

    return store_take(&test_ctx, store, id, who, &got, &test_err);
}

static int drop(const char *id, const char *who)
{
    const struct store_drop drop = {
        .id = id,
        .taken_by = who,
        .state = STATE_CANCELLED,
        .error = "no need",
        .ended_ms = 99,
        .exit_status = -1,
        .event = "{\"event\":\"RunEnded\"}",
    };

    return store_drop(&test_ctx, store, &drop, &test_err);
}

/* Moves the row as a follower of the record does. */
static void begin(const char *id)
{
    const struct store_run run = {.id = id, .state = STATE_RUNNING, .exit_status = -1};
    const char *event = "{}";
    struct store_change change = {.id = id, .events = &event, .event_count = 1, .run = &run};

    assert_ok(store_append(&test_ctx, store, &change, &test_err));
}

static void a_submission_comes_back_as_it_was(void **state)
{
    CLEANUP_STORE_SUBMITTED struct store_submitted got = {0};
    CLEANUP_STORE_RUNS struct store_runs runs = {0};

    (void)state;
    submit("r1", -2, 1000, NULL);
    assert_ok(store_read_submitted(&test_ctx, store, "r1", &got, &test_err));
    assert_string_equal(got.file, "steps: [echo]\n");
    assert_string_equal(got.options, "{\"a\":1}");
    assert_string_equal(got.taken_by, "");
    assert_ok(store_get(&test_ctx, store, "r1", &runs, &test_err));
    assert_int_equal(runs.items[0].state, STATE_PENDING);
    assert_int_equal(runs.items[0].version, 0);
    assert_int_equal(runs.items[0].priority, -2);
    assert_string_equal(runs.items[0].client, "c");
}

static void what_was_not_submitted_is_not_found(void **state)
{
    struct store_run run = a_run("exec", 0, 1);
    struct store_submitted got = {0};

    (void)state;
    assert_ok(store_add(&test_ctx, store, &run, &test_err));
    assert_error(store_read_submitted(&test_ctx, store, "exec", &got, &test_err), ERR_NOT_FOUND);
    assert_message("there is no run exec in the store that was submitted");
    assert_error(take("exec", ME), ERR_NOT_FOUND);
    assert_error(take("none", ME), ERR_NOT_FOUND);
    assert_error(take("no id", ME), ERR_NOT_FOUND);
    assert_error(drop("none", ""), ERR_NOT_FOUND);
    assert_error(store_give_back(&test_ctx, store, "none", ME, &test_err), ERR_NOT_FOUND);
    assert_string_equal(waiting(0), "");
}

static void a_batch_goes_without_what_is_refused(void **state)
{
    struct store_run runs[] = {a_run("r1", 0, 1), a_run("r2", 0, 2), a_run("r3", 0, 3)};
    struct store_submission batch[3];

    (void)state;
    submit("r2", 0, 0, NULL);
    for (size_t i = 0; i < 3; i++)
        batch[i] = (struct store_submission){.run = &runs[i], .file = "x"};
    assert_ok(store_submit(&test_ctx, store, batch, 3, &test_err));
    assert_int_equal(batch[0].result, ERR_NONE);
    assert_int_equal(batch[1].result, ERR_CONFLICT);
    assert_int_equal(batch[2].result, ERR_NONE);
    assert_string_equal(waiting(0), "r2 r1 r3");
    runs[0].id = "r4";
    runs[0].state = STATE_RUNNING;
    assert_error(store_submit(&test_ctx, store, batch, 1, &test_err), ERR_INVALID);
    assert_message("run r4 cannot be submitted: it is running");
    assert_string_equal(waiting(0), "r2 r1 r3");
}

static void higher_priorities_come_first(void **state)
{
    (void)state;
    submit("late", 0, 30, NULL);
    submit("b", 0, 20, NULL);
    submit("a", 0, 20, NULL);
    submit("low", -1, 10, NULL);
    submit("high", 7, 40, NULL);
    submit("mine", 9, 1, ME);
    assert_string_equal(waiting(0), "high b a late low");
    assert_string_equal(waiting(2), "high b");
    assert_string_equal(taken(), "mine=" ME);
}

static void one_gets_it(void **state)
{
    CLEANUP_STORE_SUBMITTED struct store_submitted got = {0};

    (void)state;
    submit("r1", 0, 1, NULL);
    assert_ok(store_take(&test_ctx, store, "r1", ME, &got, &test_err));
    assert_string_equal(got.file, "steps: [echo]\n");
    assert_string_equal(got.options, "{\"a\":1}");
    assert_string_equal(got.taken_by, ME);
    assert_error(take("r1", OTHER), ERR_CONFLICT);
    assert_message("run r1 has been taken already");
    assert_ok(take("r1", ME));
    assert_string_equal(taken(), "r1=" ME);
    assert_string_equal(waiting(0), "");
}

static void it_can_be_given_back_until_it_has_begun(void **state)
{
    (void)state;
    submit("r1", 0, 1, NULL);
    assert_error(store_give_back(&test_ctx, store, "r1", ME, &test_err), ERR_CONFLICT);
    assert_message("run r1 has not been taken");
    assert_ok(take("r1", ME));
    assert_error(store_give_back(&test_ctx, store, "r1", OTHER, &test_err), ERR_CONFLICT);
    assert_ok(store_give_back(&test_ctx, store, "r1", ME, &test_err));
    assert_string_equal(waiting(0), "r1");
    assert_ok(take("r1", OTHER));
    begin("r1");
    assert_error(store_give_back(&test_ctx, store, "r1", OTHER, &test_err), ERR_CONFLICT);
    assert_string_equal(taken(), "r1=" OTHER);
}

static void what_is_dropped_has_ended(void **state)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    CLEANUP_STORE_EVENTS struct store_events events = {0};

    (void)state;
    submit("r1", 0, 1, NULL);
    assert_ok(drop("r1", ""));
    assert_ok(store_get(&test_ctx, store, "r1", &runs, &test_err));
    assert_int_equal(runs.items[0].state, STATE_CANCELLED);
    assert_int_equal(runs.items[0].ended_ms, 99);
    assert_int_equal(runs.items[0].version, 1);
    assert_string_equal(runs.items[0].error, "no need");
    assert_string_equal(runs.items[0].client, "c");
    assert_ok(store_read_events(&test_ctx, store, "r1", 0, false, &events, &test_err));
    assert_int_equal(events.len, 1);
    assert_string_equal(events.items[0], "{\"event\":\"RunEnded\"}");
    assert_string_equal(waiting(0), "");
    assert_string_equal(taken(), "");
    assert_error(drop("r1", ""), ERR_CONFLICT);
    assert_error(take("r1", ME), ERR_CONFLICT);
}

static void only_who_has_it_drops_it(void **state)
{
    (void)state;
    submit("r1", 0, 1, ME);
    assert_error(drop("r1", ""), ERR_CONFLICT);
    assert_error(drop("r1", OTHER), ERR_CONFLICT);
    assert_ok(drop("r1", ME));
    submit("r2", 0, 1, ME);
    begin("r2");
    assert_error(drop("r2", ME), ERR_CONFLICT);
    assert_string_equal(taken(), "r2=" ME);
}

static void it_goes_with_its_row(void **state)
{
    const char *id = "r1";
    struct store_submitted got = {0};

    (void)state;
    submit("r1", 0, 1, NULL);
    assert_ok(store_delete(&test_ctx, store, &id, 1, NULL, &test_err));
    assert_string_equal(waiting(0), "");
    assert_error(store_read_submitted(&test_ctx, store, "r1", &got, &test_err), ERR_NOT_FOUND);
}

/* --- at the same moment --- */

enum { RUNS = 60, SERVERS = 3 };

struct rival {
    pthread_t thread;
    char name[32];
    int got;
    bool failed;
};

static atomic_int winners[RUNS];

/* Takes what it can get; one in three it tries to drop. */
static void *compete(void *arg)
{
    struct rival *rival = arg;
    CLEANUP_STORE struct store *own = NULL;
    struct err err = ERR_INIT;
    struct ctx ctx;

    if (ctx_init_root(&ctx, NULL, &err) < 0)
        return NULL;
    rival->failed = store_open(&ctx, place, NULL, &own, &err) < 0;
    for (int i = 0; i < RUNS && !rival->failed; i++) {
        CLEANUP_STORE_SUBMITTED struct store_submitted got = {0};
        const struct store_drop drop = {.state = STATE_CANCELLED, .event = "{}", .id = "r"};
        struct store_drop this = drop;
        char id[16];
        int status;

        snprintf(id, sizeof(id), "r%02d", i);
        this.id = id;
        status = i % 3 ? store_take(&ctx, own, id, rival->name, &got, &err)
                       : store_drop(&ctx, own, &this, &err);
        if (status == 0)
            atomic_fetch_add(&winners[i], 1);
        else if (err.code != ERR_CONFLICT)
            rival->failed = fprintf(stderr, "%s: %s\n", id, err.message) > 0;
    }
    ctx_release(&ctx);
    return NULL;
}

static void each_is_taken_or_dropped_once(void **state)
{
    struct rival rivals[SERVERS] = {0};

    (void)state;
    for (int i = 0; i < RUNS; i++) {
        char id[16];

        snprintf(id, sizeof(id), "r%02d", i);
        submit(id, 0, i + 1, NULL);
    }
    for (int i = 0; i < SERVERS; i++) {
        snprintf(rivals[i].name, sizeof(rivals[i].name), "server%d", i);
        assert_int_equal(pthread_create(&rivals[i].thread, NULL, compete, &rivals[i]), 0);
    }
    for (int i = 0; i < SERVERS; i++) {
        pthread_join(rivals[i].thread, NULL);
        assert_false(rivals[i].failed);
    }
    for (int i = 0; i < RUNS; i++)
        assert_int_equal(winners[i], 1);
}

/* Its record was followed while nobody had taken it. */
static void what_has_ended_cannot_be_taken(void **state)
{
    const struct store_run run = {.id = "r1", .state = STATE_SUCCEEDED, .exit_status = 0};
    const char *event = "{}";
    struct store_change change = {
        .id = "r1", .version = 1, .events = &event, .event_count = 1, .run = &run};

    (void)state;
    submit("r1", 0, 1000, "");
    begin("r1");
    assert_string_equal(waiting(0), "r1");
    assert_ok(take("r1", ME));
    assert_ok(take("r1", ME));
    submit("r2", 0, 1000, "");
    change.id = "r2";
    begin("r2");
    assert_ok(store_append(&test_ctx, store, &change, &test_err));
    assert_string_equal(waiting(0), "");
    assert_error(take("r2", ME), ERR_CONFLICT);
    assert_message("run r2 does not wait any more");
}

static const char *held(void)
{
    struct store_runs runs = {0};

    assert_ok(store_held(&test_ctx, store, &runs, &test_err));
    return ids(&runs);
}

static void submit_held(const char *id, int64_t submitted_ms, const char *held_by)
{
    const struct store_run run = a_run(id, 0, submitted_ms);
    struct store_submission submission = {.run = &run, .file = "x", .held_by = held_by};

    assert_ok(store_submit(&test_ctx, store, &submission, 1, &test_err));
}

static void what_is_held_passes_to_one(void **state)
{
    static const char *const all[] = {"r1", "r2", "r3", "r4", "none"};
    CLEANUP_STRVEC struct strvec passed = {0}, again = {0}, late = {0};

    (void)state;
    submit_held("r2", 2, OTHER);
    submit_held("r1", 1, OTHER);
    submit_held("r3", 3, "boot/1/30/1");
    submit_held("r4", 4, NULL);
    submit_held("r5", 5, OTHER);
    begin("r1");
    assert_ok(drop("r5", ""));
    assert_string_equal(held(), "r1=" OTHER " r2=" OTHER " r3=boot/1/30/1");
    assert_ok(store_pass_held(&test_ctx, store, all, 5, OTHER, ME, &passed, &test_err));
    assert_int_equal(passed.len, 2);
    assert_string_equal(passed.items[0], "r1");
    assert_string_equal(passed.items[1], "r2");
    assert_string_equal(held(), "r1=" ME " r2=" ME " r3=boot/1/30/1");
    assert_ok(store_pass_held(&test_ctx, store, all, 5, OTHER, ME, &again, &test_err));
    assert_int_equal(again.len, 2);
    assert_ok(store_pass_held(&test_ctx, store, all, 5, OTHER, "boot/1/40/1", &late, &test_err));
    assert_int_equal(late.len, 0);
    assert_string_equal(held(), "r1=" ME " r2=" ME " r3=boot/1/30/1");
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        EACH(a_submission_comes_back_as_it_was),
        EACH(what_was_not_submitted_is_not_found),
        EACH(a_batch_goes_without_what_is_refused),
        EACH(higher_priorities_come_first),
        EACH(one_gets_it),
        EACH(what_has_ended_cannot_be_taken),
        EACH(it_can_be_given_back_until_it_has_begun),
        EACH(what_is_dropped_has_ended),
        EACH(only_who_has_it_drops_it),
        EACH(it_goes_with_its_row),
        EACH(each_is_taken_or_dropped_once),
        EACH(what_is_held_passes_to_one),
    };

    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
