/* What every store does, in a file and in a database. */
#include "tests/unit/assert_err.h"

#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/store.h"
#include "tests/unit/fixture/stores.h"

static struct store *store;

static int each_setup(void **state)
{
    (void)state;
    assert_ok(ctx_init_root(&test_ctx, NULL, &test_err));
    assert_ok(store_open(&test_ctx, stores_make(), NULL, &store, &test_err));
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

static struct store_run a_run(const char *id, const char *name, int64_t submitted_ms)
{
    return (struct store_run){
        .id = id,
        .name = name,
        .state = STATE_RUNNING,
        .origin = "exec",
        .owner = "boot/1/2/3",
        .submitted_ms = submitted_ms,
        .exit_status = -1,
        .directory = "/runs/x",
    };
}

static void add(const char *id, const char *name, int64_t submitted_ms)
{
    struct store_run run = a_run(id, name, submitted_ms);

    assert_ok(store_add(&test_ctx, store, &run, &test_err));
}

static void add_ended(const char *id, enum state state, int64_t ended_ms, int64_t log_bytes)
{
    struct store_run run = a_run(id, "ended", ended_ms - 10);

    run.state = state;
    run.started_ms = ended_ms - 5;
    run.ended_ms = ended_ms;
    run.log_bytes = log_bytes;
    assert_ok(store_add(&test_ctx, store, &run, &test_err));
}

static void a_row_comes_back_as_it_was(void **state)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct store_run run = {
        .id = "A-b_9",
        .name = "Käse 'n' \"x\" %_\\",
        .state = STATE_FAILED,
        .reason = REASON_IMAGE_PULL,
        .origin = "server",
        .owner = "o",
        .submitted_ms = 1700000000001,
        .started_ms = 1700000000002,
        .ended_ms = 1700000000003,
        .error = "step \"a\" failed; $1 ? :x",
        .exit_status = 137,
        .version = 77,
        .log_bytes = INT64_C(1) << 40,
        .directory = "/r/A",
        .client = "me@[::1]",
        .priority = -3,
    };
    const struct store_run *got;

    (void)state;
    assert_ok(store_add(&test_ctx, store, &run, &test_err));
    assert_ok(store_get(&test_ctx, store, "A-b_9", &runs, &test_err));
    assert_int_equal(runs.len, 1);
    got = &runs.items[0];
    assert_string_equal(got->id, run.id);
    assert_string_equal(got->name, run.name);
    assert_int_equal(got->state, STATE_FAILED);
    assert_int_equal(got->reason, REASON_IMAGE_PULL);
    assert_string_equal(got->origin, run.origin);
    assert_string_equal(got->owner, run.owner);
    assert_int_equal(got->submitted_ms, run.submitted_ms);
    assert_int_equal(got->started_ms, run.started_ms);
    assert_int_equal(got->ended_ms, run.ended_ms);
    assert_string_equal(got->error, run.error);
    assert_int_equal(got->exit_status, 137);
    assert_int_equal(got->version, 0);
    assert_int_equal(got->log_bytes, run.log_bytes);
    assert_string_equal(got->directory, run.directory);
    assert_string_equal(got->client, run.client);
    assert_int_equal(got->priority, -3);
}

static void texts_that_are_missing_or_broken(void **state)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct store_run run = {.id = "x",
                            .name = "a\xff"
                                    "b"};

    (void)state;
    assert_ok(store_add(&test_ctx, store, &run, &test_err));
    assert_ok(store_get(&test_ctx, store, "x", &runs, &test_err));
    assert_string_equal(runs.items[0].name, "a\xef\xbf\xbd"
                                            "b");
    assert_string_equal(runs.items[0].error, "");
}

static void a_run_is_added_once(void **state)
{
    struct store_run run = a_run("r1", "one", 5);

    (void)state;
    add("r1", "first", 1);
    assert_error(store_add(&test_ctx, store, &run, &test_err), ERR_CONFLICT);
    assert_string_equal(test_err.message, "run r1 is in the store already");
    run.id = "a/b";
    assert_error(store_add(&test_ctx, store, &run, &test_err), ERR_INVALID);
    assert_string_equal(test_err.message, "\"a/b\" cannot be the id of a run");
}

