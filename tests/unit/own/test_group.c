/* Groups, with all who want to enter in one process; processes are for tests/e2e/concurrency.sh. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/vec.h"
#include "own/group.h"

static char home[] = "/tmp/runner-group-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("XDG_STATE_HOME");
    return mkdtemp(home) && setenv("HOME", home, 1) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return fs_remove_tree(home, NULL);
}

static void hear(void *arg, const char *text)
{
    strvec_push(arg, text);
}

static struct own_group_request request_of(const char *name, const char *run, struct strvec *heard)
{
    return (struct own_group_request){
        .name = name, .run_id = run, .what = "job \"j\"", .waiting = hear, .arg = heard};
}

/* Enters within 50 ms, or fails with that code. */
static struct own_group *enter(const struct own_group_request *request, enum err_code expected)
{
    struct own_group *group = NULL;
    struct err err = ERR_INIT;
    struct ctx ctx;

    ctx_init_cleanup(&ctx, 50);
    ctx.label = "test";
    if (own_group_enter(&ctx, request, &group, &err) == 0)
        err.code = ERR_NONE;
    ctx_release(&ctx);
    if (err.code != expected)
        fail_msg("%s instead of %s: %s", err_code_name(err.code), err_code_name(expected),
                 err.message);
    return group;
}

static void lets_in_one_at_a_time(void **state)
{
    CLEANUP_STRVEC struct strvec heard = {0};
    struct own_group_request first = request_of("a/b c", "run1", &heard);
    struct own_group_request second = request_of("a/b c", "run2", &heard);
    struct own_group_request other = request_of("a/b", "run3", &heard);
    struct own_group *group = enter(&first, ERR_NONE);
    char expected[128];

    (void)state;
    own_group_leave(enter(&other, ERR_NONE));
    assert_int_equal(heard.len, 0);
    enter(&second, ERR_TIMEOUT);
    snprintf(expected, sizeof(expected),
             "waits for the group \"a/b c\", which job \"j\" holds (run run1, process %d)",
             (int)getpid());
    assert_int_equal(heard.len, 1);
    assert_string_equal(heard.items[0], expected);
    own_group_leave(group);
    own_group_leave(enter(&second, ERR_NONE));
}

static void refuses_to_wait_for_itself(void **state)
{
    CLEANUP_STRVEC struct strvec heard = {0};
    struct own_group_request whole = request_of("g", "run1", &heard);
    struct own_group_request job = request_of("g", "run1", &heard);
    struct own_group *group;

    (void)state;
    whole.whole = true;
    group = enter(&whole, ERR_NONE);
    enter(&job, ERR_CONFLICT);
    job.run_id = "run2";
    enter(&job, ERR_TIMEOUT);
    own_group_leave(group);
}

/* What a process that was killed leaves: a ticket that nobody has locked, maybe of half a line. */
static void passes_over_the_dead(void **state)
{
    CLEANUP_STRVEC struct strvec heard = {0};
    struct own_group_request request = request_of("g", "run1", &heard);
    CLEANUP_FREE char *dir = xasprintf("%s/.local/state/runner/groups", home);
    CLEANUP_FREE char *ticket = NULL;
    struct own_group *group;

    (void)state;
    own_group_leave(enter(&request, ERR_NONE));
    /* FNV-1a of "g" */
    ticket = xasprintf("%s/af63da4c8601e926.00000000000000000001", dir);
    assert_int_equal(0, fs_write_file(ticket, "{\"what\"", 7, 0600, NULL));
    group = enter(&request, ERR_NONE);
    assert_int_equal(heard.len, 0);
    own_group_leave(group);
    assert_false(fs_exists(ticket));
}

/* Who removes a dead ticket holds its lock, so that nobody else can give its name away meanwhile.
 */
static void a_dead_ticket_is_removed_by_one(void **state)
{
    CLEANUP_STRVEC struct strvec heard = {0};
    struct own_group_request request = request_of("g", "run1", &heard);
    CLEANUP_FREE char *dir = xasprintf("%s/.local/state/runner/groups", home);
    CLEANUP_FREE char *ticket = xasprintf("%s/af63da4c8601e926.00000000000000000001", dir);
    int fd;

    (void)state;
    own_group_leave(enter(&request, ERR_NONE));
    assert_int_equal(0, fs_write_file(ticket, "{}", 2, 0600, NULL));
    fd = open(ticket, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(0, flock(fd, LOCK_SH));
    enter(&request, ERR_TIMEOUT);
    assert_true(fs_exists(ticket));
    close(fd);
    own_group_leave(enter(&request, ERR_NONE));
    assert_false(fs_exists(ticket));
}

static void makes_a_directory_of_its_own(void **state)
{
    CLEANUP_STRVEC struct strvec heard = {0};
    struct own_group_request request = request_of("g", "run1", &heard);
    CLEANUP_FREE char *dir = xasprintf("%s/.local/state/runner/groups", home);
    struct stat st;

    (void)state;
    own_group_leave(enter(&request, ERR_NONE));
    assert_int_equal(0, stat(dir, &st));
    assert_int_equal(st.st_mode & 0777, 0700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_in_one_at_a_time),
        cmocka_unit_test(refuses_to_wait_for_itself),
        cmocka_unit_test(passes_over_the_dead),
        cmocka_unit_test(a_dead_ticket_is_removed_by_one),
        cmocka_unit_test(makes_a_directory_of_its_own),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
