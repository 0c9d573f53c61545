/* How `helper relay` ends, and what it serves with it: leases that run out, a runner that quits,
 * and deadlines of programs whose runner is away. */
#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "fixture/rig.h"

static int set_up(void **state)
{
    (void)state;
    return rig_set_up(helper_architecture());
}

static int tear_down(void **state)
{
    (void)state;
    return rig_tear_down();
}

/* --- lease --- */

static void assert_gone(const char *pids, size_t count)
{
    char *end;

    for (size_t i = 0; i < count; i++) {
        long pid = strtol(pids, &end, 10);

        assert_true(pid > 1);
        assert_int_equal(kill((pid_t)pid, 0), -1);
        assert_int_equal(errno, ESRCH);
        pids = end;
    }
}

/* One in the foreground that ignores signals, one in a session of its own, one forked twice. */
static const char escapees[] = "trap '' TERM HUP INT; "
                               "setsid sh -c 'trap \"\" TERM HUP; echo $$; exec sleep 1000' & "
                               "(sh -c 'echo $$; exec sleep 1000' & ) & "
                               "(setsid sh -c '(echo $$; exec sleep 1000) & ' & ) & "
                               "echo $$; while :; do sleep 1; done";

static size_t line_count(const struct buf *text)
{
    size_t count = 0;

    for (size_t i = 0; i < text->len; i++)
        count += text->data[i] == '\n';
    return count;
}

static void start_escapees(struct rig *rig)
{
    rig_connect(rig);
    rig_run(rig, escapees);
    while (line_count(&rig->output[0]) < 4)
        assert_true(rig_move_all(rig));
}

static void the_end_of_the_lease_ends_everything(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    start_escapees(&rig);
    channel_renew(&rig.channel, 300);
    while (rig_move_all(&rig))
        ;
    assert_int_equal(rig_wait_for(rig.relay), HELPER_EXIT_ABANDONED);
    assert_gone(rig.output[0].data, 4);
    rig_release(&rig);
}

static void so_does_that_of_one_nobody_came_to(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 200);
    assert_int_equal(rig_wait_for(rig.relay), HELPER_EXIT_ABANDONED);
    rig_release(&rig);
}

static int run_in_tree(const char *command, const char *tree)
{
    CLEANUP_FREE char *directory = xasprintf("%s/relay", tree);
    char *const argv[] = {rig_program, (char *)command, directory, "100", (char *)tree, NULL};

    return rig_wait_for(rig_start_program(argv, NULL));
}

static void the_last_removes_what_they_share(void **state)
{
    char tree[] = "/tmp/test-tree-XXXXXX", kept[] = "/tmp/test-kept-XXXXXX";
    CLEANUP_FREE char *link = NULL;
    CLEANUP_FREE char *deep = NULL;
    CLEANUP_FREE char *file = NULL;
    int held;

    (void)state;
    assert_non_null(mkdtemp(tree));
    assert_non_null(mkdtemp(kept));
    link = xasprintf("%s/link", tree);
    deep = xasprintf("%s/a/b", tree);
    file = xasprintf("%s/\xff odd", deep);
    assert_int_equal(fs_mkdir_p(deep, 0755, NULL), 0);
    assert_int_equal(fs_write_file(file, "x", 1, 0400, NULL), 0);
    assert_int_equal(symlink(kept, link), 0);
    assert_int_equal(chmod(deep, 0500), 0);
    held = open(tree, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(held, LOCK_SH), 0);
    assert_int_equal(run_in_tree("relay", tree), HELPER_EXIT_ABANDONED);
    assert_int_equal(access(file, F_OK), 0);
    close(held);
    assert_int_equal(run_in_tree("relay", tree), HELPER_EXIT_ABANDONED);
    assert_int_equal(access(tree, F_OK), -1);
    assert_int_equal(rmdir(kept), 0);
    assert_int_equal(run_in_tree("lane", tree), HELPER_EXIT_CANNOT);
}

static void a_lease_is_renewed(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 3000);
    rig_connect(&rig);
    rig_sync(&rig);
    rig_run(&rig, "sleep 3.5; echo still there");
    rig_finish(&rig);
    assert_string_equal(rig.output[0].data, "still there\n");
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

static void quitting_ends_everything(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    start_escapees(&rig);
    assert_int_equal(rig_quit(&rig), 0);
    assert_gone(rig.output[0].data, 4);
    rig_release(&rig);
}

/* The end of the rig_program is not stuck in output that nobody takes, and its files go. */
static void quitting_ends_what_is_stuck(void **state)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    struct rig rig;
    size_t to = RIG_ALL, from = 20000;
    CLEANUP_FREE char *path = xasprintf("%s.files/data", rig_program);

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    rig_begin_reply(&rig);
    rig_begin_script(&request, "exec cat /dev/zero");
    helper_request_string(&request, HELPER_DIRECTORY, rig_files_name());
    helper_request_file(&request, "data", "a", 1, false);
    rig_ask(&rig, &request);
    while (from > 0)
        assert_true(rig_move(&rig, &to, &from));
    rig_cut(&rig);
    assert_true(fs_exists(path));
    assert_int_equal(rig_quit(&rig), 0);
    assert_false(fs_exists(path));
    rig_release(&rig);
}