static int append(const char *id, int64_t version, const char *const *events, size_t count)
{
    struct store_change change = {.id = id,
                                  .version = version,
                                  .events = events,
                                  .event_count = count};

    return store_append(&test_ctx, store, &change, &test_err);
}

static void events_stand_on_a_version(void **state)
{
    static const char *const events[] = {"{\"n\":1}", "{\"n\":2}", "", "{\"n\":4}"};
    static const char *const lines[] = {"a\nb"};
    CLEANUP_STORE_EVENTS struct store_events found = {0};

    (void)state;
    add("r1", "one", 1);
    assert_ok(append("r1", 0, events, 2));
    assert_error(append("r1", 0, events, 3), ERR_CONFLICT);
    assert_string_equal(test_err.message, "run r1 is not at version 0 any more");
    assert_error(append("r1", 3, events, 3), ERR_CONFLICT);
    assert_error(append("r2", 0, events, 3), ERR_NOT_FOUND);
    assert_string_equal(test_err.message, "there is no run r2 in the store");
    assert_error(append("r1", 2, lines, 1), ERR_INVALID);
    assert_string_equal(test_err.message, "event 3 of run r1 has several lines");
    assert_ok(append("r1", 2, events + 2, 2));
    assert_ok(append("r1", 4, NULL, 0));

    assert_ok(store_read_events(&test_ctx, store, "r1", 0, false, &found, &test_err));
    assert_int_equal(found.version, 4);
    assert_int_equal(found.first, 1);
    assert_int_equal(found.len, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(found.items[i], events[i]);
    assert_null(found.snapshot);
    store_events_release(&found);
    found = (struct store_events){0};
    assert_ok(store_read_events(&test_ctx, store, "r1", 1, true, &found, &test_err));
    assert_int_equal(found.first, 2);
    assert_int_equal(found.len, 3);
    assert_string_equal(found.items[0], events[1]);
    store_events_release(&found);
    found = (struct store_events){0};
    assert_ok(store_read_events(&test_ctx, store, "r1", 4, true, &found, &test_err));
    assert_int_equal(found.first, 5);
    assert_int_equal(found.len, 0);
    assert_error(store_read_events(&test_ctx, store, "r", 0, true, &found, &test_err),
                 ERR_NOT_FOUND);
}

static void an_append_changes_the_row(void **state)
{
    static const char *const events[] = {"{}"};
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct store_run run = a_run("other", "renamed", 9);
    struct store_change change = {.id = "r1", .run = &run, .events = events, .event_count = 1};

    (void)state;
    add("r1", "one", 1);
    run.state = STATE_SUCCEEDED;
    run.exit_status = 0;
    run.version = 99;
    assert_ok(store_append(&test_ctx, store, &change, &test_err));
    run.name = "stale";
    assert_error(store_append(&test_ctx, store, &change, &test_err), ERR_CONFLICT);
    assert_ok(
        store_list(&test_ctx, store, &(struct store_query){.search = "RENAM"}, &runs, &test_err));
    assert_int_equal(runs.total, 1);
    assert_string_equal(runs.items[0].id, "r1");
    assert_string_equal(runs.items[0].name, "renamed");
    assert_int_equal(runs.items[0].state, STATE_SUCCEEDED);
    assert_int_equal(runs.items[0].version, 1);
}

static void a_run_comes_whole_at_its_end(void **state)
{
    enum { COUNT = 5000 };
    CLEANUP_STORE_EVENTS struct store_events found = {0};
    static char text[2001];
    const char **events = calloc(COUNT, sizeof(*events));
    struct store_run run = a_run("big", "big", 1);
    struct store_change change = {
        .id = "big", .add = true, .run = &run, .events = events, .event_count = COUNT};
    int64_t after = 0;
    int reads = 0;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    for (size_t i = 0; i < COUNT; i++)
        events[i] = text + i % 2000;
    assert_ok(store_append(&test_ctx, store, &change, &test_err));
    assert_error(store_append(&test_ctx, store, &change, &test_err), ERR_CONFLICT);
    for (; after < COUNT; reads++) {
        assert_ok(store_read_events(&test_ctx, store, "big", after, true, &found, &test_err));
        assert_int_equal(found.version, COUNT);
        assert_int_equal(found.first, after + 1);
        assert_true(found.len > 0);
        for (size_t i = 0; i < found.len; i++)
            assert_string_equal(found.items[i], events[after + (int64_t)i]);
        after += (int64_t)found.len;
        store_events_release(&found);
        found = (struct store_events){0};
    }
    assert_int_equal(reads, 2);
    free(events);
}

static void snapshots_stand_for_events(void **state)
{
    static const char *const events[] = {"1", "2", "3", "4", "5"};
    CLEANUP_STORE_EVENTS struct store_events found = {0};
    struct store_change change = {.id = "r1",
                                  .events = events,
                                  .event_count = 2,
                                  .snapshot = "{\"at\":2}"};

    (void)state;
    add("r1", "one", 1);
    assert_ok(store_append(&test_ctx, store, &change, &test_err));
    assert_ok(append("r1", 2, events + 2, 1));
    /* The events are there: only who wants it gets the snapshot. */
    assert_ok(store_read_events(&test_ctx, store, "r1", 0, false, &found, &test_err));
    assert_null(found.snapshot);
    assert_int_equal(found.len, 3);
    store_events_release(&found);
    found = (struct store_events){0};
    assert_ok(store_read_events(&test_ctx, store, "r1", 0, true, &found, &test_err));
    assert_string_equal(found.snapshot, "{\"at\":2}");
    assert_int_equal(found.snapshot_version, 2);
    assert_int_equal(found.first, 3);
    assert_int_equal(found.len, 1);
    store_events_release(&found);
    found = (struct store_events){0};
    /* Who knows it already does not get it again. */
    assert_ok(store_read_events(&test_ctx, store, "r1", 2, true, &found, &test_err));
    assert_null(found.snapshot);
    assert_int_equal(found.len, 1);
    store_events_release(&found);
    found = (struct store_events){0};

    change = (struct store_change){
        .id = "r1", .version = 3, .event_count = 1, .snapshot = "{\"at\":4}", .drop_events = true};
    assert_ok(store_append(&test_ctx, store, &change, &test_err));
    assert_ok(append("r1", 4, events + 4, 1));
    for (int64_t after = 0; after < 4; after++) {
        assert_ok(store_read_events(&test_ctx, store, "r1", after, false, &found, &test_err));
        assert_string_equal(found.snapshot, "{\"at\":4}");
        assert_int_equal(found.snapshot_version, 4);
        assert_int_equal(found.first, 5);
        assert_int_equal(found.len, 1);
        assert_string_equal(found.items[0], "5");
        store_events_release(&found);
        found = (struct store_events){0};
    }
    assert_ok(store_read_events(&test_ctx, store, "r1", 4, false, &found, &test_err));
    assert_null(found.snapshot);
    assert_int_equal(found.len, 1);
}

static void a_batch_goes_without_what_is_refused(void **state)
{
    static const char *const events[] = {"{}"};
    struct store_run run = a_run("", "batch", 1);
    struct store_change changes[] = {
        {.id = "n1", .add = true, .run = &run},
        {.id = "r1", .add = true, .run = &run},
        {.id = "r1", .version = 7, .events = events, .event_count = 1},
        {.id = "nobody", .version = 0, .events = events, .event_count = 1},
        {.id = "n1", .version = 0, .events = events, .event_count = 1},
    };
    int64_t counts[STATE_COUNT];

    (void)state;
    add("r1", "one", 1);
    assert_ok(store_write(&test_ctx, store, changes, 5, &test_err));
    assert_int_equal(changes[0].result, ERR_NONE);
    assert_int_equal(changes[1].result, ERR_CONFLICT);
    assert_int_equal(changes[2].result, ERR_CONFLICT);
    assert_int_equal(changes[3].result, ERR_NOT_FOUND);
    assert_int_equal(changes[4].result, ERR_NONE);
    assert_ok(store_count(&test_ctx, store, counts, &test_err));
    assert_int_equal(counts[STATE_RUNNING], 2);
    assert_ok(append("n1", 1, events, 1));
    /* What is wrong with one is found before anything is written. */
    changes[0].id = "n2";
    changes[4].id = "a b";
    assert_error(store_write(&test_ctx, store, changes, 5, &test_err), ERR_INVALID);
    assert_ok(store_count(&test_ctx, store, counts, &test_err));
    assert_int_equal(counts[STATE_RUNNING], 2);
}

static void ids_are_found_by_their_beginning(void **state)
{
    static const char *const ids[] = {"ab1", "ab2", "ab3", "ab4", "aB9", "abz", "b", "b1"};
    CLEANUP_STORE_RUNS struct store_runs runs = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
        add(ids[i], "n", 1);
    assert_ok(store_get(&test_ctx, store, "aB", &runs, &test_err));
    assert_string_equal(runs.items[0].id, "aB9");
    store_runs_release(&runs);
    runs = (struct store_runs){0};
    assert_ok(store_get(&test_ctx, store, "b", &runs, &test_err));
    assert_string_equal(runs.items[0].id, "b");
    assert_int_equal(runs.len, 1);
    assert_error(store_get(&test_ctx, store, "ab", &runs, &test_err), ERR_INVALID);
    assert_string_equal(test_err.message,
                        "several runs begin with \"ab\": ab1, ab2, ab3 and more; give more of the "
                        "id");
    assert_error(store_get(&test_ctx, store, "a", &runs, &test_err), ERR_INVALID);
    assert_error(store_get(&test_ctx, store, "abc", &runs, &test_err), ERR_NOT_FOUND);
    assert_string_equal(test_err.message, "there is no run abc in the store");
    assert_error(store_get(&test_ctx, store, "a%", &runs, &test_err), ERR_NOT_FOUND);
    assert_error(store_get(&test_ctx, store, "", &runs, &test_err), ERR_NOT_FOUND);
}

/* The ids that a query gives, with blanks between them. */
static const char *listed(const struct store_query *query, int64_t *ret_total)
{
    static char text[256];
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    size_t len = 0;

    assert_ok(store_list(&test_ctx, store, query, &runs, &test_err));
    text[0] = '\0';
    for (size_t i = 0; i < runs.len; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
                                runs.items[i].id);
    if (ret_total)
        *ret_total = runs.total;
    return text;
}

#define QUERY(...) (&(struct store_query){__VA_ARGS__})

static void lists_are_the_newest_first(void **state)
{
    int64_t total;

    (void)state;
    add("a", "n", 100);
    add("c", "n", 300);
    add("b", "n", 200);
    add("d", "n", 200);
    assert_string_equal(listed(QUERY(.limit = 0), &total), "c d b a");
    assert_int_equal(total, 4);
    assert_string_equal(listed(QUERY(.limit = 2), &total), "c d");
    assert_int_equal(total, 4);
    assert_string_equal(listed(QUERY(.limit = 2, .offset = 3), &total), "a");
    assert_int_equal(total, 4);
    assert_string_equal(listed(QUERY(.offset = 4), &total), "");
    assert_int_equal(total, 4);
    assert_string_equal(listed(QUERY(.from_ms = 200), &total), "c d b");
    assert_string_equal(listed(QUERY(.until_ms = 200), &total), "a");
    assert_string_equal(listed(QUERY(.from_ms = 101, .until_ms = 300), &total), "d b");
    assert_int_equal(total, 2);
}

static void lists_are_of_states_and_origins(void **state)
{
    struct store_run run = a_run("server1", "n", 50);
    int64_t counts[STATE_COUNT];

    (void)state;
    run.origin = "server";
    run.state = STATE_PENDING;
    assert_ok(store_add(&test_ctx, store, &run, &test_err));
    add("running", "n", 100);
    add_ended("failed", STATE_FAILED, 210, 1);
    add_ended("ok1", STATE_SUCCEEDED, 310, 1);
    add_ended("ok2", STATE_SUCCEEDED, 410, 1);
    assert_string_equal(listed(QUERY(.states = STORE_STATE(STATE_SUCCEEDED)), NULL), "ok2 ok1");
    assert_string_equal(
        listed(QUERY(.states = STORE_STATE(STATE_PENDING) | STORE_STATE(STATE_FAILED)), NULL),
        "failed server1");
    assert_string_equal(listed(QUERY(.states = STORE_STATE(STATE_SKIPPED)), NULL), "");
    assert_string_equal(listed(QUERY(.origin = "server"), NULL), "server1");
    assert_string_equal(listed(QUERY(.origin = "exec", .limit = 1), NULL), "ok2");
    assert_ok(store_count(&test_ctx, store, counts, &test_err));
    assert_int_equal(counts[STATE_PENDING], 1);
    assert_int_equal(counts[STATE_RUNNING], 1);
    assert_int_equal(counts[STATE_FAILED], 1);
    assert_int_equal(counts[STATE_SUCCEEDED], 2);
    assert_int_equal(counts[STATE_CANCELLED], 0);
}

/* What is kept of each state, and of all, against what is there. */
static void assert_totals(int64_t all)
{
    int64_t counts[STATE_COUNT], kept, counted;

    assert_ok(store_count(&test_ctx, store, counts, &test_err));
    listed(QUERY(.limit = 1), &kept);
    assert_int_equal(kept, all);
    for (int i = 0; i < STATE_COUNT; i++) {
        listed(QUERY(.states = STORE_STATE(i), .limit = 1), &kept);
        listed(QUERY(.states = STORE_STATE(i), .origin = "exec", .limit = 1), &counted);
        assert_int_equal(kept, counted);
        assert_int_equal(counts[i], counted);
        all -= kept;
    }
    assert_int_equal(all, 0);
}

static void totals_are_of_what_is_there(void **state)
{
    enum { MANY = 300 };
    struct store_run run = a_run("run000", "n", 1);
    const char *ids[] = {"run000", "run001", "run002", "nobody"};
    int64_t total;
    struct store_change changes[] = {
        {.id = "run000", .run = &run},
        {.id = "run003", .run = &run},
        {.id = "run004"},
        {.id = "run005", .run = &run, .version = 7}, /* stale */
    };

    (void)state;
    assert_totals(0);
    for (int i = 0; i < MANY; i++) {
        char id[16];

        snprintf(id, sizeof(id), "run%03d", i);
        add(id, "n", i);
    }
    assert_totals(MANY);
    run.state = STATE_FAILED;
    assert_ok(store_write(&test_ctx, store, changes, 4, &test_err));
    assert_error(store_add(&test_ctx, store, &run, &test_err), ERR_CONFLICT);
    assert_totals(MANY);
    run.state = STATE_SUCCEEDED;
    assert_ok(store_write(&test_ctx, store, changes, 1, &test_err));
    assert_ok(store_delete(&test_ctx, store, ids, 4, NULL, &test_err));
    assert_totals(MANY - 3);
    listed(QUERY(.states = STORE_STATE(STATE_RUNNING) | STORE_STATE(STATE_FAILED), .limit = 1),
           &total);
    assert_int_equal(total, MANY - 3);
}

static void a_search_is_plain_text(void **state)
{
    static const struct {
        const char *search;
        const char *ids;
    } cases[] = {
        {"DEPLOY", "y x"},    {"100%", "x"},       {"%", "x"},
        {"_", "quote y"},     {"o_p", "y"},        {"'", "quote"},
        {"'; DROP", "quote"}, {"\\", "back"},      {"\"", "quote"},
        {"ÄRGER", "umlaut"},  {"ärger", "umlaut"}, {"ПРОВЕРКА", "umlaut"},
        {"$1", "back"},       {"QUOTE", "quote"},  {"*", ""},
        {"ploy 1", "x"},      {"\xff", ""},
    };

    (void)state;
    add("x", "Deploy 100% done", 1);
    add("y", "deploy to_prod", 2);
    add("quote", "it's '; DROP TABLE runner_runs; -- \"x\"", 3);
    add("back", "a\\b $1", 4);
    add("umlaut", "Ärger проверка", 5);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int64_t total = 0;
        const char *ids = listed(QUERY(.search = cases[i].search), &total);

        if (strcmp(ids, cases[i].ids) != 0)
            fail_msg("%s finds %s instead of %s", cases[i].search, ids, cases[i].ids);
    }
    assert_string_equal(listed(QUERY(.search = "deploy", .from_ms = 2,
                                     .states = STORE_STATE(STATE_RUNNING), .origin = "exec"),
                               NULL),
                        "y");
}

