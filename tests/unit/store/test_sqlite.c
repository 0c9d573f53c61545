/* What can be wrong with a file, and who else has it open. */
#include "tests/unit/assert_err.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/submissions.h"
#include "tests/unit/fixture/stores.h"

static const char *path;

static int each_setup(void **state)
{
    (void)state;
    path = stores_make();
    return ctx_init_root(&test_ctx, NULL, &test_err);
}

static int each_teardown(void **state)
{
    (void)state;
    ctx_release(&test_ctx);
    return 0;
}

static int open_wait(const char *where, int64_t wait_ms, struct store **ret)
{
    return store_open(&test_ctx, where, &(struct store_options){.wait_ms = wait_ms}, ret,
                      &test_err);
}

static void assert_refused(enum err_code code, const char *message)
{
    struct store *store = NULL;
    char expected[ERR_MESSAGE_SIZE];

    assert_error(open_wait(path, 0, &store), code);
    snprintf(expected, sizeof(expected), "%s%s", path, message);
    assert_string_equal(test_err.message, expected);
}

/* Runs a statement as another program does. */
static void sql(const char *where, const char *statement)
{
    sqlite3 *handle;

    assert_int_equal(sqlite3_open(where, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, statement, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static int add(struct store *store, const char *id)
{
    static char error[3000];
    struct store_run run = {.id = id, .name = "n", .error = error};

    memset(error, 'e', sizeof(error) - 1);
    return store_add(&test_ctx, store, &run, &test_err);
}

static void make_store(size_t runs)
{
    CLEANUP_STORE struct store *store = NULL;

    assert_ok(open_wait(path, 0, &store));
    for (size_t i = 0; i < runs; i++) {
        char id[32];

        snprintf(id, sizeof(id), "r%zu", i);
        assert_ok(add(store, id));
    }
}

static void a_store_is_private(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    mode_t mask = umask(0);

    (void)state;
    make_store(1);
    umask(mask);
    for (size_t i = 0; i < 3; i++) {
        char name[200];
        struct stat info;

        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        assert_int_equal(stat(name, &info), 0);
        assert_int_equal(info.st_mode & 07777, 0600);
    }
}

static void names_are_names(void **state)
{
    static const char *const names[] = {"file:x?mode=memory", ":memory:", "a/b/../c/runs.db",
                                        "x y"};
    char here[4096];

    (void)state;
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir(stores_directory()), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        CLEANUP_STORE struct store *store = NULL;

        assert_ok(open_wait(names[i], 0, &store));
        assert_ok(add(store, "r"));
        assert_true(fs_exists(strchr(names[i], '/') ? "a/c/runs.db" : names[i]));
    }
    assert_int_equal(chdir(here), 0);
}

static void something_else_has_the_name(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(ERR_INVALID, " is a directory; name a file in it");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(ERR_INVALID, " is no regular file; name another");
    assert_int_equal(unlink(path), 0);
    sql(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    assert_refused(ERR_INVALID, " is a SQLite database of another program; name another file");
    assert_int_equal(unlink(path), 0);
    sql(path, "PRAGMA application_id = 5; PRAGMA user_version = 1");
    assert_refused(ERR_INVALID, " is a SQLite database of another program; name another file");
}

static void a_file_that_is_no_database(void **state)
{
    char text[5000];

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_ok(fs_write_file(path, text, sizeof(text), 0600, &test_err));
    assert_refused(ERR_INVALID, " is no SQLite database; move it away or name another file; what "
                                "is in the records of runs is found again");
}

static void an_empty_file_becomes_a_store(void **state)
{
    (void)state;
    assert_ok(fs_write_file(path, "", 0, 0600, &test_err));
    make_store(1);
}

static void a_newer_store(void **state)
{
    (void)state;
    make_store(1);
    sql(path, "PRAGMA user_version = 7");
    assert_refused(ERR_UNSUPPORTED,
                   " has version 7, made by a newer runner; this one knows version "
                   "4: use the newer one, or name another file");
}

#define WITHOUT_COUNTS                                                                             \
    "DROP TRIGGER runner_runs_added; DROP TRIGGER runner_runs_changed; "                           \
    "DROP TRIGGER runner_runs_deleted; DROP TABLE runner_counts; "

static void an_older_store_is_brought_up_to_date(void **state)
{
    CLEANUP_STORE struct store *store = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0}, waiting = {0};

    (void)state;
    make_store(1);
    sql(path, WITHOUT_COUNTS "DROP TABLE runner_submissions; PRAGMA user_version = 1");
    assert_ok(open_wait(path, 0, &store));
    assert_ok(store_list(&test_ctx, store, &(struct store_query){0}, &runs, &test_err));
    assert_int_equal(runs.len, 1);
    assert_int_equal(runs.total, 1);
    assert_ok(store_waiting(&test_ctx, store, 0, &waiting, &test_err));
    assert_int_equal(waiting.len, 0);
}

static void what_an_older_store_has_is_held_by_nobody(void **state)
{
    CLEANUP_STORE struct store *store = NULL;
    CLEANUP_STORE_RUNS struct store_runs waiting = {0}, held = {0};

    (void)state;
    make_store(1);
    sql(path, WITHOUT_COUNTS
        "ALTER TABLE runner_submissions DROP COLUMN held_by; PRAGMA user_version = 2; "
        "INSERT INTO runner_submissions (run, taken_by, options, file) "
        "SELECT key, '', '{}', 'x' FROM runner_runs; "
        "UPDATE runner_runs SET state = 'pending'");
    assert_ok(open_wait(path, 0, &store));
    assert_ok(store_waiting(&test_ctx, store, 0, &waiting, &test_err));
    assert_int_equal(waiting.len, 1);
    assert_ok(store_held(&test_ctx, store, &held, &test_err));
    assert_int_equal(held.len, 0);
}

/* They are left out, and whoever asks for one of them is told why. */
static void rows_that_make_no_sense(void **state)
{
    CLEANUP_STORE struct store *store = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0}, one = {0};

    (void)state;
    make_store(4);
    sql(path, "UPDATE runner_runs SET state = 'dreaming' WHERE id = 'r1'");
    sql(path, "UPDATE runner_runs SET reason = 'whim' WHERE id = 'r2'");
    sql(path, "UPDATE runner_runs SET id = 'r3' || char(27) WHERE id = 'r3'");
    assert_ok(open_wait(path, 0, &store));
    assert_ok(store_list(&test_ctx, store, &(struct store_query){0}, &runs, &test_err));
    assert_int_equal(runs.len, 1);
    assert_string_equal(runs.items[0].id, "r0");
    assert_int_equal(runs.total, 4);
    assert_int_equal(runs.left_out, 3);
    assert_error(store_get(&test_ctx, store, "r1", &one, &test_err), ERR_PROTOCOL);
    assert_message("run r1 is \"dreaming\" in the store");
    assert_error(store_get(&test_ctx, store, "r2", &one, &test_err), ERR_PROTOCOL);
    assert_message("run r2 is \"whim\" in the store");
    assert_error(store_get(&test_ctx, store, "r3", &one, &test_err), ERR_PROTOCOL);
    assert_message("\"r3?\" in the store is not the id of a run");
    assert_ok(store_get(&test_ctx, store, "r0", &one, &test_err));
}

static void a_damaged_file(void **state)
{
    CLEANUP_STORE struct store *store = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    char garbage[4096];
    int fd;

    (void)state;
    make_store(40);
    sql(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    fd = open(path, O_WRONLY | O_CLOEXEC);
    memset(garbage, 0xaa, sizeof(garbage));
    for (int page = 1; page < 30; page++)
        assert_int_equal(pwrite(fd, garbage, sizeof(garbage), page * 4096), 4096);
    close(fd);
    assert_ok(open_wait(path, 0, &store));
    assert_error(store_list(&test_ctx, store, &(struct store_query){0}, &runs, &test_err),
                 ERR_INVALID);
    assert_message(" is damaged (database disk image is malformed); move it away or name another");
    assert_error(add(store, "new"), ERR_INVALID);
}

enum { IMPOSSIBLE = 77 };

/* Runs in a process of its own, which may change what it is; true if all of it was as it should. */
static bool apart(void (*body)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == IMPOSSIBLE) {
        print_message("only root can mount a file system here\n");
        skip();
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void must(bool condition, int line)
{
    if (condition)
        return;
    fprintf(stderr, "line %d: %s: %s\n", line, err_code_name(test_err.code), test_err.message);
    _exit(1);
}
#define must(condition) must(condition, __LINE__)

static void become_nobody(void)
{
    if (geteuid() == 0)
        must(setgid(65534) == 0 && setuid(65534) == 0);
}

static void without_rights(void)
{
    struct store *store = NULL;
    char name[300];

    become_nobody();
    must(open_wait(path, 0, &store) < 0 && test_err.code == ERR_DENIED);
    snprintf(name, sizeof(name),
             "%s cannot be written (Permission denied); make it writable for this user, or name "
             "another file",
             path);
    must(strcmp(test_err.message, name) == 0);
    snprintf(name, sizeof(name), "%s.new", path);
    must(open_wait(name, 0, &store) < 0 && test_err.code == ERR_DENIED);
    snprintf(name, sizeof(name), "cannot make %s.new: Permission denied", path);
    must(strcmp(test_err.message, name) == 0);
}

static void a_file_of_somebody_else(void **state)
{
    (void)state;
    make_store(1);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(stores_directory(), 0555), 0);
    assert_true(apart(without_rights));
    assert_int_equal(chmod(stores_directory(), 0755), 0);
}

/* The file can be written, and nothing can be made beside it. */
static void in_a_closed_directory(void)
{
    struct store *store = NULL;

    become_nobody();
    must(open_wait(path, 0, &store) < 0 && test_err.code == ERR_DENIED);
    must(strstr(test_err.message, " cannot be written; the file, its directory, and the files "
                                  "beside it that end in -wal and -shm must be writable for this "
                                  "user") != NULL);
}

static void a_directory_of_somebody_else(void **state)
{
    char name[200];

    (void)state;
    make_store(1);
    sql(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    snprintf(name, sizeof(name), "%s-wal", path);
    unlink(name);
    snprintf(name, sizeof(name), "%s-shm", path);
    unlink(name);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(chmod(stores_directory(), 0555), 0);
    assert_true(apart(in_a_closed_directory));
    assert_int_equal(chmod(stores_directory(), 0755), 0);
}

static void tell_kernel(const char *file, const char *text)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC);

    must(fd >= 0 && write(fd, text, strlen(text)) > 0);
    close(fd);
}

/* File systems that are seen here alone; as root of a user namespace where this is not root. */
static void may_mount(void)
{
    uid_t user = geteuid();
    gid_t group = getegid();
    char map[32];

    if (unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0)
        _exit(user == 0 ? 1 : IMPOSSIBLE);
    if (user == 0)
        return;
    snprintf(map, sizeof(map), "0 %u 1", user);
    tell_kernel("/proc/self/uid_map", map);
    tell_kernel("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "0 %u 1", group);
    tell_kernel("/proc/self/gid_map", map);
}

static void on_a_small_disk(void)
{
    struct store *store = NULL;
    struct store_runs runs = {0};
    char name[300], id[32];
    int status = 0;
    int64_t done = 0;

    may_mount();
    must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    must(mkdir(path, 0700) == 0);
    must(mount("tmpfs", path, "tmpfs", 0, "size=400k") == 0);
    snprintf(name, sizeof(name), "%s/runs.db", path);
    must(open_wait(name, 0, &store) == 0);
    for (; status == 0 && done < 1000; done += status == 0) {
        snprintf(id, sizeof(id), "r%lld", (long long)done);
        status = add(store, id);
    }
    must(status < 0 && test_err.code == ERR_SYSTEM && test_err.errnum == ENOSPC && done > 5);
    snprintf(name, sizeof(name),
             "%s/runs.db cannot grow: no space left on its file system; make room there", path);
    must(strcmp(test_err.message, name) == 0);
    /* What was written is there, and more can be when there is room. */
    must(mount("tmpfs", path, "tmpfs", MS_REMOUNT, "size=2m") == 0);
    must(add(store, id) == 0);
    must(store_list(&test_ctx, store, &(struct store_query){0}, &runs, &test_err) == 0);
    must(runs.total == done + 1);
    store_runs_release(&runs);
    store_close(store);
}

static void a_full_disk(void **state)
{
    (void)state;
    assert_true(apart(on_a_small_disk));
}

static void a_lock_of_another(void **state)
{
    CLEANUP_STORE struct store *store = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    char expected[300];
    sqlite3 *other;

    (void)state;
    make_store(1);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_ok(open_wait(path, 100, &store));
    assert_error(add(store, "late"), ERR_UNAVAILABLE);
    snprintf(expected, sizeof(expected),
             "%s is locked by another process for 100 milliseconds already; find it with: fuser %s",
             path, path);
    assert_string_equal(test_err.message, expected);
    /* Readers do not mind. */
    assert_ok(store_get(&test_ctx, store, "r0", &runs, &test_err));
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_ok(add(store, "late"));
    sqlite3_close(other);
}

static void *cancel(void *arg)
{
    (void)arg;
    ctx_cancel(&test_ctx, CTX_CAUSE_USER);
    return NULL;
}

static void a_lock_is_waited_for_under_the_context(void **state)
{
    CLEANUP_STORE struct store *store = NULL;
    struct store_run run = {.id = "late", .name = "n"};
    struct ctx limited;
    pthread_t thread;
    sqlite3 *other;

    (void)state;
    assert_ok(open_wait(path, 60000, &store));
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ctx_init(&limited, &test_ctx);
    ctx_set_timeout(&limited, 50, "test");
    assert_error(store_add(&limited, store, &run, &test_err), ERR_TIMEOUT);
    assert_string_equal(test_err.message, "test timeout after 50 milliseconds");
    assert_int_equal(pthread_create(&thread, NULL, cancel, NULL), 0);
    assert_error(add(store, "late"), ERR_CANCELLED);
    pthread_join(thread, NULL);
    sqlite3_close(other);
}

/* The log of changes does not grow with every process that comes and goes. */
static void the_log_of_changes_stays_short(void **state)
{
    char name[200];
    struct stat info;

    (void)state;
    for (int i = 0; i < 100; i++) {
        CLEANUP_STORE struct store *store = NULL;
        char id[32];

        snprintf(id, sizeof(id), "r%d", i);
        assert_ok(open_wait(path, 0, &store));
        assert_ok(add(store, id));
    }
    snprintf(name, sizeof(name), "%s-wal", path);
    assert_int_equal(stat(name, &info), 0);
    assert_true(info.st_size < 270 * 4120);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, each_setup, each_teardown)
    const struct CMUnitTest tests[] = {
        EACH(a_store_is_private),
        EACH(names_are_names),
        EACH(something_else_has_the_name),
        EACH(a_file_that_is_no_database),
        EACH(an_empty_file_becomes_a_store),
        EACH(a_newer_store),
        EACH(an_older_store_is_brought_up_to_date),
        EACH(what_an_older_store_has_is_held_by_nobody),
        EACH(rows_that_make_no_sense),
        EACH(a_damaged_file),
        EACH(a_file_of_somebody_else),
        EACH(a_directory_of_somebody_else),
        EACH(a_full_disk),
        EACH(a_lock_of_another),
        EACH(a_lock_is_waited_for_under_the_context),
        EACH(the_log_of_changes_stays_short),
    };

    return cmocka_run_group_tests(tests, stores_setup, stores_teardown);
}
