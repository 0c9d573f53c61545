/* Run ids, journals, owners. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "own/own.h"

static char scratch[64];

static int setup(void **state)
{
    (void)state;
    snprintf(scratch, sizeof(scratch), "/tmp/runner-test-XXXXXX");
    assert_non_null(mkdtemp(scratch));
    assert_int_equal(0, setenv("XDG_RUNTIME_DIR", scratch, 1));
    assert_int_equal(0, setenv("HOME", scratch, 1));
    assert_int_equal(0, setenv("TMPDIR", scratch, 1));
    assert_int_equal(0, unsetenv("XDG_STATE_HOME"));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(scratch, NULL);
}

static struct own_run *begin(void)
{
    struct own_run *run;
    struct err err = ERR_INIT;

    if (own_run_begin(NULL, &run, &err) < 0)
        fail_msg("%s", err.message);
    return run;
}

/* A run without a note has no journal to be found. */
static struct own_run *begin_noted(void)
{
    struct own_run *run = begin();

    assert_int_equal(0, own_run_note(run, OWN_ENDPOINT, "host", NULL));
    return run;
}

static struct own_journal *read_journals(size_t *count)
{
    struct own_journal *journals;

    assert_int_equal(0, own_journals_read(NULL, &journals, count, NULL));
    return journals;
}

static char *journal_path(const struct own_run *run)
{
    return xasprintf("%s/runner/%s.journal", scratch, own_run_id(run));
}

static void ids_sort_by_time(void **state)
{
    struct own_run *first = begin();
    struct timespec millisecond = {.tv_nsec = 2000000};
    struct own_run *second;

    (void)state;
    nanosleep(&millisecond, NULL);
    second = begin();
    assert_int_equal(22, strlen(own_run_id(first)));
    assert_int_equal(22, strspn(own_run_id(first), "0123456789abcdefghjkmnpqrstvwxyz"));
    assert_true(strcmp(own_run_id(first), own_run_id(second)) < 0);
    own_run_end(first);
    own_run_end(second);
}

static void nothing_to_be_found_before_the_first_note(void **state)
{
    struct own_run *run = begin();
    CLEANUP_FREE char *path = journal_path(run);
    struct own_journal *found;
    size_t count;

    (void)state;
    found = read_journals(&count);
    assert_int_equal(0, count);
    own_journals_free(found, count);
    assert_int_equal(0, own_run_note(run, OWN_ENDPOINT, "host", NULL));
    assert_true(fs_exists(path));
    own_run_end(run);
}

static void labels(void **state)
{
    struct own_run *run = begin();
    struct own_owner owner;

    (void)state;
    assert_string_equal(own_run_id(run), strmap_get(own_run_labels(run), OWN_LABEL_RUN));
    assert_int_equal(0, own_owner_parse(strmap_get(own_run_labels(run), OWN_LABEL_OWNER), &owner,
                                        NULL));
    assert_int_equal(getpid(), owner.pid);
    assert_int_equal(OWN_ALIVE, own_owner_liveness(&owner));
    own_run_end(run);
}

static void notes_are_found_while_the_run_lives(void **state)
{
    struct own_run *run = begin();
    struct own_journal *found;
    size_t count;

    (void)state;
    assert_int_equal(0, own_run_note(run, OWN_ENDPOINT, "docker://unix:///a", NULL));
    assert_int_equal(0, own_run_note(run, OWN_ENDPOINT, "docker://unix:///a", NULL));
    assert_int_equal(0, own_run_note(run, OWN_ENDPOINT, "docker://b\n\"", NULL));
    assert_int_equal(0, own_run_note(run, OWN_DIRECTORY, "/gone", NULL));
    own_run_forget(run, OWN_DIRECTORY, "/gone");
    own_run_forget(run, OWN_DIRECTORY, "/never noted");
    found = read_journals(&count);
    assert_int_equal(1, count);
    assert_string_equal(own_run_id(run), found->run_id);
    assert_true(found->alive);
    assert_int_equal(2, found->endpoint_count);
    assert_string_equal("docker://unix:///a", found->endpoints[0]);
    assert_string_equal("docker://b\n\"", found->endpoints[1]);
    assert_int_equal(0, found->directory_count);
    own_journals_free(found, count);
    own_run_end(run);
    found = read_journals(&count);
    assert_int_equal(0, count);
    own_journals_free(found, count);
}