/* --- deadlines --- */

enum { SOON_MS = 250, LATE_MS = 100000 };

static void ask_until(struct rig *rig, const char *script, int64_t deadline_ms, int64_t grace_ms)
{
    CLEANUP_BUF struct buf request = BUF_INIT;

    rig_begin_reply(rig);
    rig_begin_script(&request, script);
    helper_request_deadline(&request, deadline_ms, grace_ms);
    rig_ask(rig, &request);
}

/* Whether the program that has ended had come as far as that: a machine may be slower than a
 * deadline, which then has to be a later one. */
static bool had_said(const struct rig *rig, const char *output)
{
    return strncmp(rig->output[0].len ? rig->output[0].data : "", output, strlen(output)) == 0;
}

static void a_deadline_holds_without_a_runner(void **state)
{
    static const char script[] = "trap '' TERM; echo begun; while :; do sleep 0.05; done";
    struct rig rig;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    for (int64_t ms = 2 * SOON_MS; ms < LATE_MS; ms *= 4) {
        if (rig.attach)
            rig_cut(&rig);
        ask_until(&rig, script, ms, 100);
        rig_connect(&rig);
        while (channel_pending(&rig.channel))
            assert_true(rig_move_all(&rig));
        rig_cut(&rig);
        rig_connect(&rig);
        rig_finish(&rig);
        if (had_said(&rig, "begun\n"))
            break;
    }
    assert_string_equal(rig.output[0].data, "begun\n");
    assert_true(helper_reply_timed_out(&rig.reply));
    assert_int_equal(helper_reply_code(&rig.reply), 128 + SIGKILL);
    rig_run(&rig, "echo next");
    rig_finish(&rig);
    assert_false(helper_reply_timed_out(&rig.reply));
    assert_string_equal(rig.output[0].data, "next\n");
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

static void a_deadline_is_told_from_an_end(void **state)
{
    static const struct {
        const char *script;
        int64_t deadline_ms, grace_ms; /* 0: as soon as it has said that it is up */
        bool timed_out;
        int code;
        const char *output;
    } cases[] = {
        {"exit 9", RIG_LONG_MS, RIG_LONG_MS, false, 9, ""},
        {"sleep 1000", 50, RIG_LONG_MS, true, 128 + SIGTERM, ""},
        {"trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done", 0, RIG_LONG_MS,
         true, 128 + SIGTERM, "up\nbye\n"},
        {"trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.05; done", 0, RIG_LONG_MS,
         true, 4, "up\nbye\n"},
        {"setsid sh -c 'echo up; exec sleep 1000'; echo ended", 0, RIG_LONG_MS, true, 128 + SIGTERM,
         "up\n"},
        {"trap : TERM; setsid sh -c 'trap \"echo bye; exit\" TERM; echo up; "
         "while :; do sleep 0.05; done' & wait || wait || wait; echo over; exit 7",
         0, RIG_LONG_MS, true, 7, "up\nbye\nover\n"},
        {"trap '' TERM; echo up; while :; do sleep 0.05; done", 0, 0, true, 128 + SIGKILL, "up\n"},
    };
    struct rig rig;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int64_t deadline_ms = cases[i].deadline_ms ? cases[i].deadline_ms : SOON_MS;

        do {
            ask_until(&rig, cases[i].script, deadline_ms, cases[i].grace_ms);
            rig_finish(&rig);
            deadline_ms *= 4;
        } while (!cases[i].deadline_ms && deadline_ms < LATE_MS && !had_said(&rig, "up\n"));
        assert_int_equal(helper_reply_timed_out(&rig.reply), cases[i].timed_out);
        assert_int_equal(helper_reply_code(&rig.reply), cases[i].code);
        assert_string_equal(rig.output[0].len ? rig.output[0].data : "", cases[i].output);
    }
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

/* --- another architecture --- */

/* Not those of what detaches itself: the emulator makes nobody a subreaper. */
static void works_on_another_architecture(void **state)
{
    if (!*state)
        skip();
    so_does_that_of_one_nobody_came_to(NULL);
    a_deadline_holds_without_a_runner(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_the_lease_ends_everything),
        cmocka_unit_test(so_does_that_of_one_nobody_came_to),
        cmocka_unit_test(the_last_removes_what_they_share),
        cmocka_unit_test(a_lease_is_renewed),
        cmocka_unit_test(quitting_ends_everything),
        cmocka_unit_test(quitting_ends_what_is_stuck),
        cmocka_unit_test(a_deadline_holds_without_a_runner),
        cmocka_unit_test(a_deadline_is_told_from_an_end),
    };
    const struct CMUnitTest foreign[] = {
        cmocka_unit_test(works_on_another_architecture),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);

    return failed + cmocka_run_group_tests(foreign, rig_set_up_foreign, rig_tear_down_foreign);
}