static void deleted_runs_leave_nothing(void **state)
{
    static const char *const events[] = {"{}"};
    static const char *const ids[] = {"r1", "r3", "nobody", "a b"};
    CLEANUP_STORE_EVENTS struct store_events found = {0};
    struct store_change change = {.id = "r1", .events = events, .event_count = 1, .snapshot = "{}"};
    int64_t deleted = 0;

    (void)state;
    add("r1", "one", 1);
    add("r2", "two", 2);
    add("r3", "three", 3);
    assert_ok(store_append(&test_ctx, store, &change, &test_err));
    assert_ok(store_delete(&test_ctx, store, ids, 4, &deleted, &test_err));
    assert_int_equal(deleted, 2);
    assert_string_equal(listed(QUERY(.limit = 0), NULL), "r2");
    add("r1", "again", 1);
    assert_ok(store_read_events(&test_ctx, store, "r1", 0, true, &found, &test_err));
    assert_int_equal(found.version, 0);
    assert_int_equal(found.len, 0);
    assert_null(found.snapshot);
}

static const char *excess(const struct store_retention *keep, int64_t limit)
{
    static char text[256];
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    size_t len = 0;

    assert_ok(store_list_excess(&test_ctx, store, keep, limit, &runs, &test_err));
    text[0] = '\0';
    for (size_t i = 0; i < runs.len; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
                                runs.items[i].id);
    return text;
}