static void many_are_forgotten_by_one_write(void **state)
{
    static const char *const notes[] = {"x://#1", "x://#2", "x://#3", "x://#4"};
    CLEANUP_STRVEC struct strvec some = {0};
    struct own_run *run = begin();
    struct own_journal *found;
    struct rlimit before;
    struct rlimit limit;
    struct stat st;
    size_t count;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(0, own_run_note(run, OWN_ENDPOINT, notes[i], NULL));
        if (i != 1)
            strvec_push(&some, notes[i]);
    }
    /* There is room for one line, and not for all three: then none is forgotten. */
    assert_int_equal(0, fstat(own_run_fd(run), &st));
    assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &before));
    limit = (struct rlimit){(rlim_t)st.st_size + 50, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &limit));
    own_run_forget_all(run, OWN_ENDPOINT, &some);
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &before));
    found = read_journals(&count);
    assert_int_equal(4, found->endpoint_count);
    own_journals_free(found, count);
    own_run_forget_all(run, OWN_ENDPOINT, &some);
    found = read_journals(&count);
    assert_int_equal(1, found->endpoint_count);
    assert_string_equal("x://#2", found->endpoints[0]);
    own_journals_free(found, count);
    own_run_end(run);
}

static void what_is_not_utf8_cannot_be_noted(void **state)
{
    struct own_run *run = begin();
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(-1, own_run_note(run, OWN_DIRECTORY, "/tmp/\xff", &err));
    assert_int_equal(ERR_UNSUPPORTED, err.code);
    own_run_end(run);
}

static void end_removes_what_is_noted(void **state)
{
    struct own_run *run = begin();
    CLEANUP_FREE char *journal = journal_path(run);
    CLEANUP_FREE char *temp = xstrdup(own_run_temp_dir(run, NULL));
    CLEANUP_FREE char *inside = fs_join(temp, "file");
    struct stat st;

    (void)state;
    assert_ptr_equal(own_run_temp_dir(run, NULL), own_run_temp_dir(run, NULL));
    assert_int_equal(0, stat(temp, &st));
    assert_int_equal(S_IFDIR | 0711, st.st_mode);
    assert_int_equal(0, fs_write_file(inside, "x", 1, 0600, NULL));
    assert_true(fs_exists(journal));
    own_run_end(run);
    assert_false(fs_exists(temp));
    assert_false(fs_exists(journal));
}

static void abandoned_run_is_a_dead_owners(void **state)
{
    struct own_run *run = begin();
    CLEANUP_FREE char *temp = xstrdup(own_run_temp_dir(run, NULL));
    struct own_journal *found;
    size_t count;

    (void)state;
    own_run_abandon(run);
    assert_true(fs_exists(temp));
    found = read_journals(&count);
    assert_int_equal(1, count);
    assert_false(found->alive);
    assert_string_equal(temp, found->directories[0]);
    assert_int_equal(0, own_journal_remove(found, NULL));
    assert_false(fs_exists(temp));
    assert_false(fs_exists(found->path));
    /* A second sweep that was as fast has nothing to say against it. */
    assert_int_equal(0, own_journal_remove(found, NULL));
    own_journals_free(found, count);
}

static void living_journal_is_not_removed(void **state)
{
    struct own_run *run = begin_noted();
    struct err err = ERR_INIT;
    struct own_journal *found;
    size_t count;
    char expected[128];

    (void)state;
    found = read_journals(&count);
    assert_int_equal(-1, own_journal_remove(found, &err));
    snprintf(expected, sizeof(expected), "run %s has an owner: its journal stays", own_run_id(run));
    assert_string_equal(expected, err.message);
    assert_int_equal(ERR_CONFLICT, err.code);
    own_journals_free(found, count);
    own_run_end(run);
}

