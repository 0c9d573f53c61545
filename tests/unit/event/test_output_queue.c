#include "tests/unit/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "base/fs.h"
#include "event/output_queue.h"

static void order_is_kept_and_nothing_is_lost(void **state)
{
    char path[] = "/tmp/runner-unit.XXXXXX";
    int fd = mkstemp(path);
    int other = open(path, O_WRONLY | O_APPEND);
    struct output_queue *queue;
    struct err err = ERR_INIT;
    CLEANUP_BUF struct buf expected = BUF_INIT;
    CLEANUP_BUF struct buf got = BUF_INIT;

    (void)state;
    assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
    assert_int_equal(output_queue_new(&queue, &err), 0);
    for (int i = 0; i < 50000; i++) {
        buf_addf(&expected, "%d\n", i);
        buf_addf(output_queue_begin(queue), "%d\n", i);
        output_queue_commit(queue, i % 3 == 0 ? other : fd);
    }
    assert_int_equal(output_queue_finish(queue, &err), 0);
    assert_int_equal(fs_read_file(path, 1 << 20, &got, &err), 0);
    assert_string_equal(got.data, expected.data);
    close(fd);
    close(other);
    unlink(path);
}

static void room_is_told_and_nothing_blocks(void **state)
{
    struct output_queue *queue;
    struct pollfd room = {.events = POLLIN};
    struct ctx ctx;
    char block[65536];
    int ends[2];
    size_t added = 0;
    size_t total = 0;
    ssize_t got;

    (void)state;
    memset(block, 'x', sizeof(block));
    assert_int_equal(ctx_init_root(&ctx, NULL, NULL), 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(output_queue_new(&queue, NULL), 0);
    assert_int_equal(output_queue_room_fd(queue), -1);
    /* The writer takes some before it blocks on the pipe; what comes then piles up. How much it
     * takes, and when, is a matter of time. */
    do {
        while (output_queue_room_fd(queue) < 0 && added < 1000 * sizeof(block)) {
            output_queue_add(queue, ends[1], block, sizeof(block));
            added += sizeof(block);
        }
        room.fd = output_queue_room_fd(queue);
        assert_true(room.fd >= 0 || added < 1000 * sizeof(block));
    } while (room.fd < 0 || ctx_poll(&ctx, &room, 1, 50, NULL) == 1);
    /* The pipe may have taken the first block whole, which is all that fits into it. */
    assert_in_range(output_queue_unwritten(queue), added - sizeof(block), added);
    while (total < added && (got = read(ends[0], block, sizeof(block))) > 0)
        total += (size_t)got;
    assert_int_equal(ctx_poll(&ctx, &room, 1, -1, NULL), 1);
    assert_int_equal(output_queue_room_fd(queue), -1);
    ctx_set_timeout(&ctx, 10000, "test");
    assert_int_equal(output_queue_drain(queue, &ctx), 0);
    assert_int_equal(output_queue_unwritten(queue), 0);
    assert_int_equal(output_queue_finish(queue, NULL), 0);
    close(ends[0]);
    close(ends[1]);
    ctx_release(&ctx);
}

struct collector {
    struct output_writer writer;
    size_t collected;
    int ends[2]; /* how much each batch was */
};

static int collect(struct output_writer *writer, int fd, char *data, size_t size, struct err *err)
{
    (void)fd;
    (void)data;
    (void)err;
    ((struct collector *)writer)->collected += size;
    return 0;
}

static int end_batch(struct output_writer *writer, struct err *err)
{
    struct collector *c = (struct collector *)writer;
    size_t size = c->collected;

    c->collected = 0;
    if (write(c->ends[1], &size, sizeof(size)) == sizeof(size))
        return 0;
    return err_errno(err, "pipe");
}

static size_t next_batch(const struct collector *c)
{
    size_t size;

    assert_int_equal(read(c->ends[0], &size, sizeof(size)), sizeof(size));
    return size;
}

static void a_writer_that_waits_gets_batches(void **state)
{
    struct collector c = {
        .writer = {.write = collect, .flush = end_batch, .enough = 1000, .delay_ms = 3600 * 1000}};
    struct output_queue *queue;

    (void)state;
    assert_int_equal(pipe2(c.ends, O_CLOEXEC), 0);
    assert_int_equal(output_queue_new_for(&c.writer, &queue, NULL), 0);
    for (int i = 0; i < 100; i++) {
        if (i == 50)
            usleep(5000); /* time for a mistake, which then gives two batches */
        output_queue_add(queue, i % 2, "0123456789", 10);
    }
    assert_int_equal(next_batch(&c), 1000);
    output_queue_add(queue, 0, "rest", 4);
    assert_int_equal(output_queue_finish(queue, NULL), 0);
    assert_int_equal(next_batch(&c), 4);
    c.writer.delay_ms = 1;
    assert_int_equal(output_queue_new_for(&c.writer, &queue, NULL), 0);
    output_queue_add(queue, 0, "late", 4);
    assert_int_equal(next_batch(&c), 4);
    assert_int_equal(output_queue_finish(queue, NULL), 0);
    close(c.ends[0]);
    close(c.ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_kept_and_nothing_is_lost),
        cmocka_unit_test(room_is_told_and_nothing_blocks),
        cmocka_unit_test(a_writer_that_waits_gets_batches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
