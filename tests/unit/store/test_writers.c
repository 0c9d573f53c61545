/* Many who write the same store at once, and one that is killed at any moment. */
#include "tests/unit/assert_err.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/unit/fixture/stores.h"

enum { WRITERS = 4, EACH = 40, KILLS = 12 };

static char place[256];

static int each_setup(void **state)
{
    (void)state;
    snprintf(place, sizeof(place), "%s", stores_make());
    return ctx_init_root(&test_ctx, NULL, &test_err);
}

static int each_teardown(void **state)
{
    (void)state;
    ctx_release(&test_ctx);
    return 0;
}

static int open_patiently(struct store **ret, struct err *err)
{
    return store_open(&test_ctx, place, &(struct store_options){.wait_ms = 60000}, ret, err);
}

static int64_t version_of(struct store *store, const char *id, struct err *err)
{
    struct store_runs runs = {0};
    int64_t version;

    if (store_get(&test_ctx, store, id, &runs, err) < 0)
        return -1;
    version = runs.items[0].version;
    store_runs_release(&runs);
    return version;
}

/* Appends an event that names its number; 0 if another was faster. */
static int append_next(struct store *store, const char *id, struct err *err)
{
    int64_t version = version_of(store, id, err);
    char event[3000];
    const char *events[] = {event};
    struct store_change change = {.id = id, .version = version, .events = events, .event_count = 1};

    if (version < 0)
        return -1;
    /* More than fits into a page. */
    memset(event, 'x', sizeof(event));
    snprintf(event, sizeof(event), "%lld", (long long)version + 1);
    event[strlen(event)] = ' ';
    event[sizeof(event) - 1] = '\0';
    if (store_append(&test_ctx, store, &change, err) == 0)
        return 1;
    return err->code == ERR_CONFLICT ? 0 : -1;
}

/* One of those who write at once: adds runs of its own, that succeed, and to the run that all have.
 */
static int write_much(struct store *store, int number, struct err *err)
{
    struct store_run run = {.name = "n"};
    const struct store_run end = {.name = "n", .state = STATE_SUCCEEDED};
    struct store_change change = {.run = &end};
    char id[64];

    run.id = "shared";
    if (store_add(&test_ctx, store, &run, err) < 0 && err->code != ERR_CONFLICT)
        return -1;
    for (int i = 0; i < EACH;) {
        int status = append_next(store, "shared", err);

        if (status < 0)
            return -1;
        if (status == 0)
            continue;
        snprintf(id, sizeof(id), "run-%d-%d", number, i++);
        change.id = run.id = id;
        if (store_add(&test_ctx, store, &run, err) < 0 ||
            store_append(&test_ctx, store, &change, err) < 0)
            return -1;
    }
    return 0;
}

static void assert_whole(struct store *store, const char *id, int64_t version)
{
    int64_t number = 0;

    while (number < version) {
        CLEANUP_STORE_EVENTS struct store_events found = {0};

        assert_ok(store_read_events(&test_ctx, store, id, number, false, &found, &test_err));
        assert_int_equal(found.version, version);
        assert_int_equal(found.first, number + 1);
        assert_true(found.len > 0);
        for (size_t i = 0; i < found.len; i++) {
            assert_int_equal(strtoll(found.items[i], NULL, 10), ++number);
            assert_int_equal(strlen(found.items[i]), 2999);
        }
    }
    assert_int_equal(number, version);
}

static void assert_all_written(void)
{
    CLEANUP_STORE struct store *store = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    int64_t counts[STATE_COUNT];

    assert_ok(open_patiently(&store, &test_err));
    assert_ok(
        store_list(&test_ctx, store, &(struct store_query){.search = "run-"}, &runs, &test_err));
    assert_int_equal(runs.total, WRITERS * EACH);
    assert_ok(store_count(&test_ctx, store, counts, &test_err));
    assert_int_equal(counts[STATE_SUCCEEDED], WRITERS * EACH);
    assert_int_equal(counts[STATE_PENDING], 1);
    assert_whole(store, "shared", WRITERS * EACH);
}

static void be_a_writer(int number)
{
    struct err err = ERR_INIT;
    struct store *store = NULL;

    if (open_patiently(&store, &err) < 0 || write_much(store, number, &err) < 0) {
        fprintf(stderr, "writer %d: %s\n", number, err.message);
        _exit(1);
    }
    store_close(store);
    _exit(0);
}

/* All of them find nothing there, and make the tables. */
static void processes_at_once(void **state)
{
    pid_t pids[WRITERS];

    (void)state;
    for (int i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            be_a_writer(i);
    }
    for (int i = 0; i < WRITERS; i++) {
        int status;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_all_written();
}

static struct store *shared;

static void *be_a_thread(void *arg)
{
    struct err err = ERR_INIT;

    if (write_much(shared, *(int *)arg, &err) == 0)
        return NULL;
    fprintf(stderr, "thread %d: %s\n", *(int *)arg, err.message);
    return "failed";
}

static void threads_at_once(void **state)
{
    pthread_t threads[WRITERS];
    int numbers[WRITERS];

    (void)state;
    assert_ok(open_patiently(&shared, &test_err));
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, be_a_thread, &numbers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        void *result;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
    store_close(shared);
    assert_all_written();
}

static void write_until_killed(int fd)
{
    struct err err = ERR_INIT;
    struct store *store = NULL;
    int64_t version;

    if (open_patiently(&store, &err) < 0)
        _exit(1);
    while (append_next(store, "victim", &err) > 0) {
        version = version_of(store, "victim", &err);
        if (version < 0 || write(fd, &version, sizeof(version)) < 0)
            break;
    }
    fprintf(stderr, "victim: %s\n", err.message);
    _exit(1);
}

/* What it said last that it had written. */
static int64_t kill_after(int ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000L};
    int64_t said = 0, version;
    int pipe_fds[2], status;
    pid_t pid;

    assert_int_equal(pipe(pipe_fds), 0);
    pid = fork();
    if (pid == 0)
        write_until_killed(pipe_fds[1]);
    close(pipe_fds[1]);
    /* From its first on, any moment will do. */
    assert_int_equal(read(pipe_fds[0], &said, sizeof(said)), sizeof(said));
    nanosleep(&pause, NULL);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status));
    while (read(pipe_fds[0], &version, sizeof(version)) == sizeof(version))
        said = version;
    close(pipe_fds[0]);
    return said;
}

static void a_writer_is_killed(void **state)
{
    struct store_run run = {.id = "victim", .name = "n"};
    CLEANUP_STORE struct store *store = NULL;

    (void)state;
    srand(7);
    assert_ok(open_patiently(&store, &test_err));
    assert_ok(store_add(&test_ctx, store, &run, &test_err));
    store_close(store);
    for (int i = 0; i < KILLS; i++) {
        int64_t said = kill_after(rand() % 30);
        int64_t version;

        assert_ok(open_patiently(&store, &test_err));
        version = version_of(store, "victim", &test_err);
        /* What was under way may have been written, too. */
        assert_in_range(version, said, said + 1);
        assert_whole(store, "victim", version);
        store_close(store);
    }
    store = NULL;
}

int main(void)
{
#define EACH_TEST(name) cmocka_unit_test_setup_teardown(name, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        EACH_TEST(processes_at_once),
        EACH_TEST(threads_at_once),
        EACH_TEST(a_writer_is_killed),
    };

    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