/* What a keeper does: it works on the copy of its fork, which knows nothing of later notes. */
static void forked_copy_holds_the_lock_and_ends_the_run(void **state)
{
    struct own_run *run = begin();
    CLEANUP_FREE char *journal = journal_path(run);
    CLEANUP_FREE char *temp = NULL;
    struct own_journal *found;
    size_t count;
    int gate[2];
    pid_t pid;
    int status;

    (void)state;
    assert_int_equal(0, pipe2(gate, O_CLOEXEC));
    pid = fork();
    if (pid == 0) {
        struct own_journal *own;
        char byte;

        close(gate[1]);
        if (read(gate[0], &byte, 1) != 0 || own_run_journal(run, &own, NULL) < 0 || !own->alive ||
            own->directory_count != 1)
            _exit(1);
        own_journals_free(own, 1);
        own_run_end(run);
        _exit(0);
    }
    close(gate[0]);
    temp = xstrdup(own_run_temp_dir(run, NULL));
    own_run_abandon(run);
    found = read_journals(&count);
    assert_int_equal(1, count);
    assert_true(found->alive);
    own_journals_free(found, count);
    close(gate[1]);
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_int_equal(0, status);
    assert_false(fs_exists(temp));
    assert_false(fs_exists(journal));
}

static void torn_and_foreign_lines_are_ignored(void **state)
{
    static const char text[] = "{\"note\":\"endpoint\",\"what\":\"docker://a\"}\n"
                               "{\"note\":\"endp\n"
                               "[1]\n\n"
                               "{\"note\":\"planet\",\"what\":\"/etc\"}\n"
                               "{\"note\":\"directory\",\"what\":7}\n"
                               "{\"note\":\"directory\",\"what\":\"/tmp/a\"}\n"
                               "{\"note\":\"directory\",\"what\":\"/tmp/torn";
    struct own_run *run = begin_noted();
    CLEANUP_FREE char *path = journal_path(run);
    struct own_journal *found;
    size_t count;

    (void)state;
    own_run_abandon(run);
    assert_int_equal(0, fs_write_file(path, text, strlen(text), 0600, NULL));
    found = read_journals(&count);
    assert_int_equal(1, count);
    assert_int_equal(1, found->endpoint_count);
    assert_string_equal("docker://a", found->endpoints[0]);
    assert_int_equal(1, found->directory_count);
    assert_string_equal("/tmp/a", found->directories[0]);
    own_journals_free(found, count);
}

static void short_write_is_taken_back(void **state)
{
    struct own_run *run = begin();
    CLEANUP_FREE char *path = journal_path(run);
    struct rlimit before;
    struct rlimit small;
    struct err err = ERR_INIT;
    struct stat st;

    (void)state;
    assert_int_equal(0, own_run_note(run, OWN_ENDPOINT, "docker://a", NULL));
    assert_int_equal(0, stat(path, &st));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = (rlim_t)st.st_size + 5;
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(-1, own_run_note(run, OWN_ENDPOINT, "docker://b", &err));
    setrlimit(RLIMIT_FSIZE, &before);
    assert_non_null(strstr(err.message, "cannot write to the journal"));
    off_t size = st.st_size;
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(size, st.st_size);
    assert_int_equal(0, own_run_note(run, OWN_ENDPOINT, "docker://b", NULL));
    own_run_end(run);
}

static void other_files_are_no_journals(void **state)
{
    struct own_run *run = begin_noted();
    CLEANUP_FREE char *text = xasprintf("%s/runner/README", scratch);
    CLEANUP_FREE char *link = xasprintf("%s/runner/abc.journal", scratch);
    struct own_journal *found;
    size_t count;

    (void)state;
    own_run_end(run);
    assert_int_equal(0, fs_write_file(text, "x", 1, 0600, NULL));
    assert_int_equal(0, symlink("README", link));
    found = read_journals(&count);
    assert_int_equal(0, count);
    own_journals_free(found, count);
}

