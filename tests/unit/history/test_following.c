/* The store follows records that have come to harm. */
#include "tests/unit/assert_err.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "event/event.h"
#include "history/history.h"
#include "history/mark.h"
#include "tests/unit/fixture/stores.h"

#define RUN "0000000000000000000001"

static struct history *history;
static char *events_path;
/* The process that writes the record. */
static pid_t writer;

/* Until somebody kills it. */
static void __attribute__((noreturn)) write_record(int ready)
{
    const struct record_options options = {.run_id = RUN, .origin = "server"};
    struct event_bus bus = EVENT_BUS_INIT;
    struct node root = {.name = "of the run"};
    struct recording *recording;

    if (recording_begin(history->dir, &options, &recording, NULL) < 0)
        _exit(1);
    event_bus_add(&bus, recording_sink(recording));
    node_set_state(&bus, &root, STATE_RUNNING, NULL);
    (void)!write(ready, "x", 1);
    for (;;)
        pause();
}

static int setup(void **state)
{
    static int number;
    int ready[2];
    char byte;

    (void)state;
    assert_ok(ctx_init_root(&test_ctx, NULL, &test_err));
    history = xcalloc(1, sizeof(*history));
    history->dir = xasprintf("%s/history%d", stores_directory(), ++number);
    history->runs = fs_join(history->dir, "runs");
    events_path = xasprintf("%s/" RUN "/events", history->runs);
    assert_ok(fs_mkdir_p(history->dir, 0700, &test_err));
    assert_int_equal(pipe(ready), 0);
    writer = fork();
    if (writer == 0)
        write_record(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    assert_ok(store_open(&test_ctx, stores_make(), NULL, &history->store, &test_err));
    return 0;
}

static void kill_writer(void)
{
    if (writer > 0) {
        kill(writer, SIGKILL);
        waitpid(writer, NULL, 0);
    }
    writer = 0;
}

static int teardown(void **state)
{
    (void)state;
    kill_writer();
    history_close(history);
    free(events_path);
    ctx_release(&test_ctx);
    return 0;
}

static void stored(struct store_runs *ret)
{
    store_runs_release(ret);
    *ret = (struct store_runs){0};
    assert_ok(store_get(&test_ctx, history->store, RUN, ret, &test_err));
}

static void follow_until_killed(int64_t version)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};

    do {
        assert_ok(history_follow(&test_ctx, history, RUN, &test_err));
        stored(&runs);
    } while (runs.items[0].version < version);
    assert_int_equal(runs.items[0].state, STATE_RUNNING);
    kill_writer();
}

static void assert_lost(int64_t version)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};

    assert_ok(history_follow(&test_ctx, history, RUN, &test_err));
    stored(&runs);
    assert_int_equal(runs.items[0].state, STATE_FAILED);
    assert_int_equal(runs.items[0].reason, REASON_LOST);
    assert_string_equal(runs.items[0].origin, "server");
    assert_int_equal(runs.items[0].version, version);
    assert_false(mark_exists(history->dir, MARKS_OPEN, RUN));
    assert_ok(history_follow(&test_ctx, history, RUN, &test_err));
}

/* The power was lost before the last lines were on the disk, which the store had read by then. */
static void lose_lines(int lines)
{
    CLEANUP_BUF struct buf bytes = BUF_INIT;
    size_t size;

    follow_until_killed(3);
    assert_ok(fs_read_file(events_path, 1 << 20, &bytes, &test_err));
    for (size = bytes.len - 1; lines > 0; lines -= bytes.data[size - 1] == '\n')
        size--;
    assert_int_equal(truncate(events_path, (off_t)size), 0);
    assert_lost(4);
}

static void nothing_is_missing(void **state)
{
    (void)state;
    follow_until_killed(3);
    assert_lost(4);
}

static void the_last_line_is_missing(void **state)
{
    (void)state;
    lose_lines(1);
}

static void all_but_the_first_are_missing(void **state)
{
    (void)state;
    lose_lines(2);
}

static void all_lines_are_missing(void **state)
{
    (void)state;
    follow_until_killed(3);
    assert_int_equal(truncate(events_path, 0), 0);
    assert_lost(4);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(nothing_is_missing),
        EACH(the_last_line_is_missing),
        EACH(all_but_the_first_are_missing),
        EACH(all_lines_are_missing),
    };

    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
