/* How fast the output of a run gets into its record, from the event bus to the files.
 *
 *     record_write [DIRECTORY [MEGABYTES]]
 *
 * Prints for several sizes of events, made of lines of a log of about 100 bytes: megabytes a
 * second, processor time for a megabyte in the thread that emits and in all, and what is left of
 * them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "record/log.h"
#include "record/writer.h"

enum { POOL = 8 << 20 };

static int64_t clock_ns(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Lines as builds and tests print them: alike, with numbers and names that change. */
static void make_lines(struct buf *pool)
{
    static const char *const verbs[] = {"compiling", "linking", "checking", "downloading"};
    unsigned number = 1;

    while (pool->len < POOL) {
        number = number * 1664525 + 1013904223;
        buf_addf(pool,
                 "2026-01-02T03:04:%02u.%03uZ [%u/%u] %s src/module_%u/file_%x.c: %u ms, %u kB\n",
                 number >> 8 & 63, number >> 14 & 1023, number >> 20 & 511, 512,
                 verbs[number >> 30], number >> 22 & 63, number, number >> 10 & 4095,
                 number >> 5 & 8191);
    }
}

static void run_size(const struct buf *pool, const char *dir, size_t size, size_t total)
{
    struct record_writer *writer;
    struct node root = {.name = "bench"};
    struct event_bus bus = EVENT_BUS_INIT;
    const struct record_options options = {.runs_dir = dir, .run_id = "bench"};
    const struct record_end end = {.root = &root};
    struct err err = ERR_INIT;
    struct ctx ctx;
    struct record *record;
    struct record_log *log;
    struct record_log_totals totals;
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    int64_t all = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    int64_t own = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    size_t at = 0;
    double megabytes;

    ctx_init_cleanup(&ctx, 600000);
    if (record_create(&options, &writer, &err) < 0)
        goto failed;
    event_bus_add(&bus, record_sink(writer));
    for (size_t sum = 0; sum < total;) {
        struct event event = {.type = EVENT_LOG, .node = &root, .data = pool->data + at};
        const char *newline;

        if (at + size > pool->len) {
            at = 0;
            continue;
        }
        newline = memrchr(event.data, '\n', size);
        event.size = (size_t)(newline - event.data) + 1;
        event_bus_wait_for_room(&bus, &ctx);
        event_bus_emit(&bus, &event);
        at += event.size;
        sum += event.size;
    }
    own = clock_ns(CLOCK_THREAD_CPUTIME_ID) - own;
    if (record_finish(writer, &end, &err) < 0)
        goto failed;
    start = clock_ns(CLOCK_MONOTONIC) - start;
    all = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - all;
    if (record_open(dir, "bench", &record, &err) < 0)
        goto failed;
    record_log_open(record, NULL, &log);
    if (record_log_totals(log, &totals, &err) < 0)
        goto failed;
    megabytes = (double)totals.bytes / 1e6;
    printf("%6zu bytes: %5.0f MB/s, %.2f ms/MB of processor time (%.2f where it is emitted), %.0f "
           "%% left\n",
           size, megabytes * 1e9 / (double)start, (double)all / 1e6 / megabytes,
           (double)own / 1e6 / megabytes,
           100.0 * (double)totals.stored_bytes / (double)totals.bytes);
    record_log_close(log);
    record_close(record);
    if (record_remove(dir, "bench", &err) == 0)
        return;
failed:
    fprintf(stderr, "record_write: %s\n", err.message);
    exit(1);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {200, 1024, 4096, 16384, 65536};
    char temporary[] = "/tmp/record_write.XXXXXX";
    const char *parent = argc > 1 ? argv[1] : mkdtemp(temporary);
    size_t total = (size_t)(argc > 2 ? strtoul(argv[2], NULL, 10) : 400) * 1000000;
    CLEANUP_BUF struct buf pool = BUF_INIT;

    make_lines(&pool);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        run_size(&pool, parent, sizes[i], total);
    if (parent == temporary)
        rmdir(temporary);
    return 0;
}