static void assert_begin_refused(const char *dir, const char *format)
{
    struct own_run *run;
    struct err err = ERR_INIT;
    struct own_journal *found;
    size_t count;
    char expected[256];

    snprintf(expected, sizeof(expected), format, dir);
    assert_int_equal(-1, own_run_begin(dir, &run, &err));
    assert_string_equal(expected, err.message);
    assert_int_equal(-1, own_journals_read(dir, &found, &count, &err));
}

static void unsafe_state_directories_are_refused(void **state)
{
    CLEANUP_FREE char *open_dir = fs_join(scratch, "open");
    CLEANUP_FREE char *link = fs_join(scratch, "link");
    CLEANUP_FREE char *foreign = fs_join(scratch, "foreign");

    (void)state;
    assert_int_equal(0, mkdir(open_dir, 0700));
    assert_int_equal(0, chmod(open_dir, 0777));
    assert_begin_refused(open_dir, "%s can be written by others; chmod it to 0700");
    assert_int_equal(0, symlink(scratch, link));
    assert_begin_refused(link, "cannot open the state directory %s: Not a directory");
    assert_int_equal(0, mkdir(foreign, 0700));
    if (geteuid() == 0) {
        assert_int_equal(0, chown(foreign, 65534, 65534));
        assert_begin_refused(foreign, "%s belongs to user 65534, not to this one; remove it");
    }
}

static void falls_back_to_the_next_state_directory(void **state)
{
    CLEANUP_FREE char *blocked = fs_join(scratch, "runner");
    struct own_run *run;
    struct own_journal *found;
    size_t count;

    (void)state;
    assert_int_equal(0, fs_write_file(blocked, "x", 1, 0600, NULL));
    run = begin_noted();
    CLEANUP_FREE char *expected =
        xasprintf("%s/.local/state/runner/%s.journal", scratch, own_run_id(run));
    found = read_journals(&count);
    assert_int_equal(1, count);
    assert_string_equal(expected, found->path);
    own_journals_free(found, count);
    own_run_end(run);
}

static void assert_no_owner(const char *text)
{
    struct own_owner owner = {.pid = 77};
    struct err err = ERR_INIT;
    char expected[256];

    snprintf(expected, sizeof(expected),
             "\"%s\" does not name an owner: expected BOOT/NAMESPACE/PID/START", text);
    assert_int_equal(-1, own_owner_parse(text, &owner, &err));
    assert_string_equal(expected, err.message);
    assert_int_equal(77, owner.pid);
}

static void owners_travel_as_text(void **state)
{
    struct own_owner owner;
    char text[128];

    (void)state;
    assert_int_equal(0, own_owner_parse("boot/12/34/56", &owner, NULL));
    own_owner_format(&owner, text, sizeof(text));
    assert_string_equal("boot/12/34/56", text);
    assert_no_owner("");
    assert_no_owner("boot");
    assert_no_owner("boot/12/34");
    assert_no_owner("boot/12/0/56");
    assert_no_owner("boot/12/-3/56");
    assert_no_owner("boot/12/34/56/");
    assert_no_owner("boot/12/99999999999/56");
    assert_no_owner("0123456789012345678901234567890123456789/1/2/3");
}

static void liveness(void **state)
{
    struct own_owner owner;

    (void)state;
    own_owner_self(&owner);
    owner.start_time++;
    assert_int_equal(OWN_DEAD, own_owner_liveness(&owner)); /* the number is somebody else's now */
    own_owner_self(&owner);
    owner.pid_namespace++;
    assert_int_equal(OWN_FOREIGN, own_owner_liveness(&owner));
    own_owner_self(&owner);
    owner.boot_id[0] ^= 1;
    assert_int_equal(OWN_FOREIGN, own_owner_liveness(&owner));
    own_owner_self(&owner);
    assert_int_equal(OWN_ALIVE, own_owner_liveness(&owner));
}

