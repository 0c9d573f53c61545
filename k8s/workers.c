#include "k8s/workers.h"

#include <pthread.h>
#include <stdatomic.h>

/* More only make the API server slower. */
enum { WORKERS_MAX = 8, ITEMS_PER_WORKER = 2, STACK_BYTES = 256 * 1024 };

struct workers {
    struct kube_cluster *cluster;
    struct kube_client *clients[WORKERS_MAX]; /* NULL until it is needed */
};

struct job {
    const struct ctx *ctx;
    struct manifest *const *items;
    size_t count;
    workers_fn *fn;
    void *arg;
    atomic_size_t next;
    atomic_size_t failed;
};

struct worker {
    struct job *job;
    struct kube_client *client;
    pthread_t thread;
};

struct workers *workers_new(struct kube_cluster *cluster)
{
    struct workers *workers = xcalloc(1, sizeof(*workers));

    workers->cluster = cluster;
    return workers;
}

void workers_free(struct workers *workers)
{
    if (!workers)
        return;
    for (size_t i = 0; i < WORKERS_MAX; i++)
        kube_client_free(workers->clients[i]);
    free(workers);
}

static struct kube_client *client_of(struct workers *workers, size_t i)
{
    if (!workers->clients[i])
        workers->clients[i] = kube_client_new(workers->cluster);
    return workers->clients[i];
}

struct kube_client *workers_client(struct workers *workers)
{
    return client_of(workers, 0);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct job *job = worker->job;
    size_t i;

    while ((i = atomic_fetch_add(&job->next, 1)) < job->count) {
        if (ctx_done(job->ctx) || job->fn(job->ctx, worker->client, job->items[i], job->arg) < 0)
            atomic_fetch_add(&job->failed, 1);
    }
    return NULL;
}

size_t workers_run(const struct ctx *ctx, struct workers *workers, struct manifest *const *items,
                   size_t count, workers_fn *fn, void *arg)
{
    struct job job = {.ctx = ctx, .items = items, .count = count, .fn = fn, .arg = arg};
    struct worker crew[WORKERS_MAX];
    size_t wanted = (count + ITEMS_PER_WORKER - 1) / ITEMS_PER_WORKER;
    size_t started = 1;
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    for (size_t i = 0; i < WORKERS_MAX && i < wanted; i++)
        crew[i] = (struct worker){.job = &job, .client = client_of(workers, i)};
    while (started < WORKERS_MAX && started < wanted &&
           pthread_create(&crew[started].thread, &attr, work, &crew[started]) == 0)
        started++;
    if (wanted)
        work(&crew[0]);
    for (size_t i = 1; i < started; i++)
        pthread_join(crew[i].thread, NULL);
    pthread_attr_destroy(&attr);
    return atomic_load(&job.failed);
}
