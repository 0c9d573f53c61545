/* record/: whatever was cut off or damaged, what is given is what was written, and the rest is
 * told. */
#include "tests/unit/record/rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/log_writer.h"

enum { BLOCKS = 6, ITEMS = 3 * BLOCKS };

static int edit(const struct rig *r, const char *name, int flags)
{
    CLEANUP_FREE char *path = xasprintf("%s/" RUN "/%s", r->runs, name);
    int fd = open(path, flags | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static size_t size_of(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return (size_t)st.st_size;
}

static void item_text(uint64_t seq, struct buf *out)
{
    buf_reset(out);
    buf_addf(out, "line %d\n", (int)seq);
    /* Some is compressed, some is not. */
    for (uint64_t i = 0; i < (seq % 4) * 20; i++)
        buf_addch(out, '.');
}

static void add_item(struct log_writer *w, uint64_t seq)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_BUF struct buf records = BUF_INIT;
    struct format_record header = {.time_ms = (int64_t)seq, .node_size = 3};

    item_text(seq, &text);
    header.size = (uint32_t)text.len;
    buf_add(&records, &header, sizeof(header));
    buf_addstr(&records, "0.1");
    buf_add(&records, text.data, text.len);
    assert_ok(log_writer_add(w, records.data, records.len, 7, &test_err));
}

/* A record that has ended, with a log of small blocks. */
static void write_blocks(struct rig *r)
{
    struct log_writer w;
    int log_fd;
    int index_fd;

    rig_create(r, 0);
    assert_ok(rig_finish(r));
    log_fd = edit(r, "log", O_RDWR | O_TRUNC);
    index_fd = edit(r, "log.index", O_RDWR | O_TRUNC);
    log_writer_init(&w, log_fd, index_fd, 1 << 20);
    for (uint64_t seq = 1; seq <= ITEMS; seq++) {
        add_item(&w, seq);
        if (seq % (ITEMS / BLOCKS) == 0)
            assert_ok(log_writer_flush(&w, &test_err));
    }
    assert_ok(log_writer_finish(&w, &test_err));
    log_writer_release(&w);
    close(log_fd);
    close(index_fd);
}

struct seen {
    unsigned items;
    unsigned damaged;
    uint64_t last;
};

/* Every item that comes is one that was written, and comes once. */
static struct seen look(const struct rig *r)
{
    CLEANUP_RECORD struct record *record = rig_open(r);
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct record_item item;
    struct seen seen = {0};
    enum record_got got;

    record_log_open(record, NULL, &log);
    while ((got = record_log_next(log, &item, &test_err)) != RECORD_END) {
        if (got == RECORD_DAMAGED) {
            seen.damaged++;
            assert_message(RUN "/log");
            continue;
        }
        assert_int_equal(got, RECORD_ITEM);
        assert_true(item.seq > seen.last && item.seq <= ITEMS);
        item_text(item.seq, &text);
        assert_int_equal(item.size, text.len);
        assert_memory_equal(item.data, text.data, text.len);
        seen.last = item.seq;
        seen.items++;
    }
    return seen;
}

static void an_index_that_ends_anywhere(void **state)
{
    struct rig *r = *state;
    CLEANUP_FD int fd = -1;

    write_blocks(r);
    fd = edit(r, "log.index", O_RDWR);
    assert_int_equal(size_of(fd), BLOCKS * sizeof(struct format_entry));
    for (size_t size = size_of(fd) + 1; size-- > 0;) {
        struct seen seen;

        assert_int_equal(ftruncate(fd, (off_t)size), 0);
        seen = look(r);
        assert_int_equal(seen.items, size / sizeof(struct format_entry) * (ITEMS / BLOCKS));
        assert_int_equal(seen.last, seen.items);
        assert_int_equal(seen.damaged, 0);
    }
}

/* Where the machine, not the writer, went down. */
static void a_log_that_ends_anywhere(void **state)
{
    struct rig *r = *state;
    CLEANUP_FD int fd = -1;

    write_blocks(r);
    fd = edit(r, "log", O_RDWR);
    for (size_t size = size_of(fd) + 1; size-- > 0;) {
        struct seen seen;

        assert_int_equal(ftruncate(fd, (off_t)size), 0);
        seen = look(r);
        assert_int_equal(seen.last, seen.items);
        assert_int_equal(seen.items + seen.damaged * (ITEMS / BLOCKS), ITEMS);
    }
}

static void flip_every_byte(struct rig *r, const char *name)
{
    CLEANUP_FD int fd = -1;
    size_t size;

    write_blocks(r);
    fd = edit(r, name, O_RDWR);
    size = size_of(fd);
    for (size_t at = 0; at < size; at++) {
        struct seen seen;
        char byte;

        assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
        byte ^= 0x41;
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
        seen = look(r);
        assert_int_equal(seen.damaged, 1);
        assert_int_equal(seen.items, ITEMS - ITEMS / BLOCKS);
        byte ^= 0x41;
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    }
}

static void a_damaged_block_is_told_and_left_out(void **state)
{
    struct rig *r = *state;

    flip_every_byte(r, "log");
    assert_message("/log: the block at ");
    assert_message("is damaged: items 16 to 18 are missing");
}

static void a_damaged_entry_is_told_and_left_out(void **state)
{
    struct rig *r = *state;

    flip_every_byte(r, "log.index");
    assert_message("/log.index: entry 5 is damaged");
}

/* Seeking finds its way around an entry that is damaged. */
static void seeking_among_damage(void **state)
{
    struct rig *r = *state;
    CLEANUP_FD int fd = -1;

    write_blocks(r);
    fd = edit(r, "log.index", O_RDWR);
    for (uint64_t bad = 0; bad < BLOCKS; bad++) {
        off_t at = (off_t)(bad * sizeof(struct format_entry));
        char byte;

        assert_int_equal(pread(fd, &byte, 1, at), 1);
        assert_int_equal(pwrite(fd, "?", 1, at), 1);
        for (uint64_t seq = 1; seq <= ITEMS; seq++) {
            CLEANUP_RECORD struct record *record = rig_open(r);
            CLEANUP_RECORD_LOG struct record_log *log = NULL;
            struct record_item item;
            enum record_got got;

            if ((seq - 1) / (ITEMS / BLOCKS) == bad)
                continue;
            record_log_open(record, NULL, &log);
            assert_ok(record_log_seek_seq(log, seq, &test_err));
            while ((got = record_log_next(log, &item, &test_err)) == RECORD_DAMAGED)
                ;
            assert_int_equal(got, RECORD_ITEM);
            assert_int_equal(item.seq, seq);
        }
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
}

/* --- a writer that is killed --- */

static void write_until_killed(struct rig *r, int ready)
{
    char line[200];

    rig_create(r, 0);
    node_set_state(&r->bus, &r->root, STATE_RUNNING, NULL);
    if (write(ready, "", 1) != 1)
        _exit(1);
    memset(line, '.', sizeof(line));
    for (unsigned i = 0;; i++) {
        snprintf(line, 12, "%010u:", i);
        line[11] = 'x';
        line[sizeof(line) - 1] = '\n';
        event_bus_wait_for_room(&r->bus, &test_ctx);
        rig_print_sized(r, rig_node(r, 0, 1, 0), EVENT_STDOUT, line, sizeof(line), false);
        if (i % 1000 == 0)
            event_bus_note(&r->bus, &r->root, "%u", i);
    }
}

static int check_event(void *arg, const struct record_event *event)
{
    uint64_t *last = arg;

    assert_int_equal(event->seq, ++*last);
    return 0;
}

/* A prefix of what it wrote, and notes that come no sooner than what was before them. */
static void check_killed(const struct rig *r)
{
    CLEANUP_RECORD struct record *record = rig_open(r);
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    struct record_item item;
    uint64_t events = 0;
    uint64_t notes = 0;
    unsigned next = 0;

    assert_false(record_is_written(record));
    record_log_open(record, NULL, &log);
    while (record_log_next(log, &item, &test_err) == RECORD_ITEM) {
        if (item.stream == RECORD_NOTE) {
            notes++;
            continue;
        }
        assert_int_equal(item.size, 200);
        assert_int_equal(strtoul(item.data, NULL, 10), next++);
    }
    assert_int_equal(record_log_next(log, &item, &test_err), RECORD_END);
    assert_ok(record_events_read(record, 0, check_event, &events, &test_err));
    /* The beginning, the plan, the start, and those. */
    assert_true(events <= notes + 3);
}

static void killed_at_any_time(void **state)
{
    struct rig *r = *state;

    for (int i = 0; i < 12; i++) {
        int ready[2];
        char byte;
        pid_t child;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            write_until_killed(r, ready[1]);
        close(ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        usleep((useconds_t)(i * i * 700));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        check_killed(r);
        assert_ok(record_remove(r->runs, RUN, &test_err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_index_that_ends_anywhere, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_log_that_ends_anywhere, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_damaged_block_is_told_and_left_out, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(a_damaged_entry_is_told_and_left_out, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(seeking_among_damage, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(killed_at_any_time, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