/* A killed runner whose parent has not waited for it. */
static void zombies_are_dead(void **state)
{
    struct own_owner owner;
    siginfo_t info;
    int pipe_ends[2];
    pid_t pid;

    (void)state;
    assert_int_equal(0, pipe(pipe_ends));
    pid = fork();
    if (pid == 0) {
        own_owner_self(&owner);
        _exit(write(pipe_ends[1], &owner, sizeof(owner)) != sizeof(owner));
    }
    assert_int_equal(sizeof(owner), read(pipe_ends[0], &owner, sizeof(owner)));
    assert_int_equal(pid, owner.pid);
    assert_int_equal(0, waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    assert_int_equal(OWN_DEAD, own_owner_liveness(&owner));
    assert_int_equal(pid, waitpid(pid, NULL, 0));
    assert_int_equal(OWN_DEAD, own_owner_liveness(&owner));
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static int begin_as(const char *id, struct own_run **ret, struct err *err)
{
    err_clear(err);
    return own_run_begin_as(NULL, id, ret, err);
}

static void an_id_is_used_once(void **state)
{
    char id[OWN_RUN_ID_SIZE];
    struct own_run *run;
    struct own_run *other;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(0, own_run_make_id(id, &err));
    assert_int_equal(0, begin_as(id, &run, &err));
    assert_string_equal(id, own_run_id(run));
    assert_string_equal(id, strmap_get(own_run_labels(run), OWN_LABEL_RUN));
    assert_int_equal(0, own_run_note(run, OWN_ENDPOINT, "host", NULL));
    assert_int_equal(-1, begin_as(id, &other, &err));
    assert_int_equal(ERR_CONFLICT, err.code);
    own_run_end(run);
    assert_int_equal(0, begin_as(id, &run, &err));
    own_run_end(run);
}

/* Whoever was later has written nothing, and takes nothing with it. */
static void runs_of_one_id_are_kept_apart(void **state)
{
    static const char id[] = "01m81jnyg158yx8tfa5y40";
    struct own_run *first;
    struct own_run *second;
    struct err err = ERR_INIT;
    CLEANUP_FREE char *path = NULL;

    (void)state;
    assert_int_equal(0, begin_as(id, &first, &err));
    assert_int_equal(0, begin_as(id, &second, &err));
    path = journal_path(first);
    assert_int_equal(0, own_run_note(first, OWN_ENDPOINT, "host", &err));
    assert_int_equal(-1, own_run_note(second, OWN_ENDPOINT, "host", &err));
    assert_int_equal(ERR_CONFLICT, err.code);
    own_run_end(second);
    assert_true(fs_exists(path));
    own_run_end(first);
    assert_false(fs_exists(path));
}

static void ids_of_others_are_refused(void **state)
{
    static const char *const ids[] = {"", "../../etc/passwd", "01m81jnyg158yx8tfa5y4",
                                      "01m81jnyg158yx8tfa5y400", "01M81JNYG158YX8TFA5Y40"};
    struct own_run *run;
    struct err err = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        assert_int_equal(-1, begin_as(ids[i], &run, &err));
        assert_int_equal(ERR_INVALID, err.code);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ids_sort_by_time),
        TEST(nothing_to_be_found_before_the_first_note),
        TEST(labels),
        TEST(notes_are_found_while_the_run_lives),
        TEST(many_are_forgotten_by_one_write),
        TEST(what_is_not_utf8_cannot_be_noted),
        TEST(end_removes_what_is_noted),
        TEST(abandoned_run_is_a_dead_owners),
        TEST(living_journal_is_not_removed),
        TEST(forked_copy_holds_the_lock_and_ends_the_run),
        TEST(torn_and_foreign_lines_are_ignored),
        TEST(short_write_is_taken_back),
        TEST(other_files_are_no_journals),
        TEST(unsafe_state_directories_are_refused),
        TEST(falls_back_to_the_next_state_directory),
        TEST(owners_travel_as_text),
        TEST(liveness),
        TEST(zombies_are_dead),
        TEST(an_id_is_used_once),
        TEST(runs_of_one_id_are_kept_apart),
        TEST(ids_of_others_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
