/* record/: where records are, who may be there, and how they go. */
#include "tests/unit/record/rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static mode_t mode_of(const struct rig *r, const char *name)
{
    CLEANUP_FREE char *path = fs_join(r->runs, name);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void only_the_user_can_look(void **state)
{
    struct rig *r = *state;
    mode_t mask = umask(0);
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_BUF struct buf source = BUF_INIT;

    rig_create(r, 0);
    umask(mask);
    assert_int_equal(mode_of(r, ""), 0700);
    assert_int_equal(mode_of(r, RUN), 0700);
    assert_int_equal(mode_of(r, RUN "/events"), 0600);
    assert_int_equal(mode_of(r, RUN "/log"), 0600);
    assert_int_equal(mode_of(r, RUN "/log.index"), 0600);
    assert_int_equal(mode_of(r, RUN "/pipeline.yaml"), 0600);
    record = rig_open(r);
    assert_ok(record_read_pipeline(record, &source, &test_err));
    assert_string_equal(source.data, "stages: []\n");
    assert_string_equal(record_run_id(record), RUN);
    assert_string_equal(record_path(record), record_writer_path(r->writer));
    assert_true(fcntl(record_fd(r->writer), F_GETFD) & FD_CLOEXEC);
}

static void a_record_is_made_once(void **state)
{
    struct rig *r = *state;
    struct record_options options = rig_options(r);
    struct record_writer *other;

    rig_create(r, 0);
    assert_error(record_create(&options, &other, &test_err), ERR_CONFLICT);
    assert_message(RUN " already");
    options.run_id = "../" RUN;
    assert_error(record_create(&options, &other, &test_err), ERR_INVALID);
    options.run_id = "";
    assert_error(record_create(&options, &other, &test_err), ERR_INVALID);
    options.run_id = "a23456789012345678901234567890123";
    assert_error(record_create(&options, &other, &test_err), ERR_INVALID);
}

static void the_lock_tells_who_writes(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;

    rig_create(r, 0);
    record = rig_open(r);
    assert_true(record_is_written(record));
    assert_true(record_is_written(record));
    assert_ok(rig_finish(r));
    assert_false(record_is_written(record));
}

static void create_run(const struct rig *r, const char *run_id, struct record_writer **ret)
{
    struct record_options options = rig_options(r);

    options.run_id = run_id;
    assert_ok(record_create(&options, ret, &test_err));
}

static void end_run(struct record_writer *writer)
{
    const struct record_end end = {.text = "done"};

    assert_ok(record_finish(writer, &end, &test_err));
}

static void records_are_listed_by_time(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD_LIST struct record_list list = {0};
    CLEANUP_FREE char *link = fs_join(r->runs, "link");
    CLEANUP_FREE char *file = fs_join(r->runs, "file");
    struct record_writer *a;
    struct record_writer *b;

    assert_ok(record_list_add(&list, r->runs, &test_err));
    assert_int_equal(list.len, 0);
    create_run(r, "02later", &b);
    create_run(r, "01sooner", &a);
    end_run(a);
    assert_int_equal(symlink("01sooner", link), 0);
    assert_ok(fs_write_file(file, "", 0, 0600, &test_err));
    assert_ok(record_list_add(&list, r->runs, &test_err));
    assert_int_equal(list.len, 2);
    assert_string_equal(list.items[0].run_id, "01sooner");
    assert_false(list.items[0].written);
    assert_true(list.items[0].size_bytes > 0);
    assert_string_equal(list.items[0].runs_dir, r->runs);
    assert_string_equal(list.items[1].run_id, "02later");
    assert_true(list.items[1].written);
    end_run(b);
}

static void others_cannot_be_trusted(void **state)
{
    struct rig *r = *state;
    struct record_options options = rig_options(r);
    CLEANUP_RECORD_LIST struct record_list list = {0};
    CLEANUP_FREE char *link = fs_join(r->dir, "link");
    CLEANUP_FREE char *record_link = fs_join(r->runs, "linked");
    CLEANUP_FREE char *path = fs_join(r->runs, RUN);
    struct record *record;
    struct record_writer *writer;

    rig_create(r, 0);
    assert_ok(rig_finish(r));
    assert_int_equal(symlink("runs", link), 0);
    assert_int_equal(symlink(RUN, record_link), 0);
    assert_int_equal(record_open(link, RUN, &record, &test_err), -1);
    assert_int_equal(record_remove(link, RUN, &test_err), -1);
    assert_int_equal(record_list_add(&list, link, &test_err), -1);
    assert_int_equal(record_open(r->runs, "linked", &record, &test_err), -1);
    assert_int_equal(record_remove(r->runs, "linked", &test_err), -1);
    assert_int_equal(chmod(path, 0722), 0);
    assert_error(record_open(r->runs, RUN, &record, &test_err), ERR_DENIED);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(chmod(r->runs, 0777), 0);
    assert_error(record_open(r->runs, RUN, &record, &test_err), ERR_DENIED);
    assert_message("can be written by others");
    assert_error(record_list_add(&list, r->runs, &test_err), ERR_DENIED);
    assert_error(record_remove(r->runs, RUN, &test_err), ERR_DENIED);
    options.run_id = "other";
    assert_error(record_create(&options, &writer, &test_err), ERR_DENIED);
}

/* In place of a file there is something that makes whoever opens it wait, or read elsewhere. */
static void a_file_must_be_one(void **state)
{
    static const char *const names[] = {"events", "log", "log.index"};
    struct rig *r = *state;
    struct record *record;

    for (size_t i = 0; i < 3; i++) {
        CLEANUP_FREE char *path = xasprintf("%s/" RUN "/%s", r->runs, names[i]);

        rig_create(r, 0);
        assert_ok(rig_finish(r));
        assert_int_equal(unlink(path), 0);
        assert_error(record_open(r->runs, RUN, &record, &test_err), ERR_NOT_FOUND);
        assert_message(names[i]);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_error(record_open(r->runs, RUN, &record, &test_err), ERR_INVALID);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink("/etc/passwd", path), 0);
        assert_error(record_open(r->runs, RUN, &record, &test_err), ERR_SYSTEM);
        assert_ok(record_remove(r->runs, RUN, &test_err));
        assert_true(fs_exists("/etc/passwd"));
    }
}