#define KEEP(...) (&(struct store_retention){.max_runs = -1, .max_log_bytes = -1, __VA_ARGS__})

static void what_is_too_much(void **state)
{
    (void)state;
    add("running", "n", 50);
    add_ended("a", STATE_SUCCEEDED, 110, 10);
    add_ended("b", STATE_FAILED, 210, 20);
    add_ended("c", STATE_CANCELLED, 310, 30);
    add_ended("d", STATE_SUCCEEDED, 410, 400);
    assert_string_equal(excess(KEEP(.ended_before_ms = 0), 0), "");
    assert_string_equal(excess(KEEP(.ended_before_ms = 210), 0), "a");
    assert_string_equal(excess(KEEP(.ended_before_ms = 1000), 0), "a b c");
    assert_string_equal(excess(KEEP(.ended_before_ms = 1000), 2), "a b");
    assert_string_equal(excess(&(struct store_retention){.max_runs = 3, .max_log_bytes = -1}, 0),
                        "a");
    assert_string_equal(excess(&(struct store_retention){.max_runs = 0, .max_log_bytes = -1}, 0),
                        "a b c");
    assert_string_equal(excess(&(struct store_retention){.max_runs = -1, .max_log_bytes = 430}, 0),
                        "a b");
    assert_string_equal(excess(&(struct store_retention){.max_runs = -1, .max_log_bytes = 399}, 0),
                        "a b c");
    assert_string_equal(excess(&(struct store_retention){.max_runs = -1, .max_log_bytes = 460}, 0),
                        "");
}

