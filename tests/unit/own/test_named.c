/* Journals on file systems without unnamed files (older overlayfs, NFS), which is faked by refusing
 * O_TMPFILE; linked with --wrap=open. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "own/own.h"

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

/* A sweep that is faster than the lock removes the new file so many times. */
static int thefts;

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;
    int fd;

    va_start(args, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    fd = __real_open(path, flags, mode);
    if (fd >= 0 && (flags & O_EXCL) && thefts > 0 && thefts--)
        unlink(path);
    return fd;
}

static char scratch[64];

static int setup(void **state)
{
    (void)state;
    snprintf(scratch, sizeof(scratch), "/tmp/runner-test-XXXXXX");
    assert_non_null(mkdtemp(scratch));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(scratch, NULL);
}

static void named_from_the_beginning(void **state)
{
    struct own_run *run;
    struct own_journal *found;
    size_t count;

    (void)state;
    thefts = 0;
    assert_int_equal(0, own_run_begin(scratch, &run, NULL));
    CLEANUP_FREE char *path = xasprintf("%s/%s.journal", scratch, own_run_id(run));
    assert_true(fs_exists(path));
    assert_int_equal(0, own_run_note(run, OWN_ENDPOINT, "host", NULL));
    assert_int_equal(0, own_journals_read(scratch, &found, &count, NULL));
    assert_int_equal(1, count);
    assert_true(found->alive);
    assert_int_equal(1, found->endpoint_count);
    own_journals_free(found, count);
    own_run_end(run);
    assert_false(fs_exists(path));
}

static void made_again_when_a_sweep_took_it(void **state)
{
    struct own_run *run;
    struct err err = ERR_INIT;
    char expected[128];

    (void)state;
    thefts = 3;
    assert_int_equal(0, own_run_begin(scratch, &run, NULL));
    CLEANUP_FREE char *path = xasprintf("%s/%s.journal", scratch, own_run_id(run));
    assert_true(fs_exists(path));
    own_run_end(run);
    thefts = 1000;
    assert_int_equal(-1, own_run_begin(scratch, &run, &err));
    snprintf(expected, sizeof(expected), "journals in %s disappear as they are made", scratch);
    assert_string_equal(expected, err.message);
    assert_int_equal(ERR_CONFLICT, err.code);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(named_from_the_beginning),
        TEST(made_again_when_a_sweep_took_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