static unsigned entries_of(const char *path)
{
    DIR *dir = opendir(path);
    unsigned count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

static void a_record_that_goes_can_be_read_on(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    struct record_item item;
    struct record *none;

    rig_create(r, 0);
    rig_print(r, &r->root, "output\n");
    record = rig_open(r);
    assert_error(record_remove(r->runs, RUN, &test_err), ERR_CONFLICT);
    assert_message("run " RUN " is still going on");
    assert_ok(rig_finish(r));
    assert_ok(record_remove(r->runs, RUN, &test_err));
    assert_int_equal(entries_of(r->runs), 0);
    assert_error(record_open(r->runs, RUN, &none, &test_err), ERR_NOT_FOUND);
    assert_error(record_remove(r->runs, RUN, &test_err), ERR_NOT_FOUND);
    record_log_open(record, NULL, &log);
    assert_int_equal(record_log_next(log, &item, &test_err), RECORD_ITEM);
    assert_int_equal(record_log_next(log, &item, &test_err), RECORD_END);
}

/* Of a removal and of a creation, long ago and just now. */
static void what_the_dead_left_goes_with_one_of_the_next(void **state)
{
    static const char *const left[] = {"a.gone", "b.new", "c.new", "other.thing", "b.1.new"};
    struct rig *r = *state;
    const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct record_writer *writer;

    rig_create(r, 0);
    assert_ok(rig_finish(r));
    for (size_t i = 0; i < 5; i++) {
        CLEANUP_FREE char *path = fs_join(r->runs, left[i]);

        assert_int_equal(mkdir(path, 0700), 0);
        if (i == 1 || i == 4)
            assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    }
    create_run(r, "01no", &writer);
    record_discard(writer);
    assert_int_equal(entries_of(r->runs), 6);
    create_run(r, "01sweeps0", &writer);
    record_discard(writer);
    assert_int_equal(entries_of(r->runs), 3);
    mode_of(r, RUN);
    mode_of(r, "c.new");
    mode_of(r, "other.thing");
}

/* A run may be begun again whose process was killed as it made the record. */
static void what_the_dead_began_is_in_nobodys_way(void **state)
{
    struct rig *r = *state;
    CLEANUP_FREE char *left = fs_join(r->runs, RUN ".new/below");
    CLEANUP_RECORD struct record *record = NULL;

    assert_ok(fs_mkdir_p(left, 0700, &test_err));
    rig_create(r, 0);
    assert_ok(rig_finish(r));
    record = rig_open(r);
    assert_int_equal(entries_of(r->runs), 2);
}

enum { AT_ONCE = 4, TO_REMOVE = 60 };

static void make_by_hand(const struct rig *r, int number, const char *suffix)
{
    CLEANUP_FREE char *path = xasprintf("%s/%da%s", r->runs, number, suffix);
    CLEANUP_FREE char *below = fs_join(path, "below");
    CLEANUP_FREE char *events = fs_join(path, "events");

    assert_ok(fs_mkdir_p(below, 0700, &test_err));
    assert_ok(fs_write_file(events, "", 0, 0600, &test_err));
}

/* What the removals came to: how many went well, and what else than "not there" was said. */
struct removals {
    const struct rig *rig;
    pthread_barrier_t *begin;
    int removed;
    struct err err;
};

static void *remove_all(void *arg)
{
    struct removals *removals = arg;

    for (int i = 0; i < TO_REMOVE; i++) {
        char id[16];
        struct err err = ERR_INIT;

        snprintf(id, sizeof(id), "%da", i);
        pthread_barrier_wait(removals->begin);
        if (record_remove(removals->rig->runs, id, &err) == 0)
            removals->removed++;
        else if (err.code != ERR_NOT_FOUND)
            removals->err = err;
    }
    return NULL;
}

/* One of them does it, and none fails; nor is what another left behind in the way. */
static void some_may_remove_at_once(void **state)
{
    struct rig *r = *state;
    pthread_barrier_t begin;
    pthread_t threads[AT_ONCE];
    struct removals removals[AT_ONCE];
    int removed = 0;

    for (int i = 0; i < TO_REMOVE; i++)
        make_by_hand(r, i, "");
    make_by_hand(r, 7, ".gone");
    pthread_barrier_init(&begin, NULL, AT_ONCE);
    for (int i = 0; i < AT_ONCE; i++) {
        removals[i] = (struct removals){.rig = r, .begin = &begin};
        assert_int_equal(pthread_create(&threads[i], NULL, remove_all, &removals[i]), 0);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        pthread_join(threads[i], NULL);
        if (removals[i].err.code)
            fail_msg("%s", removals[i].err.message);
        removed += removals[i].removed;
    }
    assert_int_equal(removed, TO_REMOVE);
    assert_int_equal(entries_of(r->runs), 0);
    pthread_barrier_destroy(&begin);
}

static void a_record_can_be_taken_back(void **state)
{
    struct rig *r = *state;

    rig_create(r, 0);
    record_discard(steal_ptr(&r->writer));
    assert_int_equal(entries_of(r->runs), 0);
    record_discard(NULL);
}

static void set_or_unset(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void records_are_where_state_is(void **state)
{
    struct rig *r = *state;
    CLEANUP_FREE char *home = xstrdup_null(getenv("HOME"));
    CLEANUP_FREE char *xdg = xstrdup_null(getenv("XDG_STATE_HOME"));
    CLEANUP_FREE char *expected = fs_join(r->dir, "runner/runs/" RUN);
    CLEANUP_FREE char *in_home = fs_join(r->dir, ".local/state/runner/runs/" RUN);
    CLEANUP_RECORD_LIST struct record_list list = {0};
    struct record_options options = rig_options(r);
    struct record *record;
    bool found = false;

    options.runs_dir = NULL;
    setenv("XDG_STATE_HOME", r->dir, 1);
    assert_ok(record_create(&options, &r->writer, &test_err));
    assert_string_equal(record_writer_path(r->writer), expected);
    assert_ok(record_open(NULL, RUN, &record, &test_err));
    record_close(record);
    assert_ok(record_list_add(&list, NULL, &test_err));
    for (size_t i = 0; i < list.len; i++)
        found = found || strcmp(list.items[i].run_id, RUN) == 0;
    assert_true(found);
    assert_ok(rig_finish(r));
    assert_ok(record_remove(NULL, RUN, &test_err));
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", r->dir, 1);
    assert_ok(record_create(&options, &r->writer, &test_err));
    assert_string_equal(record_writer_path(r->writer), in_home);
    record_discard(steal_ptr(&r->writer));
    set_or_unset("HOME", home);
    set_or_unset("XDG_STATE_HOME", xdg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_the_user_can_look, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_record_is_made_once, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_the_dead_began_is_in_nobodys_way, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(the_lock_tells_who_writes, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(records_are_listed_by_time, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(others_cannot_be_trusted, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_file_must_be_one, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_record_that_goes_can_be_read_on, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_the_dead_left_goes_with_one_of_the_next, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(some_may_remove_at_once, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_record_can_be_taken_back, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(records_are_where_state_is, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
