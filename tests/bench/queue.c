/* How fast a queue accepts and starts.
 *
 *     queue_bench DIR [URL]
 *
 * Prints, with a history in DIR and a store in it, or in the PostgreSQL database URL: milliseconds
 * from a submission to the launcher being asked for it, when nothing else goes on (the median and
 * the worst of many); and submissions a second by 1, 8 and 32 threads while none is started. What
 * the launcher is asked for is refused, so that a run costs nothing. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "queue/queue.h"

enum { ROUNDS = 200, SUBMITS = 2000, THREADS_MAX = 32 };

static struct err err;
static struct ctx ctx;
static struct queue *queue;

/* The launcher: notes when it was asked, and refuses. */
static struct {
    pthread_mutex_t mu;
    pthread_cond_t asked;
    char id[OWN_RUN_ID_SIZE];
    int64_t asked_ns;
    bool told;
    bool silent;
    int event_fd;
} launcher = {.mu = PTHREAD_MUTEX_INITIALIZER, .asked = PTHREAD_COND_INITIALIZER};

static int64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void must(int status)
{
    if (status < 0) {
        fprintf(stderr, "queue_bench: %s\n", err.message);
        exit(1);
    }
}

static int start(const struct ctx *unused, void *arg, const struct queue_start *asked,
                 struct err *unused_err)
{
    const uint64_t one = 1;

    (void)unused;
    (void)arg;
    (void)unused_err;
    pthread_mutex_lock(&launcher.mu);
    launcher.asked_ns = monotonic_ns();
    snprintf(launcher.id, sizeof(launcher.id), "%s", asked->id);
    launcher.told = false;
    pthread_cond_signal(&launcher.asked);
    pthread_mutex_unlock(&launcher.mu);
    (void)!write(launcher.event_fd, &one, sizeof(one));
    return 0;
}

static int fd(void *arg)
{
    (void)arg;
    return launcher.event_fd;
}

static int next(void *arg, struct queue_told *ret, struct err *unused_err)
{
    uint64_t count;
    int got;

    (void)arg;
    (void)unused_err;
    (void)!read(launcher.event_fd, &count, sizeof(count));
    pthread_mutex_lock(&launcher.mu);
    got = *launcher.id && !launcher.told && !launcher.silent;
    if (got) {
        *ret = (struct queue_told){.kind = QUEUE_REFUSED, .code = ERR_INVALID, .text = "no"};
        memcpy(ret->id, launcher.id, sizeof(ret->id));
        launcher.told = true;
    }
    pthread_mutex_unlock(&launcher.mu);
    return got;
}

static void submit(void)
{
    static const struct submission submission = {
        .file = "stages:\n- name: a\n  jobs:\n  - name: b\n    steps:\n    - command: echo x\n",
        .client = "somebody",
    };
    struct err why = ERR_INIT;
    char id[OWN_RUN_ID_SIZE];

    if (queue_submit(&ctx, queue, &submission, id, &why) < 0) {
        fprintf(stderr, "queue_bench: %s\n", why.message);
        exit(1);
    }
}

static int compare(const void *a, const void *b)
{
    return (*(const int64_t *)a > *(const int64_t *)b) -
           (*(const int64_t *)a < *(const int64_t *)b);
}

static void latency(void)
{
    int64_t took[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        int64_t began = monotonic_ns();

        pthread_mutex_lock(&launcher.mu);
        launcher.asked_ns = 0;
        pthread_mutex_unlock(&launcher.mu);
        submit();
        pthread_mutex_lock(&launcher.mu);
        while (!launcher.asked_ns)
            pthread_cond_wait(&launcher.asked, &launcher.mu);
        took[i] = launcher.asked_ns - began;
        pthread_mutex_unlock(&launcher.mu);
        must(queue_wait_idle(&ctx, queue, &err));
    }
    qsort(took, ROUNDS, sizeof(*took), compare);
    printf("start  median %.2f ms, worst %.2f ms\n", (double)took[ROUNDS / 2] / 1e6,
           (double)took[ROUNDS - 1] / 1e6);
}

static atomic_int left;

static void *submit_many(void *arg)
{
    while (atomic_fetch_sub(&left, 1) > 0)
        submit();
    return arg;
}

static void rate(int threads)
{
    pthread_t thread[THREADS_MAX];
    int64_t began = monotonic_ns();

    left = SUBMITS;
    for (int i = 0; i < threads; i++)
        must(-(pthread_create(&thread[i], NULL, submit_many, NULL) != 0));
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    printf("accept %2d threads: %.0f/s\n", threads,
           SUBMITS / ((double)(monotonic_ns() - began) / 1e9));
}

/* Its only place is taken by a run that nothing is told of, so that all others wait. */
static void occupy(void)
{
    pthread_mutex_lock(&launcher.mu);
    launcher.silent = true;
    pthread_mutex_unlock(&launcher.mu);
    submit();
}

int main(int argc, char **argv)
{
    const struct queue_launcher ops = {.start = start, .fd = fd, .next = next};
    const struct queue_options options = {.max_concurrent = 1};
    struct history *history = xcalloc(1, sizeof(*history));
    CLEANUP_FREE char *file = NULL;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: queue_bench DIR [URL]\n");
        return 2;
    }
    must(ctx_init_root(&ctx, NULL, &err));
    must(fs_mkdir_p(argv[1], 0700, &err));
    history->dir = xstrdup(argv[1]);
    history->runs = fs_join(argv[1], "runs");
    file = fs_join(argv[1], "runs.db");
    must(store_open(&ctx, argc == 3 ? argv[2] : file, NULL, &history->store, &err));
    launcher.event_fd = eventfd(0, EFD_NONBLOCK);
    must(queue_open(&ctx, history, &ops, &options, &queue, &err));
    latency();
    occupy();
    rate(1);
    rate(8);
    rate(32);
    queue_close(queue);
    history_close(history);
    return 0;
}
