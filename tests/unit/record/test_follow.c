/* record/: whoever follows a run sees all of it once, and its end, however that comes. */
#include "tests/unit/record/rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ITEMS = 3000, FOLLOWERS = 4 };

struct follower {
    const struct rig *rig;
    const struct ctx *ctx;
    uint64_t items;
    uint64_t bad;
    uint64_t events;
    bool ended;
};

static void follow_log(struct follower *f, struct record *record, struct record_watch *watch)
{
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    struct record_item item;
    enum record_got got;

    record_log_open(record, NULL, &log);
    while ((got = record_log_next(log, &item, NULL)) != RECORD_END) {
        if (got == RECORD_DAMAGED) {
            f->bad++;
        } else if (got == RECORD_ITEM) {
            f->bad += strtoul(item.data, NULL, 10) != f->items || item.seq != f->items + 1;
            f->items++;
        } else if (record_watch_wait(watch, f->ctx, -1, NULL) < 0) {
            return;
        }
    }
    f->ended = true;
}

static void follow_events(struct follower *f, struct record *record, struct record_watch *watch)
{
    CLEANUP_RECORD_EVENTS struct record_events *events = NULL;
    struct record_event item;
    enum record_got got;

    record_events_open(record, 0, &events);
    while ((got = record_events_next(events, &item, NULL)) != RECORD_END) {
        if (got == RECORD_NONE_YET && record_watch_wait(watch, f->ctx, -1, NULL) < 0)
            return;
        f->bad += got == RECORD_DAMAGED;
        f->events += got == RECORD_ITEM;
    }
}

static void *follow(void *arg)
{
    struct follower *f = arg;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;

    if (record_open(f->rig->runs, RUN, &record, NULL) < 0)
        return NULL;
    record_watch_open(record, &watch);
    follow_log(f, record, watch);
    follow_events(f, record, watch);
    return NULL;
}

static void print_number(struct rig *r, unsigned number)
{
    char line[600];

    memset(line, '.', sizeof(line));
    snprintf(line, 12, "%010u:", number);
    line[11] = '.';
    line[sizeof(line) - 1] = '\n';
    event_bus_wait_for_room(&r->bus, &test_ctx);
    rig_print_sized(r, rig_node(r, 1, 0, 0), EVENT_STDOUT, line, sizeof(line), false);
}

/* With pauses in which followers catch up and wait. */
static void print_all(struct rig *r)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        print_number(r, i);
        if (i % 1000 == 999)
            ctx_sleep(&test_ctx, 130, NULL);
    }
}

static void threads_follow(void **state)
{
    struct rig *r = *state;
    struct follower followers[FOLLOWERS];
    pthread_t threads[FOLLOWERS];

    rig_create(r, 0);
    for (int i = 0; i < FOLLOWERS; i++) {
        followers[i] = (struct follower){.rig = r, .ctx = &test_ctx};
        assert_int_equal(pthread_create(&threads[i], NULL, follow, &followers[i]), 0);
    }
    print_all(r);
    assert_ok(rig_finish(r));
    for (int i = 0; i < FOLLOWERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(followers[i].items, ITEMS);
        assert_int_equal(followers[i].bad, 0);
        assert_int_equal(followers[i].events, 3);
        assert_true(followers[i].ended);
    }
}

static void another_process_follows(void **state)
{
    struct rig *r = *state;
    int ready[2];
    char byte;
    int status;
    pid_t child;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct follower f = {.rig = r, .ctx = &test_ctx};

        if (read(ready[0], &byte, 1) != 1)
            _exit(9);
        follow(&f);
        _exit(f.items != ITEMS ? 1 : f.bad ? 2 : f.events != 3 ? 3 : 0);
    }
    rig_create(r, 0);
    assert_int_equal(write(ready[1], "", 1), 1);
    print_all(r);
    assert_ok(rig_finish(r));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ready[0]);
    close(ready[1]);
}

