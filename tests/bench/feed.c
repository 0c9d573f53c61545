/* What it costs to follow a run: one that prints lines, and many subscribers of it.
 *
 *     feed_bench [SUBSCRIBERS [LINES_PER_SECOND [SECONDS]]]
 *
 * Prints the processor time of the whole process, as percent of one processor, and its largest
 * resident memory; and the same of a run that nobody follows, to be subtracted. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "feed/feed.h"
#include "record/writer.h"

struct client {
    struct feed_subscriber *subscriber;
    struct client *next_woken;
    bool ended;
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct client *woken;
static uint64_t bytes;
static uint64_t chunks;

static void fail(const struct err *err)
{
    fprintf(stderr, "feed_bench: %s\n", err->message);
    exit(1);
}

static double seconds_of(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void wake(void *arg)
{
    struct client *c = arg;

    pthread_mutex_lock(&mu);
    c->next_woken = woken;
    woken = c;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&mu);
}

static struct client *next_woken(void)
{
    struct client *c;

    pthread_mutex_lock(&mu);
    while (!woken)
        pthread_cond_wait(&changed, &mu);
    c = woken;
    woken = c->next_woken;
    pthread_mutex_unlock(&mu);
    return c;
}

static void serve(size_t left)
{
    while (left > 0) {
        struct client *c = next_woken();
        struct feed_chunk *chunk;
        enum feed_got got;

        while ((got = feed_next(c->subscriber, &chunk)) == FEED_CHUNK) {
            for (size_t i = 0; i < feed_chunk_count(chunk); i++) {
                size_t size;

                feed_chunk_message(chunk, i, &size);
                bytes += size;
            }
            chunks++;
            feed_chunk_unref(chunk);
        }
        if (got == FEED_END && !c->ended) {
            c->ended = true;
            left--;
        }
    }
}

struct run {
    const char *runs;
    unsigned rate;
    unsigned seconds;
};

static void *print(void *arg)
{
    const struct run *run = arg;
    struct record_writer *writer;
    struct node root = {.name = "bench"};
    struct event_bus bus = EVENT_BUS_INIT;
    const struct record_options options = {.runs_dir = run->runs, .run_id = "bench"};
    const struct record_end end = {.root = &root};
    struct err err = ERR_INIT;
    struct timespec at;

    if (record_create(&options, &writer, &err) < 0)
        fail(&err);
    event_bus_add(&bus, record_sink(writer));
    clock_gettime(CLOCK_MONOTONIC, &at);
    for (unsigned i = 0; i < run->rate * run->seconds; i++) {
        char line[120];
        struct event event = {.type = EVENT_LOG, .node = &root, .data = line};

        event.size = (size_t)
            snprintf(line, sizeof(line),
                     "2026-01-02T03:04:05.678Z [%u/512] compiling src/module/file_%x.c: %u ms\n",
                     i % 512, i * 7919, i % 4001);
        event_bus_emit(&bus, &event);
        at.tv_nsec += 1000000000 / run->rate;
        if (at.tv_nsec >= 1000000000) {
            at.tv_sec++;
            at.tv_nsec -= 1000000000;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }
    if (record_finish(writer, &end, &err) < 0)
        fail(&err);
    return NULL;
}

static void measure(const struct run *run, size_t count)
{
    const struct feed_options options = {.runs_dir = run->runs, .headroom = 16};
    struct client *clients = calloc(count + 1, sizeof(*clients));
    struct feed *feed;
    struct err err = ERR_INIT;
    struct rusage usage;
    double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    double wall = seconds_of(CLOCK_MONOTONIC);
    pthread_t thread;

    bytes = chunks = 0;
    if (feed_new(&options, &feed, &err) < 0)
        fail(&err);
    for (size_t i = 0; i < count; i++) {
        const struct feed_subscription subscription = {.run_id = "bench",
                                                       .format = (enum feed_format)(i % 2),
                                                       .wake = wake,
                                                       .wake_arg = &clients[i]};

        if (feed_subscribe(feed, &subscription, &clients[i].subscriber, &err) < 0)
            fail(&err);
    }
    pthread_create(&thread, NULL, print, (void *)run);
    serve(count);
    pthread_join(thread, NULL);
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds_of(CLOCK_MONOTONIC) - wall;
    getrusage(RUSAGE_SELF, &usage);
    printf("%5zu subscribers: %5.2f %% of a processor, %6.1f MB resident; given: %.0f chunks and "
           "%.2f MB a second\n",
           count, 100 * cpu / wall, (double)usage.ru_maxrss / 1024, (double)chunks / wall,
           (double)bytes / 1e6 / wall);
    for (size_t i = 0; i < count; i++)
        feed_unsubscribe(clients[i].subscriber);
    feed_free(feed);
    free(clients);
    if (record_remove(run->runs, "bench", &err) < 0)
        fail(&err);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/feed_bench.XXXXXX";
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    struct run run = {.rate = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 200,
                      .seconds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 10};

    run.runs = mkdtemp(dir);
    if (!run.runs || !run.rate)
        return 1;
    measure(&run, 0);
    measure(&run, count);
    return fs_remove_tree(dir, NULL) < 0;
}
