/* `helper renew` and `helper leased`. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "fixture/program.h"
#include "helper/helper.h"

static char program[] = "/tmp/test-lease-XXXXXX";
static char directory[] = "/tmp/test-leases-XXXXXX";
static char *file;

static int set_up(void **state)
{
    (void)state;
    if (program_write(program, helper_architecture()) < 0 || !mkdtemp(directory))
        return -1;
    file = xasprintf("%s/until", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(file);
    free(file);
    rmdir(directory);
    return unlink(program);
}

static void assert_answer(int code, const char *expected, const char *const *args)
{
    CLEANUP_BUF struct buf said = BUF_INIT;

    assert_int_equal(program_run(program, 0, args, &said), code);
    assert_string_equal(said.data ? said.data : "", expected);
}

#define OVER "runner: cannot go on: nothing was heard of the runner for too long\n"

static void a_lease_holds_until_it_ends(void **state)
{
    const char *const leased[] = {"leased", file, NULL};

    (void)state;
    assert_answer(HELPER_EXIT_ABANDONED, OVER, leased);
    assert_answer(0, "", (const char *const[]){"renew", file, "600000", NULL});
    assert_answer(0, "", leased);
    assert_answer(0, "", (const char *const[]){"renew", file, "0", NULL});
    assert_answer(HELPER_EXIT_ABANDONED, OVER, leased);
    assert_int_equal(truncate(file, 3), 0);
    assert_answer(HELPER_EXIT_ABANDONED, OVER, leased);
}

/* The containers of a pod may have different users. */
static void any_user_may_renew_it(void **state)
{
    CLEANUP_BUF struct buf said = BUF_INIT;
    mode_t before = umask(077);

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(directory, 0777), 0);
    assert_int_equal(chmod(program, 0755), 0);
    assert_answer(0, "", (const char *const[]){"renew", file, "0", NULL});
    umask(before);
    assert_int_equal(program_run(program, 65534,
                                 (const char *const[]){"renew", file, "600000", NULL}, &said),
                     0);
    assert_answer(0, "", (const char *const[]){"leased", file, NULL});
}

static void what_cannot_be_done_is_said(void **state)
{
    CLEANUP_FREE char *nowhere = xasprintf("%s/no/until", directory);
    CLEANUP_FREE char *not_found = xasprintf("runner: cannot renew %s: not found\n", nowhere);

    (void)state;
    assert_answer(HELPER_EXIT_CANNOT, not_found,
                  (const char *const[]){"renew", nowhere, "1", NULL});
    assert_answer(HELPER_EXIT_CANNOT, "runner: cannot renew: usage: renew FILE TTL_MS\n",
                  (const char *const[]){"renew", file, "soon", NULL});
    assert_answer(HELPER_EXIT_CANNOT, "runner: cannot look: usage: leased FILE\n",
                  (const char *const[]){"leased", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_holds_until_it_ends),
        cmocka_unit_test(any_user_may_renew_it),
        cmocka_unit_test(what_cannot_be_done_is_said),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