static void an_ended_context_writes_nothing(void **state)
{
    struct store_run run = a_run("r1", "one", 1);

    (void)state;
    ctx_cancel(&test_ctx, CTX_CAUSE_USER);
    assert_error(store_add(&test_ctx, store, &run, &test_err), ERR_CANCELLED);
    ctx_release(&test_ctx);
    assert_ok(ctx_init_root(&test_ctx, NULL, &test_err));
    assert_string_equal(listed(QUERY(.limit = 0), NULL), "");
    add("r1", "one", 1);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        EACH(a_row_comes_back_as_it_was),
        EACH(texts_that_are_missing_or_broken),
        EACH(a_run_is_added_once),
        EACH(events_stand_on_a_version),
        EACH(an_append_changes_the_row),
        EACH(a_run_comes_whole_at_its_end),
        EACH(snapshots_stand_for_events),
        EACH(a_batch_goes_without_what_is_refused),
        EACH(ids_are_found_by_their_beginning),
        EACH(lists_are_the_newest_first),
        EACH(lists_are_of_states_and_origins),
        EACH(totals_are_of_what_is_there),
        EACH(a_search_is_plain_text),
        EACH(deleted_runs_leave_nothing),
        EACH(what_is_too_much),
        EACH(an_ended_context_writes_nothing),
    };

    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
