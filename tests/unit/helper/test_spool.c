/* What a relay does with output that nobody takes. */
#include "../test.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
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

static int64_t spool_size(const struct rig *rig, int64_t *ret_on_disk)
{
    CLEANUP_FREE char *path = xasprintf("%s/spool", rig->directory);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    *ret_on_disk = (int64_t)st.st_blocks * 512;
    return st.st_size;
}

static char next_number[16];
static size_t next_len, next_at;

/* The output of seq, from 1 on. */
static int check_numbers(void *arg, const char *data, size_t len, struct err *err)
{
    (void)arg;
    (void)err;
    for (size_t i = 0; i < len; i++) {
        if (data[i] != next_number[next_at])
            fail_msg("there is something else than %s", next_number);
        if (next_number[next_at++] != '\n')
            continue;
        next_at = next_len - 1;
        while (next_at > 0 && next_number[next_at - 1] == '9')
            next_number[--next_at] = '0';
        if (next_at > 0) {
            next_number[next_at - 1]++;
        } else {
            memmove(next_number + 1, next_number, next_len++);
            next_number[0] = '1';
        }
        next_at = 0;
    }
    return 0;
}

static void expect_numbers(struct rig *rig)
{
    memcpy(next_number, "1\n", 3);
    next_len = 2;
    next_at = 0;
    rig->check = check_numbers;
}

/* Lets a rig_program write without a reader, until it has to wait. */
static void fill(struct rig *rig, int64_t full)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    int64_t size, on_disk;

    rig_connect(rig);
    while (channel_pending(&rig->channel))
        assert_true(rig_move_all(rig));
    rig_cut(rig);
    while ((size = spool_size(rig, &on_disk)) < full)
        nanosleep(&pause, NULL);
    /* There are no holes in it. */
    assert_true(on_disk + (1 << 20) >= size);
}

static void a_program_waits_for_its_reader(void **state)
{
    const int64_t max = HELPER_RELAY_SPOOL_MAX;
    struct rig rig;
    int64_t on_disk;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    rig_run(&rig, "exec seq 1 25000000");
    expect_numbers(&rig);
    fill(&rig, max);
    rig_connect(&rig);
    while (!helper_reply_done(&rig.reply)) {
        assert_true(rig_move_all(&rig));
        assert_true(spool_size(&rig, &on_disk) <= max);
        assert_true(on_disk <= max + (1 << 20));
    }
    assert_true(rig.delivered > 200000000);
    assert_memory_equal(next_number, "25000001\n", 9);
    rig_sync(&rig);
    assert_int_equal(spool_size(&rig, &on_disk), 0);
    assert_int_equal(on_disk, 0);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

/* Over which nothing is received. */
static void a_silent_connection_is_not_waited_for(void **state)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    struct rig rig;
    int64_t on_disk;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    rig_run(&rig, "exec seq 1 1500000");
    expect_numbers(&rig);
    rig_connect(&rig);
    while (channel_pending(&rig.channel))
        assert_true(rig_move_all(&rig));
    while (spool_size(&rig, &on_disk) < 5 << 20)
        nanosleep(&pause, NULL);
    rig_finish(&rig);
    assert_memory_equal(next_number, "1500001\n", 8);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

/* Two of them, so that the second begins where the file did not. */
static void the_spool_begins_anew(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    for (int i = 0; i < 2; i++) {
        rig_run(&rig, "exec seq 1 1500000");
        expect_numbers(&rig);
        fill(&rig, 5 << 20);
        assert_true(rig_finish_with_cuts(&rig, 40, 150000) <= 0);
        assert_memory_equal(next_number, "1500001\n", 8);
        if (rig.attach)
            rig_cut(&rig);
    }
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

static void mount_small(const struct rig *rig)
{
    if (unshare(CLONE_NEWNS) < 0)
        skip();
    assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    assert_int_equal(mount("none", rig->directory, "tmpfs", 0, "size=256k"), 0);
}

static void a_full_disk_makes_it_wait(void **state)
{
    struct rig rig;

    (void)state;
    rig_make(&rig);
    mount_small(&rig);
    rig_relay(&rig, RIG_LONG_MS);
    for (int i = 0; i < 2; i++) {
        if (rig.attach)
            rig_cut(&rig);
        rig_run(&rig, "exec seq 1 1500000");
        expect_numbers(&rig);
        fill(&rig, 200 << 10);
        rig_connect(&rig);
        rig_finish(&rig);
        assert_memory_equal(next_number, "1500001\n", 8);
    }
    assert_int_equal(rig_quit(&rig), 0);
    assert_int_equal(umount(rig.directory), 0);
    rig_release(&rig);
}

static void one_that_was_full_before_does_not_stop_it(void **state)
{
    CLEANUP_FREE char *script = NULL;
    struct rig rig;

    (void)state;
    rig_make(&rig);
    mount_small(&rig);
    rig_relay(&rig, RIG_LONG_MS);
    script = xasprintf("cat /dev/zero >%s/full 2>/dev/null; exec seq 1 1500000", rig.directory);
    rig_run(&rig, script);
    expect_numbers(&rig);
    rig_connect(&rig);
    rig_finish(&rig);
    assert_memory_equal(next_number, "1500001\n", 8);
    assert_int_equal(rig_quit(&rig), 0);
    assert_int_equal(umount(rig.directory), 0);
    rig_release(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_waits_for_its_reader),
        cmocka_unit_test(a_silent_connection_is_not_waited_for),
        cmocka_unit_test(the_spool_begins_anew),
        cmocka_unit_test(a_full_disk_makes_it_wait),
        cmocka_unit_test(one_that_was_full_before_does_not_stop_it),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