/* A process that has made the record, and waits to be killed. */
static pid_t start_writer(struct rig *r, bool prints)
{
    int ready[2];
    char byte;
    pid_t child;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rig_create(r, 0);
        if (prints)
            print_number(r, 0);
        if (write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

/* Its death is the end, and ends the wait for more. */
static void the_writer_is_killed(void **state)
{
    struct rig *r = *state;
    struct follower f = {.rig = r, .ctx = &test_ctx};
    pthread_t thread;
    pid_t child = start_writer(r, true);

    assert_int_equal(pthread_create(&thread, NULL, follow, &f), 0);
    ctx_sleep(&test_ctx, 150, NULL); /* so that it waits, most of the time */
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    pthread_join(thread, NULL);
    assert_true(f.ended);
    assert_int_equal(f.bad, 0);
    assert_in_range(f.items, 0, 1);
}

/* Not only sooner or later: the kernel tells it. */
static void the_death_of_the_writer_is_told(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;
    pid_t child = start_writer(r, false);

    record = rig_open(r);
    record_watch_open(record, &watch);
    assert_int_equal(record_watch_wait(watch, &test_ctx, 20, &test_err), 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    /* It is there already; the wait is shorter than what the watch waits by itself. */
    assert_int_equal(record_watch_wait(watch, &test_ctx, 900, &test_err), 1);
    assert_false(record_is_written(record));
}

/* What happens before the next look at a lock. */
static struct rig *finish_before_flock;
int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);

int __wrap_flock(int fd, int operation)
{
    if (finish_before_flock) {
        struct rig *r = finish_before_flock;

        finish_before_flock = NULL;
        print_number(r, 0);
        assert_ok(rig_finish(r));
    }
    return __real_flock(fd, operation);
}

/* Between the look for more and the look for the writer the rest comes, and the writer goes. */
static void the_last_words_are_heard(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    CLEANUP_RECORD_EVENTS struct record_events *events = NULL;
    struct record_item item;
    struct record_event event;

    rig_create(r, 0);
    record = rig_open(r);
    record_log_open(record, NULL, &log);
    finish_before_flock = r;
    assert_int_equal(record_log_next(log, &item, &test_err), RECORD_ITEM);
    assert_int_equal(record_log_next(log, &item, &test_err), RECORD_END);
    record_close(steal_ptr(&record));
    assert_ok(record_remove(r->runs, RUN, &test_err));
    rig_create(r, 0);
    record = rig_open(r);
    record_events_open(record, 0, &events);
    assert_int_equal(record_events_next(events, &event, &test_err), RECORD_ITEM);
    finish_before_flock = r;
    for (int i = 0; i < 2; i++)
        assert_int_equal(record_events_next(events, &event, &test_err), RECORD_ITEM);
    assert_int_equal(record_events_next(events, &event, &test_err), RECORD_END);
}

static void waiting_ends_with_its_context(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;
    struct ctx ctx;

    rig_create(r, 0);
    record = rig_open(r);
    record_watch_open(record, &watch);
    assert_int_equal(record_watch_wait(watch, &test_ctx, 0, &test_err), 0);
    assert_int_equal(record_watch_wait(watch, &test_ctx, 20, &test_err), 0);
    ctx_init(&ctx, &test_ctx);
    ctx_set_timeout(&ctx, 30, "test");
    assert_error(record_watch_wait(watch, &ctx, -1, &test_err), ERR_TIMEOUT);
    ctx_release(&ctx);
    event_bus_note(&r->bus, &r->root, "note");
    assert_int_equal(record_watch_wait(watch, &test_ctx, -1, &test_err), 1);
}

/* No descriptor is left for what tells: it looks by itself. */
static void without_anybody_who_tells(void **state)
{
    struct rig *r = *state;
    struct follower f = {.ctx = &test_ctx};
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;
    struct rlimit limit;
    struct rlimit none;

    rig_create(r, 0);
    record = rig_open(r);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    record_watch_open(record, &watch);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    print_number(r, 0);
    assert_int_equal(record_watch_wait(watch, &test_ctx, -1, &test_err), 1);
    assert_ok(rig_finish(r));
    follow_log(&f, record, watch);
    assert_true(f.ended);
    assert_int_equal(f.items, 1);
    assert_int_equal(f.bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(threads_follow, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(another_process_follows, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(the_writer_is_killed, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(the_death_of_the_writer_is_told, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(the_last_words_are_heard, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(waiting_ends_with_its_context, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(without_anybody_who_tells, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
